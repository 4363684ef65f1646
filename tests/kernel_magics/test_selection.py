"""``%flow run --only`` and ``--from-failed``: a part of the notebook by itself, or the reason why it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook

RAN = "Completed"


def chain(nb: Notebook) -> None:
    """load -> middle -> end, and one apart; none has run."""
    nb.cells(
        "k = 2\nbad = False\nruns = []",
        "%%task load --define\nraw = 3",
        "%%task middle --define\nmid = k * raw",
        "%%task end --define\nend = mid + 1",
        "%%task apart --define\napart = 1 / (not bad)",
    )


def recorded(nb: Notebook) -> list[tuple[str, str, str | None]]:
    """The task runs in the database, which is not there before the first one."""
    return nb.states() if Path(nb.home, "flowbook.db").exists() else []


def ran(nb: Notebook, line: str) -> list[str]:
    """The tasks that `line` has run, sorted."""
    before = len(recorded(nb))
    nb.ok(line, "run")
    return sorted(name for name, _, state in nb.states()[before:] if state == RAN)


@pytest.mark.parametrize(
    ("selection", "runs"),
    [
        ("load", ["load"]),
        ("load+", ["end", "load", "middle"]),
        ("+middle", ["load", "middle"]),
        ("+middle+", ["end", "load", "middle"]),
        ("load,apart", ["apart", "load"]),
        ("'apart, +middle'", ["apart", "load", "middle"]),
    ],
)
def test_only_runs_what_is_selected(nb: Notebook, selection: str, runs: list[str]) -> None:
    chain(nb)
    assert ran(nb, f"%flow run --only {selection}") == runs
    assert [name for name, (state, _) in nb.tasks().items() if state == "fresh"] == sorted(
        runs, key=["load", "middle", "end", "apart"].index
    )


def test_only_leaves_the_others_out_of_the_run(nb: Notebook) -> None:
    chain(nb)
    nb.ok("%flow run --only load", "run")
    assert [name for name, _, _ in nb.states()] == ["load"]


def test_what_a_task_needs_must_be_there(nb: Notebook) -> None:
    chain(nb)
    output = nb.fails("%flow run --only middle", "run")
    assert output == (
        "UsageError: Task 'middle' needs 'raw' from task 'load', which has not run: run that cell first, or "
        "`%flow run`.\n"
    )
    assert recorded(nb) == []


def test_a_task_takes_the_values_that_are_there(nb: Notebook) -> None:
    chain(nb)
    nb.ok("%flow run", "run")
    nb.ok("%%task load --define\nraw = 100", "b")
    nb.ok("%%task middle --define\nmid = raw + 1", "c")
    assert ran(nb, "%flow run --only middle") == ["middle"]
    assert nb.value("mid, end") == (4, 7)
    assert nb.tasks()["end"] == ("stale", "mid changed")


def test_what_is_fresh_in_a_selection_does_not_run_but_for_all(nb: Notebook) -> None:
    chain(nb)
    nb.ok("%flow run", "run")
    said = nb.ok("%flow run --only middle", "run")
    assert "Nothing to run: middle is fresh. `%flow run --only middle --all` runs it again." in said
    assert "load, middle are fresh" in nb.ok("%flow run --only +middle", "run")
    assert ran(nb, "%flow run --only +middle --all --max-parallel 1") == ["load", "middle"]


def test_a_parameter_is_set_for_the_selection(nb: Notebook) -> None:
    chain(nb)
    nb.ok("%flow run", "run")
    assert ran(nb, "%flow run --only middle --set k=5") == ["middle"]
    assert nb.value("mid, end") == (15, 7)


def test_the_order_through_a_task_left_out_is_kept(nb: Notebook) -> None:
    nb.cells(
        "import time",
        "%%task make\nx = [1]",
        "%%task sees --define\ntime.sleep(0.2)\nsaw = list(x)",
        "%%task between --after sees --define\npass",
        "%%task last --after between --define\nx.append(2)",
    )
    nb.ok("%flow run --only sees,last --all", "run")
    assert nb.value("saw, x") == ([1], [1, 2])


def test_an_object_is_not_changed_twice(nb: Notebook) -> None:
    nb.cells("%%task make\nx = []", "%%task grow\nx.append(1)")
    output = nb.fails("%flow run --only grow --all", "run")
    assert "Task 'grow' has changed 'x' in place already, and would do it twice: run task 'make' again" in output
    assert ran(nb, "%flow run --only +grow --all") == ["grow", "make"]
    nb.ok("%%task make\nx = []", "a")
    assert ran(nb, "%flow run --only grow") == ["grow"]
    assert nb.value("x") == [1]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--only lod", "There is no task 'lod'. Did you mean 'load'?"),
        ("--only load,+midle+", "There is no task 'midle'. Did you mean 'middle'?"),
        ("--only ,", "%flow run: --only is ','; it needs a value, as in --only SELECTION."),
        ("--only +", "%flow run: --only is '+', which names no task; write it as t, t+, +t or +t+."),
        ("--only", "%flow run: --only needs a value, as in --only SELECTION."),
        ("--only load --from-failed", "%flow run: --only and --from-failed exclude each other; keep one."),
        ("--all --from-failed", "%flow run: --all runs also what succeeded, and --from-failed does not; keep one."),
        ("nightly --only load", "--only is for the tasks of the notebook, not for the flow 'nightly'."),
        ("nightly --from-failed", "--from-failed is for the tasks of the notebook, not for the flow 'nightly'."),
        ("--from-failed", "%flow run: --from-failed needs an earlier flow run of this notebook; begin with"),
    ],
)
def test_a_mistake_is_one_sentence_and_runs_nothing(nb: Notebook, line: str, says: str) -> None:
    chain(nb)
    output = nb.fails(f"%flow run --set k=9 {line}", "run")
    assert output.startswith("UsageError: ")
    assert says in output
    assert output.count("\n") == 1
    assert recorded(nb) == []
    assert nb.value("k") == 2


def failed(nb: Notebook) -> None:
    """load and late have succeeded, middle has failed, end and last have not run."""
    nb.cells(
        "bad = True",
        "%%task load --define\nraw = 3",
        "%%task middle --define\nmid = raw / (not bad)",
        "%%task end --define\nend = mid + 1",
        "%%task late --define\nlate = raw",
    )
    nb.fails("%flow run", "run")


def test_from_failed_runs_what_failed_and_what_follows(nb: Notebook) -> None:
    failed(nb)
    nb.ok("bad = False", "a")
    before = len(nb.states())
    nb.ok("%flow run --from-failed", "run")
    assert {name: state for name, _, state in nb.states()[before:]} == {
        "load": "Cached",
        "late": "Cached",
        "middle": RAN,
        "end": RAN,
    }
    assert nb.value("mid, end") == (3.0, 4.0)


def test_from_failed_reuses_what_succeeded_even_if_it_is_stale(nb: Notebook) -> None:
    failed(nb)
    nb.ok("bad = False", "a")
    nb.ok("%%task load --define\nraw = 100", "b")
    assert ran(nb, "%flow run --from-failed") == ["end", "middle"]
    assert nb.value("mid, late") == (3.0, 3)
    assert nb.tasks()["load"] == ("stale", "its code changed")


def test_from_failed_takes_a_cell_as_it_was_mended(nb: Notebook) -> None:
    failed(nb)
    nb.ok("%%task middle --define\nmid = raw + 1", "c")
    assert ran(nb, "%flow run --from-failed") == ["end", "middle"]


def test_from_failed_leaves_out_what_has_succeeded_since(nb: Notebook) -> None:
    failed(nb)
    nb.ok("%%task middle\nmid = raw + 1", "c")
    assert ran(nb, "%flow run --from-failed") == ["end"]


def test_from_failed_says_so_when_nothing_failed(nb: Notebook) -> None:
    chain(nb)
    nb.ok("%flow run", "run")
    nb.ok("%%task load --define\nraw = 100", "b")
    said = nb.ok("%flow run --from-failed --set k=9", "run")
    assert "Nothing to run: no task failed in the last flow run. `%flow run` runs what is stale." in said
    assert nb.value("k") == 2


def test_from_failed_with_a_parameter_runs_its_readers_too(nb: Notebook) -> None:
    chain(nb)
    nb.fails("%flow run --set bad=True", "run")
    assert ran(nb, "%flow run --from-failed --set bad=False --max-parallel 1") == ["apart"]
    nb.fails("%flow run --set bad=True", "run")
    assert ran(nb, "%flow run --from-failed --set bad=False --set k=3") == ["apart", "end", "middle"]


def test_from_failed_makes_a_half_changed_object_again(nb: Notebook) -> None:
    nb.cells(
        "bad = True",
        "%%task make --define\nx = []",
        "%%task grow --define\nx.append(1)\n1 / (not bad)",
        "%%task sees --define\nsaw = list(x)",
    )
    nb.fails("%flow run", "run")
    nb.ok("bad = False", "a")
    assert ran(nb, "%flow run --from-failed") == ["grow", "make", "sees"]
    assert nb.value("x, saw") == ([1], [1])


def test_from_failed_does_not_make_an_object_again_that_was_not_touched(nb: Notebook) -> None:
    nb.cells(
        "bad = True",
        "%%task make --define\nx = []",
        "%%task number --define\nn = 1 / (not bad)",
        "%%task grow --define\nx.append(n)",
    )
    nb.fails("%flow run", "run")
    nb.ok("bad = False", "a")
    assert ran(nb, "%flow run --from-failed") == ["grow", "number"]
    assert nb.value("x") == [1.0]


def test_a_run_of_some_tasks_does_not_forget_what_failed_of_the_others(nb: Notebook) -> None:
    failed(nb)
    nb.ok("bad = False", "a")
    nb.ok("%flow run --only load --all", "run")
    assert ran(nb, "%flow run --from-failed") == ["end", "middle"]


RESTART = """
import flowbook_magics, os
flowbook_magics.unload(get_ipython())
get_ipython().reset(new_session=False, aggressive=False)
import os
os.environ["JPY_SESSION_NAME"] = "/somewhere/report.ipynb"
get_ipython().run_line_magic("load_ext", "flowbook")
import flowbook_magics
flowbook_magics.load(get_ipython())
"""


def restarted_after_a_failure(nb: Notebook) -> None:
    nb.run(RESTART, silent=True)
    failed(nb)
    nb.run(RESTART, silent=True)
    nb.ok("bad = False", "a")


def test_after_a_restart_the_failed_tasks_are_those_of_the_record(nb: Notebook) -> None:
    restarted_after_a_failure(nb)
    nb.ok("%%task load\nraw = 3", "b")
    nb.ok("%%task middle --define\nmid = raw / (not bad)", "c")
    nb.ok("%%task end --define\nend = mid + 1", "d")
    nb.ok("%%task late --define\nlate = raw", "e")
    assert ran(nb, "%flow run --from-failed") == ["end", "middle"]


def test_after_a_restart_it_says_which_value_is_missing(nb: Notebook) -> None:
    restarted_after_a_failure(nb)
    nb.ok("%%task load --define\nraw = 3", "b")
    nb.ok("%%task middle --define\nmid = raw / (not bad)", "c")
    output = nb.fails("%flow run --from-failed", "run")
    assert "the task 'end' did not succeed in the last flow run, and its cell has not run in this kernel" in output
    nb.ok("%%task end --define\nend = mid + 1", "d")
    output = nb.fails("%flow run --from-failed", "run")
    assert "Task 'middle' needs 'raw' from task 'load', which has not run: run that cell first" in output
    assert output.count("\n") == 1


@pytest.mark.parametrize("edit", ["", "%%task b --define\nn = sum(xs)"], ids=["as it is", "edited"])
def test_a_part_that_reads_what_a_later_task_has_changed_is_run_again_by_the_next_run(nb: Notebook, edit: str) -> None:
    nb.cells("%%task a\nxs = [1]", "%%task b\nn = sum(xs)", "%%task c\nxs.append(2)")
    if edit:
        nb.ok(edit, "b")
    nb.ok("%flow run --only b --all", "d")
    assert nb.tasks()["b"] == ("stale", "c had changed xs before it ran")
    nb.ok("%flow run", "d")
    assert nb.value("(n, xs)") == (1, [1, 2])
    nb.ok("%flow run --only a,b,c --all", "d")
    assert {state for state, _ in nb.tasks().values()} == {"fresh"}
