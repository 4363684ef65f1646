"""Cells stand where the front end has them: inserted, moved, cut and pasted, or executed before flowbook was there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Notebook

pytestmark = pytest.mark.slow

RUN = "%flow run"


def test_an_inserted_cell_stands_where_it_is_seen(nb: Notebook) -> None:
    nb.cells("%%task one\nx = [1]", "%%task three\ny = [*x, 3]", RUN)
    nb.stand("a", "new", "b", "c")
    nb.ok("%%task two --define\nx = [*x, 2]", "new")
    assert list(nb.tasks()) == ["one", "two", "three"]
    assert nb.tasks()["three"] == ("stale", "x changed")
    nb.ok(RUN, "c")
    assert nb.value("(x, y)") == ([1, 2], [1, 2, 3])


def test_a_moved_cell_runs_where_it_stands(nb: Notebook) -> None:
    nb.cells("%%task one\nx = [1]", "%%task two\nx = [*x, 2]", "%%task three\nx = [*x, 3]", RUN)
    nb.stand("a", "c", "b", "d")
    nb.ok(RUN, "d")
    assert nb.value("x") == [1, 3, 2]


def test_the_name_has_the_version_of_the_cell_that_is_last_now(nb: Notebook) -> None:
    nb.cells("%%task one\nx = 1", "%%task two\nx = 2", "%%task gone\nx = 3\ndel x")
    for order, last in (("acb", 2), ("cba", 1), ("cab", 2)):
        nb.stand(*order)
        nb.ok("1", "z")
        assert nb.value("x") == last
        assert {state for state, _ in nb.tasks().values()} == {"fresh"}
    nb.stand(*"abc")
    assert "NameError" in nb.fails("x", "z")


def test_a_version_that_the_user_has_made_last_by_hand_stays(nb: Notebook) -> None:
    nb.cells("%%task one\nx = 1", "%%task two\nx = 2", "%%task three\nx = 3")
    nb.ok("%%task one\nx = 1", "a")
    nb.stand("a", "c", "b")
    nb.ok("1", "z")
    assert nb.value("x") == 1


@pytest.mark.parametrize(
    ("first", "second", "third", "look", "seen"),
    [
        pytest.param(
            "f = open('log.txt', 'w')\nf.close()",
            "with open('log.txt', 'a') as f:\n    f.write('2')",
            "with open('log.txt', 'a') as f:\n    f.write('3')",
            "open('log.txt').read()",
            "32",
            id="a file",
        ),
        pytest.param(
            "import random\nrandom.seed(1)",
            "second = random.random()",
            "third = random.random()",
            "(lambda r: third == r.random() and second == r.random())(__import__('random').Random(1))",
            True,
            id="random numbers",
        ),
        pytest.param(
            "import os\nos.environ['LETTER'] = 'a'",
            "os.environ['LETTER'] += 'b'",
            "os.environ['LETTER'] += 'c'",
            "__import__('os').environ['LETTER']",
            "acb",
            id="the environment",
        ),
    ],
)
def test_cells_that_share_something_are_stale_when_they_change_places(
    nb: Notebook, first: str, second: str, third: str, look: str, seen: object
) -> None:
    nb.cells(f"%%task first\n{first}", f"%%task second\n{second}", f"%%task third\n{third}", RUN)
    assert {state for state, _ in nb.tasks().values()} == {"fresh"}
    nb.stand("a", "c", "b", "d")
    nb.ok("1", "z")
    tasks = nb.tasks()
    assert tasks["second"] == ("stale", "third stands before it now")
    assert tasks["third"] == ("stale", "second stands behind it now")
    nb.ok(RUN, "d")
    assert nb.value(look) == seen


def test_cells_that_share_nothing_stay_fresh_wherever_they_are_moved(nb: Notebook) -> None:
    nb.cells("%%task one\nx = 1", "%%task two\ny = 2", "%%task three\nz = y", RUN)
    nb.stand("b", "c", "a", "d")
    assert "all 3 tasks are fresh" in nb.ok(RUN, "d")


def test_a_cell_that_was_cut_and_pasted_is_the_same(nb: Notebook) -> None:
    nb.cells("%%task one\nx = 1", "%%task two\ny = 2", RUN)
    nb.stand("b", "a", "c")
    assert "all 2 tasks are fresh" in nb.ok(RUN, "c", deleted=("a",))
    nb.stand("b", "c")
    assert "the task is fresh" in nb.ok(RUN, "c", deleted=("a",))


def test_a_cell_that_the_front_end_has_no_more_is_no_task_any_more(nb: Notebook) -> None:
    nb.cells("%%task one\nx = 1", "%%task two\ny = 2", "%%task three\nz = 3")
    nb.ok("w = 4", "of a console")
    nb.stand("a", "b", "c")
    nb.ok("1", "z")
    nb.stand("c", "b")  # the first is Markdown now
    nb.ok("1", "z")
    assert list(nb.tasks()) == ["three", "two"]
    nb.stand("of another notebook")
    nb.ok("%%task four --define\nv = w", "of another notebook")
    assert sorted(nb.tasks()) == ["four", "three", "two"]


def test_a_task_that_is_back_has_its_name_again(nb: Notebook) -> None:
    nb.cells("%%task one\nx = 1", "%%task two\ny = 2")
    nb.stand("b", "c")
    nb.fails("one", "c", deleted=("a",))
    nb.stand("a", "b", "c")
    assert "one" in nb.ok("one.name", "c")
    assert nb.tasks() == {"one": ("stale", "never run"), "two": ("fresh", "")}


def test_what_stands_behind_its_reader_is_said(nb: Notebook) -> None:
    nb.cells("%%task one\nx = 1", "%%task two\ny = x", RUN)
    nb.stand("b", "a", "c")
    said = "flowbook: Task 'two' reads 'x', which only one, behind it, makes: move that cell up, or it will be missing"
    assert said in nb.ok(RUN, "c")
    nb.stand("a", "b", "c")
    assert said not in nb.ok("%flow run --all", "c")


def test_an_order_that_cannot_be_kept_is_said_once_and_the_one_before_stays(nb: Notebook) -> None:
    nb.cells("x = 0", "%%task reader\ny = x", "%%task maker --after reader\nx = 1", RUN)
    nb.stand("a", "c", "b", "d")
    output = nb.ok(RUN, "d")
    assert "flowbook: The cells wait for each other: maker →(x) reader →(--after) maker." in output
    assert "all 2 tasks are fresh" in output
    assert list(nb.tasks()) == ["reader", "maker"]
    assert "flowbook: " not in nb.ok(RUN, "d")


def test_a_cell_that_runs_by_itself_after_those_behind_it_have_changed_what_it_needs_is_stale(nb: Notebook) -> None:
    nb.cells("%%task one\nopen('n.txt', 'w').close()", "%%task three\nwith open('n.txt', 'a') as f:\n    f.write('3')")
    nb.stand("a", "new", "b", "c")
    nb.ok("%%task two\nsize = len(open('n.txt').read())", "new")
    assert nb.tasks()["two"] == ("stale", "three had changed the file n.txt before it ran")
    nb.ok(RUN, "c")
    assert nb.value("size") == 0


def test_the_saved_notebook_tells_it_where_the_front_end_does_not(nb: Notebook) -> None:
    path = Path(nb.folder) / "saved.ipynb"

    def save(*ids: str) -> None:
        path.write_text(json.dumps({"cells": [{"id": each} for each in ids]}))

    nb.ok(f"import os; os.environ['JPY_SESSION_NAME'] = {str(path)!r}")
    nb.cells("%%task one\nx = [1]", "%%task two\nx = [*x, 2]")
    nb.ok("%%task three\nx = [*x, 3]", "new")
    save("a", "new", "b")
    nb.ok(RUN, "z")
    assert nb.value("x") == [1, 3, 2]
    path.write_text("{")
    nb.ok("%flow run --all", "z")
    assert nb.value("x") == [1, 3, 2]
    nb.stand("a", "b", "new")
    save("a", "new", "b")
    nb.ok(RUN, "z")
    assert nb.value("x") == [1, 2, 3]


def test_a_notebook_that_was_saved_before_its_cells_ran_tells_nothing(nb: Notebook) -> None:
    path = Path(nb.folder) / "older.ipynb"
    path.write_text(json.dumps({"cells": [{"id": each} for each in "cba"]}))
    nb.ok(f"import os; os.environ['JPY_SESSION_NAME'] = {str(path)!r}")
    nb.cells("%%task one\nx = [1]", "%%task two\nx = [*x, 2]", "%flow run --all")
    assert nb.value("x") == [1, 2]


@pytest.mark.parametrize("told", [None, "ab", 7, [], [1, None], [["a"]], [["a", "b"]], {"a": 1}, [["x", 2]]])
def test_nonsense_changes_nothing(nb: Notebook, told: object) -> None:
    nb.cells("%%task one\nx = [1]", "%%task two\nx = [*x, 2]")
    nb.ok("%flow run --all", "z", metadata={"flowbook": told})
    assert nb.value("x") == [1, 2]


def test_a_cell_of_a_console_stands_behind_all_others(nb: Notebook) -> None:
    nb.cells("k = 1", "%%task one\ny = k * 10", "w = 0", RUN)
    nb.stand("a", "b", "c", "d")
    nb.ok("k = 100", "of a console")
    nb.stand("a", "c", "b", "d")
    nb.ok("%flow run --all", "d")
    assert nb.value("(k, y)") == (1, 10)


def test_two_notebooks_in_one_kernel_keep_their_orders(nb: Notebook) -> None:
    nb.stand("a", "b")
    nb.cells("x = 1", "%%task one\ny = x")
    nb.stand("p", "q")
    nb.ok("x = 2", "p")
    nb.ok("%%task two\nz = x", "q")
    for cells in (("a", "b"), ("p", "q")) * 2:
        nb.stand(*cells)
        nb.ok("1", "of a console")
        assert nb.value("(x, y, z)") == (2, 1, 2)
        assert {state for state, _ in nb.tasks().values()} == {"fresh"}


def test_a_run_in_one_of_two_notebooks_leaves_its_names_as_they_are(nb: Notebook) -> None:
    nb.stand("p")
    nb.ok("x = 2", "p")
    nb.stand("a", "b")
    nb.cells("x = 1", "%%task one\ny = x")
    nb.ok(RUN, "b2")
    assert nb.value("(x, y)") == (1, 1)


def test_the_upper_half_of_a_cell_that_was_split_may_keep_its_name(nb: Notebook) -> None:
    nb.cells("%%task one\nx = [1]\nx = x + [2]", RUN)
    nb.sources["a"] = "x = x + [2]"  # JupyterLab leaves the id to the lower half
    nb.stand("new", "a", "b")
    nb.ok("%%task one\nx = [1]", "new")
    nb.ok("%%task two\nx = x + [20]", "a")
    nb.ok(RUN, "b")
    assert nb.value("x") == [1, 20]


def earlier(nb: Notebook, *sources: str) -> None:
    """Cells with the ids ``a``, ``b``, ``c``… are executed, and then the extension is loaded by one above them."""
    nb.ok("%unload_ext flowbook")
    nb.cells(*sources)
    nb.stand("load", *"abcdefgh"[: len(sources)])
    nb.ok("%load_ext flowbook\nloaded = 1", "load")


def test_cells_that_were_executed_before_it_was_loaded_count(nb: Notebook) -> None:
    earlier(nb, "import random\nx = [1]\nrandom.seed(2)", "y = 5")
    nb.stand(*"abcdef")
    nb.ok("%%task one --define\nx = [*x, 2]\nfirst = random.random()", "c")
    nb.ok("%%task two --define\nx = [*x, y]\nsecond = random.random()", "d")
    for _ in range(2):
        nb.ok("%flow run --all", "f")
        assert nb.value("x") == [1, 2, 5]
    assert nb.tasks()["two"] == ("fresh", "")
    nb.ok("y = 6", "b")
    assert nb.tasks()["two"] == ("stale", "y changed")


def test_a_cell_from_before_is_marked_as_a_task(nb: Notebook) -> None:
    earlier(nb, "x = [1]", "x = x + [2]", "y = sum(x)")
    said = nb.fails("%%task one\nx = x + [20]", "b")
    assert "needs 'x' as cell 2 made it, which was not kept because a later cell binds 'x' again" in said
    nb.ok("x = [1]", "a")
    nb.ok("%%task one\nx = x + [20]", "b")
    nb.ok("%%task two\ny = sum(x)", "c")
    nb.ok("%flow run --all", "d")
    assert nb.value("(x, y)") == ([1, 20], 21)


def test_cells_from_before_are_moved_edited_and_deleted_like_others(nb: Notebook) -> None:
    earlier(nb, "k = 1", "a = 2", "c = a + k")
    nb.stand("load", "a", "b", "c", "new", "t", "z")
    nb.ok("%%task t\nx = a * 10", "t")
    nb.ok("a = 3", "new")
    nb.ok(RUN, "z")
    assert nb.value("x") == 30
    nb.stand("load", "new", "a", "b", "c", "t", "z")
    nb.ok("a = 2", "b")
    nb.ok(RUN, "z")
    assert nb.value("x") == 20
    nb.stand("load", "new", "a", "c", "t", "z")
    nb.ok(RUN, "z")
    assert nb.value("(a, x)") == (3, 30)
    nb.ok("%%task u\ny = c", "t2")
    nb.ok("k = 5", "a")
    assert "Plain cells are not run again, though what they read is made anew" in nb.ok(RUN, "z")


def test_a_cell_above_the_one_that_loads_it_stands_above(nb: Notebook) -> None:
    nb.ok("%unload_ext flowbook")
    nb.stand("load", "t", "z")
    nb.ok("%load_ext flowbook\nN = 5", "load")
    nb.ok("%%task t\ny = N * 10", "t")
    nb.stand("new", "load", "t", "z")
    nb.ok("N = 1", "new")
    nb.ok(RUN, "z")
    assert nb.value("(N, y)") == (5, 50)


def test_a_plain_cell_that_was_run_out_of_order_does_not_have_the_last_word(nb: Notebook) -> None:
    nb.cells("a = 1", "a = 2", "%%task t\nb = a")
    nb.ok("a = 1", "a")
    assert nb.value("a") == 1
    nb.ok(RUN, "z")
    assert nb.value("(a, b)") == (2, 2)


def test_a_cell_from_before_that_ran_twice_is_one(nb: Notebook) -> None:
    nb.ok("%unload_ext flowbook")
    nb.cells("x = [1]", "x = x + [2]")
    nb.ok("x = [1]", "a")
    nb.stand("load", "a", "b", "t")
    nb.ok("%load_ext flowbook", "load")
    assert "needs 'x' as cell 2 made it" in nb.fails("%%task t\ny = x + [9]", "t")
    nb.ok("x = x + [2]", "b")
    nb.ok("%%task t\ny = x + [9]", "t")
    assert nb.value("y") == [1, 2, 9]


def test_what_was_deleted_before_it_was_loaded_does_not_count(nb: Notebook) -> None:
    nb.ok("%unload_ext flowbook")
    nb.cells("x = 1", "del x", "%load_ext flowbook")
    assert "reads 'x', which no cell that has run defines" in nb.fails("%%task one\ny = x", "d")


def test_plain_cells_between_tasks_that_would_make_something_else_are_named(nb: Notebook) -> None:
    nb.cells("%%task one\nx = 1", "m = x", "k = 0", "%%task two\ny = m + k", RUN)
    assert "plain" not in nb.output("e")
    nb.ok("%%task one --define\nx = 2", "a")
    said = (
        "flowbook: Plain cells are not run again, though what they read is made anew: cell 2 (x). "
        "two goes on with what they made before: run them, then `%flow run`, or make them tasks."
    )
    assert said in nb.ok(RUN, "e")
    assert said in nb.ok(RUN, "e")  # as long as it is so
    nb.ok("m = x", "b")
    assert "plain" not in nb.ok(RUN, "e")
    assert nb.value("y") == 2
    assert said not in nb.ok("%flow run --only one --all", "e")  # it reads from none


def test_a_plain_cell_that_has_seen_what_a_later_one_made_is_named(nb: Notebook) -> None:
    nb.cells("%%task one\nx = 1", "m = x", "%%task two\nx = 5\ny = m", RUN)
    nb.ok("m = x", "b")
    assert "what they read is made anew: cell 2 (x)" in nb.ok(RUN, "d")


def test_a_plain_cell_that_uses_what_another_one_defines_is_named(nb: Notebook) -> None:
    nb.cells("def rate():\n    return 1", "m = rate()", "%%task one\ny = m", RUN)
    nb.ok("def rate():\n    return 2", "a")
    assert "what they read is made anew: cell 2 (what it calls)" in nb.ok(RUN, "d")
