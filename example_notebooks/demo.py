"""The demo: promote the example notebook, run it through a worker, show what came of it.

Exit status 0 only if all of that happened. Everything is kept in ``demo-output/`` of the current folder.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

from data_server import serving

HERE = Path(__file__).resolve().parent


def flowbook(*arguments: str) -> str:
    """Run one flowbook command as a person would, show it and what it prints, and return that."""
    print(f"\n$ flowbook {shlex.join(arguments)}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "flowbook.cli", *arguments], stdout=subprocess.PIPE, text=True, check=False
    )
    print(done.stdout, end="", flush=True)
    if done.returncode:
        sys.exit(f"The demo stopped: flowbook {arguments[0]} ended with status {done.returncode}.")
    return done.stdout


def main() -> None:
    """Promote, run, show, and check that everything is there."""
    output = Path("demo-output").resolve()
    os.environ["FLOWBOOK_HOME"] = str(output / "home")
    with serving() as url:
        flowbook("promote", str(HERE / "01_sales_report.ipynb"), "--name", "sales-report",
                 "--schedule", "0 7 * * 1-5", "--tz", "America/Chicago")  # fmt: skip
        flowbook("deployment", "run", "sales-report", "--param", f"source={url}", "--param", "since=2012",
                 "--param", f"database={output / 'texas_sales.db'}")  # fmt: skip
        flowbook("worker", "start", "--run-once")
        flowbook("runs", "show", "last")
    check()


def check() -> None:
    """The run succeeded, its moody source was retried, and its files are kept."""
    shown = subprocess.run(
        [sys.executable, "-m", "flowbook.cli", "runs", "show", "last", "--output", "json"],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    run = json.loads(shown.stdout)
    attempts = {task["name"]: task["attempts"] for task in run["tasks"]}
    missing = [kind for kind in ("notebook", "html", "svg") if not run[kind] or not Path(run[kind]).is_file()]
    problems = [
        *([f"the run is {run['word']}"] if run["state_name"] != "Completed" else []),
        *([f"no {kind} was kept" for kind in missing]),
        *([f"task market took {attempts.get('market')} attempts, not 2"] if attempts.get("market") != 2 else []),
    ]
    if problems:
        sys.exit(f"The demo failed: {'; '.join(problems)}.")
    print("\nAll of it happened. `make lab` opens the notebook in JupyterLab.")


if __name__ == "__main__":
    main()
