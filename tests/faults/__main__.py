"""``python -m tests.faults --trials 200 --seed 1``: as many trials as one has time for; exits with 1 if any fails."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.faults.trial import Trial


def main() -> int:
    """Run the trials and print what came of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="the seed of the first trial")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long processes are killed in each")
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL instead of SQLite")
    said = parser.parse_args()
    failed = 0
    with ExitStack() as stack:
        server = None
        if said.postgres:
            from tests.postgres import server_for_tests

            server = stack.enter_context(server_for_tests())
        for seed in range(said.seed, said.seed + said.trials):
            folder = Path(tempfile.mkdtemp(prefix=f"flowbook-fault-{seed}-"))
            with ExitStack() as one:
                url = one.enter_context(server.database()) if server is not None else None
                trial = Trial(seed, folder, url, said.seconds)
                found = trial.run()
            print(f"seed {seed}: killed {', '.join(trial.killed)}: {'; '.join(found) or 'all is well'}", flush=True)
            failed += bool(found)
            if not found:
                shutil.rmtree(folder)
            else:
                print(f"  see {folder}", flush=True)
    print(f"{said.trials - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
