"""Redefined names are versions in notebook order, independent cells run at once, changes in place are ordered."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook

MEET = "import threading\nmeet = threading.Barrier({n}, timeout=60)"
"""Cells that wait for each other at ``meet``: none of them goes on unless all run at the same time."""


def test_a_name_may_be_redefined_from_itself(nb: Notebook) -> None:
    nb.cells("%%task\nx = [1]", "%%task\nx = x + [2]", "%%task\nx = x + [3]", "%flow run --all", "%flow run --all")
    assert nb.value("x") == [1, 2, 3]
    assert set(nb.tasks()) == {"x", "x-2", "x-3"}


def test_readers_between_two_versions_keep_theirs(nb: Notebook) -> None:
    nb.cells(
        MEET.format(n=2),
        "%%task\nx = 1",
        "%%task first --define\nmeet.wait(); first = x",
        "%%task\nx = x + 1",
        "%%task second --define\nmeet.wait(); second = x",
        "%flow run --all",
    )
    assert nb.value("first, second, x") == (1, 2, 2)


def test_independent_cells_run_at_the_same_time(nb: Notebook) -> None:
    nb.cells(MEET.format(n=3), *(f"%%task --define\n{name} = meet.wait() * 0 + 1" for name in "pqr"), "%flow run")
    assert nb.value("p, q, r") == (1, 1, 1)


def test_max_parallel_bounds_what_runs_at_the_same_time(nb: Notebook) -> None:
    nb.ok("import threading, time\ngate = threading.Semaphore(2)\nfound = []", "setup")
    for name in "pqrs":
        body = f"found.append(gate.acquire(blocking=False)); time.sleep(0.02); gate.release(); {name} = 1"
        # through a function, because changes of a list in place would be kept in order
        nb.ok(f"def work_{name}(found=found):\n    {body}", f"def-{name}")
        nb.ok(f"%%task {name} --define\nwork_{name}()", name)
    nb.ok("%flow run --max-parallel 2", "run")
    assert nb.value("found") == [True] * 4


def test_changes_in_place_keep_notebook_order(nb: Notebook) -> None:
    nb.cells(
        "%%task\nx = []",
        "%%task one\nimport time; time.sleep(0.05); x.append(1)",
        "%%task two\nx.append(2)",
        "%%task sees\nsees = list(x)",
        "%%task three\nx.append(3)",
    )
    for _ in range(2):
        nb.ok("%flow run --all", "z")
        assert nb.value("sees, x") == ([1, 2], [1, 2, 3])


def test_a_reader_waits_for_the_task_that_changes_the_object(nb: Notebook) -> None:
    nb.cells("x = []", "%%task grow --define\nx.append(1)")
    assert "needs 'x' from task 'grow', which has not run" in nb.fails("%%task sees\nsees = list(x)", "c")


def test_the_namespace_ends_with_the_last_version(nb: Notebook) -> None:
    nb.cells("%%task a1\nimport time; time.sleep(0.1); x = 1", "%%task a2\nx = 2")
    nb.ok("%flow run --all", "z")
    assert nb.value("x") == 2


def test_deleting_a_cell_lets_the_earlier_version_be_the_last(nb: Notebook) -> None:
    nb.cells("%%task one\nx = 1", "%%task gap\ny = 1", "%%task two\nx = 2")
    nb.ok("%flow run --all", "z", deleted=("b", "c"))
    assert set(nb.tasks()) == {"one"}
    assert nb.value("x") == 1


def test_positions_that_shift_do_not_hide_a_new_version(nb: Notebook) -> None:
    nb.cells("gap = 1", "%%task one\nx = 1", "%%task two\nx = x + 1")
    nb.ok("%%task one\nx = 10", "b", deleted=("a",))
    nb.ok("%flow run", "z")
    assert nb.value("x") == 11


def test_deleting_a_name_in_a_task_takes_it_from_the_notebook(nb: Notebook) -> None:
    nb.cells("x = 1\ny = 2", "%%task\nz = x + y\ndel x")
    assert nb.value("'x' in globals(), y, z") == (False, 2, 3)
    nb.ok("x = 1", "a2")
    nb.ok("%flow run --all", "z")
    assert nb.value("x") == 1


def test_a_function_sees_the_version_where_the_calling_cell_stands(nb: Notebook) -> None:
    nb.cells(
        "k = 1",
        "def inner(): return k\ndef outer(): return [inner()]",
        "%%task early\nearly = outer()",
        "%%task\nk = 2",
        "%%task late\nlate = outer()",
    )
    for _ in range(2):
        nb.ok("%flow run --all", "z")
        assert nb.value("early, late, k, outer()") == ([1], [2], 2, [2])


def test_a_method_of_a_task_cell_sees_the_version_where_the_calling_cell_stands(nb: Notebook) -> None:
    nb.cells(
        "%%task\nk = 1",
        "%%task\nclass Reader:\n    def read(self): return k",
        "%%task early\nearly = Reader().read()",
        "%%task\nk = 2",
        "%%task late\nlate = Reader().read()",
    )
    for _ in range(2):
        nb.ok("%flow run --all", "z")
        assert nb.value("early, late, Reader().read()") == (1, 2, 2)


def test_a_helper_defined_by_a_later_cell_is_found(nb: Notebook) -> None:
    nb.cells("def outer(): return inner()", "def inner(): return 7", "%%task\nx = outer()")
    assert nb.value("x") == 7


def test_a_function_that_binds_a_global_name(nb: Notebook) -> None:
    nb.cells(
        "n = 0\ndef bump():\n    global n\n    n += 1",
        "%%task twice\nbump(); bump()",
        "%%task seen\nseen = n",
    )
    assert nb.value("seen, n") == (2, 2)
    nb.ok("%flow run --all", "z")
    assert nb.value("seen, n") == (2, 2)


def test_a_plain_cell_that_binds_a_global_name_through_a_function(nb: Notebook) -> None:
    nb.cells("n = 0\ndef bump():\n    global n\n    n += 1", "bump()", "%%task\nseen = n")
    assert nb.value("seen") == 1


def test_a_conditional_version_counts_only_if_it_was_made(nb: Notebook) -> None:
    nb.cells("flag = False", "%%task\nx = 1", "%%task maybe\nif flag: x = 2", "%%task\ny = x")
    assert nb.value("y") == 1
    nb.ok("flag = True", "a")
    nb.ok("%flow run", "z")
    assert nb.value("x, y") == (2, 2)


def test_plain_cells_between_tasks_keep_their_values(nb: Notebook) -> None:
    nb.cells("k = 1", "%%task\na = k", "k = 2", "%%task\nb = k", "%flow run --all")
    assert nb.value("a, b, k") == (1, 2, 2)


def test_star_imports_bind_and_do_not_order_everything(nb: Notebook) -> None:
    nb.cells("%%task\nfrom math import *", "%%task\nroot = sqrt(16)", "sqrt(4)")
    nb.ok("%flow run --all", "z")
    assert nb.value("root, sqrt(9)") == (4.0, 3.0)


def test_a_task_has_what_the_one_before_has_just_made(nb: Notebook) -> None:
    """The one before may end while later tasks are still being submitted: it is not done before all have its names."""
    nb.ok(
        "import time, flowbook_magics.cell_runs as runs\ntook = runs._took\n"
        "def slowly(session, cell, *rest, **options):\n"
        "    time.sleep(0.3 if cell.label == 'make' else 0)\n    return took(session, cell, *rest, **options)\n"
        "runs._took, made = slowly, iter(range(9))",
        silent=True,
    )
    try:
        nb.ok("%%task make --define\nvalue = next(made)", "a")
        for number in range(60):
            nb.ok(f"%%task t{number} --define\nx{number} = {number}", f"x{number}")
        nb.ok("%%task use --define\nused = value", "z")
        for expected in (0, 1):
            nb.ok("%flow run --all", "run")
            assert nb.value("used") == expected
    finally:
        nb.ok("runs._took = took", silent=True)


def test_a_name_that_is_only_looked_up_stays_where_it_is(nb: Notebook) -> None:
    """What a coroutine or a method finds at home, although the cell that runs it has no value of its own for it."""
    nb.cells(
        "import asyncio",
        "%%task --define\nresults = []\nq = asyncio.Queue()",
        "%%task --define\nasync def consumer():\n    while (item := await q.get()) is not None:\n"
        "        results.append(item)",
        "%%task --define\ntask = asyncio.create_task(consumer())",
        "%%task --define\nawait q.put(1)\nawait asyncio.sleep(0.01)\nseen = list(results)",
        "%%task --define\nawait q.put(None)",
        "%%task --define\nawait task\nfinal = list(results)",
        "%%task --define\nlast = len(results)",
    )
    for _ in range(2):
        nb.ok("%flow run --all", "run")
        assert nb.value("seen, final, last") == ([1], [1], 1)
