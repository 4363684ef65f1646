"""No-op steps in a DBOS workflow with its SQLite database."""

import sys
from importlib.metadata import version
from pathlib import Path

from dbos import DBOS, DBOSConfig
from measuring import cost_of, stored_bytes

from peers import report

DATABASE = Path.cwd() / "dbos.sqlite"


@DBOS.step()
def noop(x: int) -> int:
    return x


@DBOS.workflow()
def direct(n: int) -> None:
    for i in range(n):
        noop(i)


def main() -> None:
    n = int(sys.argv[1])
    config: DBOSConfig = {
        "name": "benchmark",
        "system_database_url": f"sqlite:///{DATABASE}",
        "run_admin_server": False,
        "log_level": "ERROR",
    }
    DBOS(config=config)
    DBOS.launch()
    direct(5)
    before = stored_bytes(DATABASE)
    costs = [cost_of(lambda: direct(n))]
    report(f"DBOS {version('dbos')}, direct call of a step", costs, stored_bytes(DATABASE) - before)
    DBOS.destroy()


if __name__ == "__main__":
    main()
