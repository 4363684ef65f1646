"""What stays in the notebook of a run that failed: why, and what can be done about it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flowbook import engine, flow, task
from flowbook.core.states import State
from flowbook.run.task_execution import TaskExecution
from flowbook_magics.task_notes import MOST_COMPLETED, MOST_FAILED, TaskNotes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kernel_magics.conftest import Notebook

MIME_TYPE = "application/vnd.flowbook.run+json"
FUNCTIONS = """
import json
from flowbook import flow, task
from pydantic import SecretStr

@task
def load(n: int) -> list[int]:
    return list(range(n))

@task(retries=2)
def total(rows: list[int], key: SecretStr, limit: int = 3) -> int:
    if sum(rows) > limit:
        raise ValueError(f"{sum(rows)} above {limit}")
    return sum(rows)

@flow
def nightly(n: int = 2) -> int:
    return total(load(n), SecretStr("hunter2"))
"""


def left(nb: Notebook, cell: str) -> dict[str, Any]:
    """The last thing displayed in a cell."""
    data: dict[str, Any] = [item for item in nb.outputs[cell].items if item["kind"] == "display"][-1]["data"]
    return data


def test_a_task_function_that_failed_shows_its_inputs_line_and_last_success(nb: Notebook) -> None:
    nb.cells("%load_ext flowbook", FUNCTIONS)
    nb.ok("%flow run nightly", "well")
    assert "Failed" not in left(nb, "well")["text/plain"]
    nb.fails("%flow run nightly --set n=5", "run")
    said = left(nb, "run")["text/plain"]
    assert "x Failed · total · cell In[" in said and "line 12 in total · attempt 3 of 3" in said
    assert '  > raise ValueError(f"{sum(rows)} above {limit}")' in said
    assert "rows=[0, 1, 2, 3, 4]  key=**********  limit=3" in said
    assert "Last success: run 1, 2" in said
    assert "hunter2" not in json.dumps(left(nb, "run"))
    rerun, debug = left(nb, "run")[MIME_TYPE]["actions"]
    assert rerun["problem"] == "a flow made of functions runs as a whole, by `%flow run nightly`"
    assert (debug["label"], debug["code"]) == ("Debug here", "%flow debug last total")


def test_runs_of_a_notebook_whose_file_is_not_known_may_be_of_another_one(nb: Notebook, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    nb.cells("import os, pathlib", f"%%task check --define\nassert not pathlib.Path({str(bad)!r}).exists()")
    for setting, is_said in (("x", False), ("report.ipynb", True)):
        nb.ok(f"os.environ['FLOWBOOK_NOTEBOOK'] = {setting!r}", silent=True)
        nb.ok("%flow run --all", "run")
        bad.touch()
        nb.fails("%flow run --all", "run")
        bad.unlink()
        assert ("Last success: run" in left(nb, "run")["text/plain"]) is is_said
    nb.ok("del os.environ['FLOWBOOK_NOTEBOOK']", silent=True)


def test_the_buttons_say_how_many_tasks_run_again_and_are_for_the_last_run_only(nb: Notebook) -> None:
    nb.cells(
        "rows = [1]", "%%task load --define\na = rows", "%%task 'sum up' --define\nb = a[1]", "%%task c --define\nd = b"
    )
    nb.fails("%flow run", "run")
    first = left(nb, "run")[MIME_TYPE]
    assert [action["code"] for action in first["actions"]] == [
        "%flow run --from-failed",
        "%flow debug last 'sum up'",
    ]
    assert first["actions"][0]["label"] == "Rerun from here (2 of 3)"
    assert "x Failed · sum up · cell In[" in left(nb, "run")["text/plain"]
    assert "Not run: c" in left(nb, "run")["text/plain"]
    asks = "__import__('flowbook_magics.after_failure', fromlist=['_']).is_last(get_ipython(), {!r})"
    assert nb.value(asks.format(first["run"])) is True
    nb.fails("%flow run --from-failed", "again")
    assert nb.value(asks.format(first["run"])) is False


def test_however_large_a_run_is_only_so_much_is_noted() -> None:
    @task
    def odd(n: int) -> int:
        if n % 2:
            raise ValueError(n)
        return n

    @flow
    def many() -> int:
        runs = [odd(n, return_state=True) for n in range(2 * MOST_COMPLETED + 20)]
        return len(runs)

    notes, ended = TaskNotes(_Shell()), list[str]()
    run = many.begin({})

    def take(each: TaskExecution, state: State) -> None:
        ended.append(each.id)
        notes.take(each, state)

    run.ending = take
    engine.run_flow(run)
    assert len(ended) == 2 * MOST_COMPLETED + 20
    noted = [notes.of(each) for each in ended]
    assert sum("result" in note for note in noted) == MOST_COMPLETED
    assert sum("frames" in note for note in noted) == MOST_FAILED
    assert noted[1]["inputs"] == [["n", "1"]] and noted[1]["frames"][-1]["code"] == "raise ValueError(n)"
    assert noted[2]["result"] == [["returned", "2"]]


class _Shell:
    """A shell that has compiled no cell."""

    compile = None
