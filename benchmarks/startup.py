"""What it takes to begin: the import, and the first result of a fresh process with an old and with a new home.

``python benchmarks/startup.py [--repeats R]``

CPU and wall time of whole processes, Python's own start included unless a row says otherwise.
"""

from __future__ import annotations

import argparse
import sys

from measuring import Cost, best, cost_of_process, header, heading, median, new_home, row

IMPORT = "from flowbook import flow, task"
FIRST_RESULT = f"""
{IMPORT}

@task
def double(x):
    return 2 * x

@flow
def first(x: int):
    return double(x)

assert first(21) == 42
"""


def python(code: str) -> Cost:
    """What a Python process takes that runs `code`."""
    return cost_of_process(sys.executable, "-c", code, FLOWBOOK_LOGGING_LEVEL="WARNING")


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--repeats", type=int, default=10)
    given = options.parse_args()
    heading("Beginning")
    header("a process that", "CPU s", "(median)", "wall s", "(median)")
    with new_home():
        python(FIRST_RESULT)  # compiles every module
        bare, imported, warm = [], [], []
        for _ in range(given.repeats):
            bare.append(python("pass"))
            imported.append(python(IMPORT))
            warm.append(python(FIRST_RESULT))
    cold = []
    for _ in range(given.repeats):
        with new_home():
            cold.append(python(FIRST_RESULT))
    _row("does nothing (bare Python)", bare)
    _row(f"runs `{IMPORT}`", imported)
    _row("the same, above bare Python", imported, bare)
    _row("returns a first result, existing home", warm)
    _row("returns a first result, new home", cold)


def _row(name: str, costs: list[Cost], above: list[Cost] | None = None) -> None:
    least, middle = best(costs), median(costs)
    less, less_middle = (best(above), median(above)) if above else (Cost(0, 0), Cost(0, 0))
    cpu, wall = (
        (least.cpu - less.cpu, middle.cpu - less_middle.cpu),
        (least.wall - less.wall, middle.wall - less_middle.wall),
    )
    row(name, *cpu, *wall)


if __name__ == "__main__":
    main()
