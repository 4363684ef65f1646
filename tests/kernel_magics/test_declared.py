"""``%%task --in … --out …``: what a cell says of its variables counts, and not what is found in its code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kernel_magics.test_selection import ran

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook


@pytest.mark.parametrize("mark", ["%%task", "#| task"])
def test_a_declared_input_orders_what_the_code_hides(nb: Notebook, mark: str) -> None:
    nb.cells(
        f"{mark} load --define\nx = 1",
        f"{mark} total --in x --define\ntotal = sum(globals()[name] for name in ['x'])",
    )
    assert "needs 'x' from task 'load', which has not run" in nb.fails("%flow run --only total", "run")
    nb.ok("%flow run", "run")
    assert nb.value("total") == 1
    nb.ok("%%task load\nx = 5", "a")
    assert nb.tasks()["total"] == ("stale", "x changed")


def test_what_is_not_declared_makes_no_edge(nb: Notebook) -> None:
    nb.cells("%%task a\nx = 1", "%%task b\ny = 2", "%%task c --in x\nz = x + y")
    nb.ok("%%task b\ny = 3", "b")
    assert nb.tasks()["c"] == ("fresh", "")
    nb.ok("%%task a\nx = 2", "a")
    assert nb.tasks()["c"] == ("stale", "x changed")


def test_functions_need_no_declaration(nb: Notebook) -> None:
    nb.cells("import math\ndef half(v):\n    return math.floor(v / 2)", "x = 9", "%%task c --in x\nz = half(x)")
    assert nb.value("z") == 4
    nb.ok("import math\ndef half(v):\n    return math.ceil(v / 2)", "a")
    assert nb.tasks()["c"] == ("stale", "its code changed")


def test_a_declared_input_that_nobody_defines_is_a_sentence(nb: Notebook) -> None:
    nb.ok("sales = 1", "a")
    output = nb.fails("%%task c --in slaes\nz = 1", "b")
    assert "Task 'c' reads 'slaes', which no cell that has run defines. Did you mean 'sales'?" in output


def test_only_declared_outputs_are_given_to_others(nb: Notebook) -> None:
    nb.ok("step = 'of the notebook'", "a")
    nb.ok("%%task c --out z\nstep = 2\nexec('more = 1')\nz = step + 1", "b")
    assert nb.value("z, step, 'more' in globals()") == (3, "of the notebook", False)
    nb.ok("%%task d\nsaid = step", "c")
    assert nb.value("said") == "of the notebook"


@pytest.mark.parametrize(
    "source",
    [
        "%%task c\n_k = 3\ndef _inner(v):\n    return _k * v\ndef f(v):\n    return _inner(v)",
        "%%task c --out f\nk = 3\ndef inner(v):\n    return k * v\ndef f(v):\n    return inner(v)",
    ],
)
def test_a_function_that_is_given_keeps_what_stays_inside(nb: Notebook, source: str) -> None:
    nb.ok(source, "a")
    nb.ok("%%task d\ny = f(2)", "b")
    assert nb.value("y, sorted({'k', '_k', 'inner', '_inner'} & globals().keys())") == (6, [])


def test_a_task_without_outputs_gives_nothing(nb: Notebook) -> None:
    nb.ok("%%task c --out ''\nx = 1", "a")
    assert nb.value("'x' in globals()") is False


def test_another_declared_output_makes_stale(nb: Notebook) -> None:
    nb.ok("%%task c --out x\nx = 1\ny = 2", "a")
    nb.ok("%%task c --out y,x --define\nx = 1\ny = 2", "a")
    assert nb.tasks()["c"] == ("stale", "its options changed")
    assert ran(nb, "%flow run") == ["c"]
    nb.ok("%%task c --out x,y --define\nx = 1\ny = 2", "a")
    assert nb.tasks()["c"] == ("fresh", "")


def test_a_stored_result_of_other_outputs_is_not_taken(nb: Notebook) -> None:
    nb.ok("%%task c --out x --cache source\nx = 1\ny = 2", "a")
    nb.ok("%%task c --out y --cache source\nx = 1\ny = 2", "a")
    assert nb.value("y") == 2


def test_an_output_that_was_not_bound_after_all_fails_the_task(nb: Notebook) -> None:
    nb.ok("wanted = False", "a")
    output = nb.fails("%%task c --out z\nif wanted:\n    z = 1", "b")
    assert "Task 'c' declares --out z, which the cell has not bound when it ended. Bind it on every path" in output
    nb.ok("wanted = True", "a")
    nb.ok("%flow run", "run")
    assert nb.value("z") == 1


def test_a_changed_object_may_be_declared_as_an_output(nb: Notebook) -> None:
    nb.cells("%%task make\nx = [1]", "%%task grow --in x --out x --define\nx.append(2)", "%%task --define\ns = x[:]")
    nb.ok("%flow run", "run")
    assert nb.value("s") == [1, 2]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("%%task c --out totl\ntotal = 1", "Task 'c' declares --out totl, which the cell does not bind. Did you mean"),
        ("#| task --out y\nx = 1", "Cell 2 declares --out y, which the cell does not bind. Bind it there, or leave"),
        ("%%task c --out _x\n_x = 1", "%%task: --out is '_x'; a name that begins with an underscore stays inside"),
        ("%%task c --in x.y\nz = 1", "%%task: --in is 'x.y'; write the names of variables as x,y."),
        ("%%task c --in\nz = 1", "%%task: --in needs a value, as in --in X,Y."),
    ],
)
def test_a_mistake_is_one_sentence_and_registers_nothing(nb: Notebook, source: str, says: str) -> None:
    nb.ok("%%task known\nstart = 1", "a")
    output = nb.fails(source, "b")
    assert output.startswith("UsageError: ")
    assert says in output
    assert output.count("\n") == 1
    assert list(nb.tasks()) == ["known"]
