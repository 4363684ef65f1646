"""Cells that await: what one has begun another goes on with, and what belongs to no other runs beside the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook

BEGIN = "begun = asyncio.create_task(asyncio.sleep(0.01, 'slept'))"
BUSY = {
    "awaits": "await asyncio.sleep(600)",
    "sleeps": "later = asyncio.create_task(asyncio.sleep(0))\nprint('begun', flush=True)\ntime.sleep(600)",
    "spins": "later = asyncio.create_task(asyncio.sleep(0))\nprint('begun', flush=True)\nwhile time: pass",
}


@pytest.mark.parametrize("define", ["", " --define"], ids=["cell by cell", "as a flow"])
@pytest.mark.parametrize("how", BUSY)
def test_cells_go_on_with_the_loop_of_one_that_was_stopped(nb: Notebook, how: str, define: str) -> None:
    nb.ok("import asyncio, time", "setup")
    nb.ok(f"%%task begin\n{BEGIN}", "begin")
    request = nb.send(f"%%task busy{define} --after begin\nprint('begun', flush=True)\nbegun\n{BUSY[how]}", "busy")
    if define:
        nb.finish(request)
        request = nb.send("%flow run --only busy", "run")
    nb.until(lambda: "begun" in nb.output("busy"))
    nb.manager.interrupt_kernel()
    assert nb.finish(request).status == "error"
    assert [state for name, state, _ in nb.states() if name == "busy"] == ["CANCELLED"]
    nb.ok("%%task end\nwhat = await begun", "end")
    assert nb.value("what") == "slept"


def test_cells_that_share_nothing_await_at_the_same_time(nb: Notebook) -> None:
    nb.ok("import asyncio, threading\nboth = threading.Barrier(2, timeout=60)\nfast = 1", "setup")
    for name in "ab":
        nb.ok(f"%%task {name} --define\n{name} = await asyncio.to_thread(both.wait)", name)
    nb.ok("%flow run", "run")
    assert sorted((nb.value("a"), nb.value("b"))) == [0, 1]


def test_a_cell_that_leaves_something_behind_keeps_its_place_and_check_says_why(nb: Notebook) -> None:
    nb.ok("import asyncio", "setup")
    nb.ok(f"%%task begin --define\n{BEGIN}", "begin")
    nb.ok("%%task other --define\nother = 1", "other")
    nb.ok("%%task end --define\nawait asyncio.sleep(0)", "end")
    said = nb.ok("%flow check", "check")
    why = "because it starts tasks of asyncio that go on when it has ended, or may await them"
    assert said.count(why) == 2, said


def test_an_error_in_the_shared_loop_is_shown_as_the_cell_raised_it(nb: Notebook) -> None:
    nb.ok("import asyncio", "setup")
    nb.ok(f"%%task begin --define\n{BEGIN}\n1/0", "begin")
    assert nb.run("%flow run", "run").status == "error"
    shown = nb.output("begin")
    assert "ZeroDivisionError" in shown
    assert "line 3" in shown.replace("---->", "line"), shown
    assert "awaiting.py" not in shown, shown
    assert "cell_code.py" not in shown, shown
