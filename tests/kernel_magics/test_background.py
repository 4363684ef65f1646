"""``%flow run --background``: other cells are executed while the flow runs, and what it makes arrives all the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from flowbook.runs import recent_runs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kernel_magics.conftest import Notebook

SETUP = "import threading\ngo = threading.Event()"
SLOW = "%%task slow --define\nprint('begun', flush=True)\nassert go.wait(60)\nx = 1"


def begin(nb: Notebook, *more: str) -> None:
    """A run is under way whose task `slow` waits for `go`; it stands in the cell ``run``."""
    nb.ok(SETUP, "setup")
    nb.ok(SLOW, "slow")
    for source in more:
        nb.ok(source, source.split()[1])
    nb.ok("%flow run --background", "run")
    nb.until(lambda: "begun" in nb.output("slow"))


def ended(nb: Notebook, how: str) -> Callable[[], bool]:
    return lambda: how in nb.output("run") and "LiveDag(" not in nb.output("run")


def test_other_cells_are_executed_while_it_goes_on(nb: Notebook) -> None:
    begin(nb, "%%task fast --define\nfast = 5", "%%task last --define\nprint('last', x)\ny = x + 1")
    nb.until(lambda: nb.value("globals().get('fast')") == 5)
    assert nb.value("'x' in globals()") is False
    assert nb.ok("40 + 2", "other") == "42"
    nb.ok("go.set()", "go")
    nb.until(ended(nb, "Succeeded"))
    assert nb.value("(x, y)") == (1, 2)
    assert nb.output("last") == "last 1\n"
    assert nb.output("go") == ""
    assert nb.output("other") == "42"
    assert "<img" in nb.outputs["run"].items[0]["data"]["text/html"]
    assert nb.tasks() == dict.fromkeys(("slow", "fast", "last"), ("fresh", ""))
    assert [state for _, state, _ in nb.states("flow_run")] == ["COMPLETED"]


def test_the_view_says_what_failed_and_the_traceback_stands_under_its_cell(nb: Notebook) -> None:
    begin(nb, "%%task bad --define\nbad = 1 / (x - 1)")
    nb.ok("go.set()", "go")
    nb.until(ended(nb, "Failed at bad"))
    assert "ZeroDivisionError" in nb.output("run")
    assert "bad = 1 / (x - 1)" in nb.outputs["bad"].of("error")
    assert nb.tasks()["bad"] == ("stale", "its last run is Failed")
    assert nb.value("x") == 1


def test_a_second_run_is_refused_until_the_first_has_ended(nb: Notebook) -> None:
    begin(nb)
    for line in ("%flow run", "%flow run --background --all"):
        output = nb.fails(line, "second")
        assert output.startswith("UsageError: %flow run: the flow run '")
        assert output.endswith("' goes on in the background; wait for its end, or end it with `%flow cancel`.\n")
        assert output.count("\n") == 1
    nb.ok("go.set()", "go")
    nb.until(ended(nb, "Succeeded"))
    assert "Nothing to run" in nb.ok("%flow run --background", "second")


@pytest.mark.parametrize("busy", ["while time: pass", "threading.Event().wait(60)", "!sleep 60"])
def test_cancel_ends_it_and_nothing_stays_running(nb: Notebook, busy: str) -> None:
    nb.ok("import threading, time", "setup")
    nb.ok(f"%%task busy --define\nprint('begun', flush=True)\n{busy}\nx = 1", "busy")
    nb.ok("%%task later --define\ny = x", "later")
    nb.ok("%flow run --background", "run")
    nb.until(lambda: "begun" in nb.output("busy"))
    output = nb.ok("%flow cancel", "cancel")
    assert re.search(r"Flow run '[\w-]+' is Cancelled\.$", output)
    assert [state for _, state, _ in nb.states("flow_run")] == ["CANCELLED"]
    assert [(name, state) for name, state, _ in nb.states()] == [("busy", "CANCELLED"), ("later", "CANCELLED")]
    nb.until(ended(nb, "Cancelled"))
    assert nb.value("'x' in globals()") is False
    assert "no flow run goes on in the background" in nb.fails("%flow cancel", "cancel")
    nb.ok("%%task afterwards --define\nz = 3", "afterwards")
    nb.ok("%flow run --only afterwards", "run")
    assert nb.value("z") == 3


def test_a_cell_that_is_edited_meanwhile_keeps_what_the_user_made_of_it(nb: Notebook) -> None:
    begin(nb, "%%task last --define\ny = x + 7")
    nb.ok("%%task slow\nx = 100", "slow")
    nb.ok("go.set()", "go")
    nb.until(lambda: nb.value("'y' in globals()"))
    assert nb.value("(x, y)") == (100, 8)
    assert nb.tasks() == {"slow": ("fresh", ""), "last": ("stale", "x changed")}
    nb.ok("%flow run", "again")
    assert nb.value("(x, y)") == (100, 107)


def test_a_constant_that_changes_meanwhile_is_for_the_next_run(nb: Notebook) -> None:
    nb.ok("k = 1", "k")
    begin(nb, "%%task last --define\ny = x + k")
    nb.ok("k = 1000", "k")
    nb.ok("go.set()", "go")
    nb.until(ended(nb, "Succeeded"))
    assert nb.value("y") == 2
    assert nb.tasks()["last"] == ("stale", "k changed")


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_flow_by_its_name_shows_its_result(nb: Notebook, kind: str) -> None:
    nb.ok(SETUP + "\nfrom flowbook import flow", "setup")
    nb.ok(
        f"@flow\n{kind} nightly(n: int = 1):\n    print('begun', flush=True)\n    go.wait(60)\n    return n * 111", "f"
    )
    nb.ok("%flow run nightly --background --set n=3", "run")
    nb.until(lambda: "begun" in nb.output("run"))
    nb.ok("go.set()", "go")
    nb.until(ended(nb, "333"))
    assert "Succeeded" in nb.output("run")


def test_a_flow_by_its_name_that_fails(nb: Notebook) -> None:
    nb.ok("from flowbook import flow\n@flow\ndef nightly():\n    raise OSError('no disk')", "setup")
    nb.ok("%flow run nightly --background", "run")
    nb.until(ended(nb, "no disk"))


def test_a_kernel_that_is_shut_down_leaves_a_crashed_run(
    nb: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = type(nb)(str(tmp_path))
    try:
        own.reset()
        begin(own)
        own.manager.shutdown_kernel()
        monkeypatch.setenv("FLOWBOOK_HOME", own.home)
        own.until(lambda: recent_runs(1)[0].state_name == "Crashed")
        assert {state for _, state, _ in own.states()} == {"CRASHED"}
    finally:
        own.close()
