"""Whatever Python people write in cells works in a task cell as in a plain one."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook


def _read() -> dict[str, tuple[str, str, object]]:
    """Name -> (body of the cell, expression that a plain cell evaluates afterwards, its value)."""
    found = {}
    for part in ("\n" + (Path(__file__).parent / "python_cells.txt").read_text(encoding="utf-8")).split("\n=== ")[1:]:
        name, _, rest = part.partition("\n")
        body, _, rest = rest.partition("\n--- ")
        expression, _, value = rest.partition("\n")
        found[name] = (body, expression, ast.literal_eval(value.strip()))
    return found


BODIES = _read()


@pytest.mark.parametrize("name", BODIES)
def test_a_task_cell_is_python(nb: Notebook, name: str) -> None:
    body, expression, value = BODIES[name]
    nb.ok("plain = 7", "plain")
    first = body.startswith("%%")
    nb.ok(f"%%task t\n{body}", "t")
    assert nb.value(expression) == value
    if not first or "time" in body:
        nb.ok("%flow run --all", "run")
        assert nb.tasks() == {"t": ("fresh", "")}


@pytest.mark.parametrize("name", [name for name in BODIES if name != "late binding"])
def test_the_same_in_a_plain_cell(nb: Notebook, name: str) -> None:
    """The table itself is right: a plain cell gives the same, but for what stays inside a task."""
    body, expression, value = BODIES[name]
    nb.ok("plain = 7", "plain")
    nb.ok(body, "t")
    if not name.startswith("private"):
        assert nb.value(expression) == value


def test_inner_names_are_seen_by_magics_when_three_run_at_once(nb: Notebook) -> None:
    nb.ok("import threading\nmeet = threading.Barrier(3, timeout=60)", "setup")
    for name in "pqr":
        nb.ok(
            f"%%task {name} --define\nword = '{name}'\nmeet.wait()\n"
            f"%time seen_{name} = [word for _ in range(2)]\nmeet.wait()\ndel word",
            name,
        )
    nb.ok("%flow run", "run")
    assert nb.value("seen_p, seen_q, seen_r") == (["p"] * 2, ["q"] * 2, ["r"] * 2)


def test_a_future_import_of_the_notebook_holds_in_tasks(nb: Notebook) -> None:
    nb.ok("from __future__ import annotations", "a")
    nb.ok("%%task\ndef f(x: int): pass", "b")
    assert nb.value("f.__annotations__") == {"x": "int"}


def test_functions_go_to_processes_by_name(nb: Notebook) -> None:
    nb.ok("def square(x): return x * x", "a")
    nb.ok(
        "%%task\nfrom multiprocessing import get_context\n"
        "with get_context('fork').Pool(1) as pool: out = pool.map(square, [2, 3])",
        "b",
    )
    assert nb.value("out") == [4, 9]


@pytest.mark.parametrize("where", ["alone", "in a run"])
def test_await_under_a_timeout_and_in_a_run(nb: Notebook, where: str) -> None:
    define = "" if where == "alone" else " --define"
    nb.ok(f"%%task t --timeout 10s{define}\nimport asyncio\nx = await asyncio.sleep(0.001, 5)", "a")
    if define:
        nb.ok("%flow run", "b")
    assert nb.value("x") == 5
    source = f"%%task slow --timeout 200ms{define}\nimport asyncio\nawait asyncio.sleep(30)"
    if define:
        nb.ok(source, "c")
        nb.fails("%flow run", "d")
    else:
        assert "timeout of 0.2 seconds" in nb.fails(source, "c")
    assert nb.states()[-1] == ("slow", "FAILED", "TimedOut")
