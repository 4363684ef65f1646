"""The stop button: everything ends soon, as Cancelled, and the kernel goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from tests.waiting import CUT_SHORT

from flowbook.flow_runs import cancel_flow_run
from flowbook.runs import recent_runs

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook, Reply

BUSY = {
    "python": "while time: pass",
    "sleep": "time.sleep(60)",
    "await": "await asyncio.sleep(60)",
    "lock": "threading.Event().wait(60)",
    "shell": "!sleep 60",
}


def interrupt_once_running(nb: Notebook, source: str, cell: str, marker: str = "begun") -> tuple[Reply, float]:
    request = nb.send(source, cell)
    nb.until(lambda: any(marker in nb.output(name) for name in nb.outputs))
    time.sleep(0.1)
    nb.manager.interrupt_kernel()
    began = time.monotonic()
    return nb.finish(request), time.monotonic() - began


def is_usable(nb: Notebook) -> bool:
    nb.ok("%%task afterwards\nafterwards = 1", "afterwards")
    return bool(nb.value("afterwards == 1"))


@pytest.mark.parametrize("how", BUSY)
def test_a_single_task(nb: Notebook, how: str) -> None:
    nb.ok("import asyncio, threading, time", "setup")
    reply, took = interrupt_once_running(nb, f"%%task busy\nprint('begun', flush=True)\n{BUSY[how]}\nx = 1", "a")
    assert took < CUT_SHORT
    assert reply.ename == "KeyboardInterrupt"
    assert nb.states() == [("busy", "CANCELLED", "Cancelled")]
    assert nb.value("'x' in globals()") is False
    assert nb.tasks()["busy"] == ("stale", "its last run is Cancelled")
    assert is_usable(nb)


def test_a_single_task_with_a_timeout(nb: Notebook) -> None:
    nb.ok("import time", "setup")
    reply, took = interrupt_once_running(
        nb, "%%task busy --timeout 1h\nprint('begun', flush=True)\nwhile True: time.sleep(0.01)", "a"
    )
    assert took < CUT_SHORT
    assert reply.ename == "KeyboardInterrupt"
    assert nb.states() == [("busy", "CANCELLED", "Cancelled")]
    assert is_usable(nb)


def test_a_task_that_waits_for_its_retry(nb: Notebook) -> None:
    reply, took = interrupt_once_running(
        nb, "%%task busy --retries 1 --retry-delay 1h\nprint('begun', flush=True)\n1/0", "a"
    )
    assert took < CUT_SHORT
    assert reply.ename == "KeyboardInterrupt"
    assert nb.states() == [("busy", "CANCELLED", "Cancelled")]
    assert is_usable(nb)


@pytest.mark.parametrize("how", BUSY)
def test_a_run_of_all_tasks(nb: Notebook, how: str) -> None:
    nb.ok("import asyncio, threading, time", "setup")
    nb.ok(f"%%task busy --define\nprint('begun', flush=True)\n{BUSY[how]}\nx = 1", "a")
    nb.ok("%%task quick --define\nquick = 1", "b")
    nb.ok("%%task later --define\nlater = x", "c")
    reply, took = interrupt_once_running(nb, "%flow run", "run")
    assert took < CUT_SHORT
    assert reply.status == "error"
    states = {name: state for name, state, _ in nb.states()}
    assert states.pop("quick") in ("COMPLETED", "CANCELLED")
    assert states == {"busy": "CANCELLED", "later": "CANCELLED"}
    assert [state for _, state, _ in nb.states("flow_run")] == ["CANCELLED"]
    assert is_usable(nb)


def test_a_flow_of_a_cell(nb: Notebook) -> None:
    nb.ok("import time", "setup")
    nb.ok("%%flow endless\nprint('begun', flush=True)\nwhile True: time.sleep(0.01)", "a")
    reply, took = interrupt_once_running(nb, "%flow run endless", "run")
    assert took < CUT_SHORT
    assert reply.ename == "KeyboardInterrupt"
    assert [state for _, state, _ in nb.states("flow_run")] == ["CANCELLED"]
    assert is_usable(nb)


@pytest.mark.parametrize("source", ["%flow run endless", "await endless()", "%flow run calls", "calls()"])
def test_an_async_flow(nb: Notebook, source: str) -> None:
    nb.ok("import asyncio, threading\nfrom flowbook import flow, task", "setup")
    nb.ok(
        "@flow\nasync def endless():\n    print('begun', flush=True)\n    await asyncio.sleep(60)\n"
        "@task\nasync def sleeps():\n    print('begun', flush=True)\n    await asyncio.sleep(60)\n"
        "@flow\ndef calls():\n    return sleeps.submit().result()",
        "a",
    )
    reply, took = interrupt_once_running(nb, source, "run")
    assert took < CUT_SHORT
    assert reply.ename in ("KeyboardInterrupt", "CancelledError")
    assert [state for _, state, _ in nb.states("flow_run")] == ["CANCELLED"]
    assert nb.value("[t.name for t in threading.enumerate() if t.name == 'flowbook-coroutine']") == []
    assert is_usable(nb)


def test_an_awaited_task(nb: Notebook) -> None:
    nb.ok("import asyncio\nfrom flowbook import task", "setup")
    nb.ok("@task\nasync def sleeps():\n    print('begun', flush=True)\n    await asyncio.sleep(60)", "a")
    reply, took = interrupt_once_running(nb, "await sleeps()", "run")
    assert took < CUT_SHORT
    assert reply.ename == "CancelledError"
    assert nb.states() == [("sleeps", "CANCELLED", "Cancelled")]


@pytest.mark.parametrize("source", ["sleeps()", "await awaits()", "%flow run sleeps", "%flow run awaits", "%flow run"])
def test_a_run_that_another_process_cancels(nb: Notebook, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    nb.ok("import asyncio, time\nfrom flowbook import flow", "setup")
    nb.ok(
        "@flow\ndef sleeps():\n    print('begun', flush=True)\n    time.sleep(60)\n"
        "@flow\nasync def awaits():\n    print('begun', flush=True)\n    await asyncio.sleep(60)",
        "a",
    )
    nb.ok("%%task busy --define\nprint('begun', flush=True)\nwhile True: time.sleep(0.01)", "b")
    request = nb.send(source, "run")
    nb.until(lambda: any("begun" in nb.output(name) for name in nb.outputs))
    monkeypatch.setenv("FLOWBOOK_HOME", nb.home)
    while not recent_runs(1):
        time.sleep(0.01)
    began = time.monotonic()
    cancel_flow_run("last")
    reply = nb.finish(request)
    assert time.monotonic() - began < CUT_SHORT
    assert reply.ename == ("FlowRunFailed" if source.startswith("%") else "CancelledRun")
    assert "Cancelled on request of " in nb.output("run")
    assert [state for _, state, _ in nb.states("flow_run")] == ["CANCELLED"]
    assert is_usable(nb)


def test_a_run_after_an_interrupted_one(nb: Notebook) -> None:
    nb.ok("import time\npatient = False", "setup")
    nb.ok("%%task busy --define\nprint('begun', flush=True)\nwhile not patient: time.sleep(0.01)\nx = 1", "a")
    interrupt_once_running(nb, "%flow run", "run")
    nb.ok("import time\npatient = True", "setup")
    nb.ok("%flow run", "run")
    assert nb.value("x") == 1


@pytest.mark.parametrize("place", ["kernel", "process"])
@pytest.mark.parametrize("how", ["alone", "in a flow run"])
def test_a_mapped_cell(nb: Notebook, how: str, place: str) -> None:
    nb.ok("import time\nnumbers = [1, 2]", "setup")
    source = f"%%task part --map n=numbers --isolate {place}"
    body = "print('begun', flush=True)\nfor _ in range(6000):\n    time.sleep(0.01)\nx = n"
    if how == "alone":
        _, took = interrupt_once_running(nb, f"{source}\n{body}", "a")
    else:
        nb.ok(f"{source} --define\n{body}", "a")
        _, took = interrupt_once_running(nb, "%flow run", "run")
    assert took < CUT_SHORT
    assert {state for _, state, _ in nb.states()} == {"CANCELLED"}
    assert is_usable(nb)


def test_an_interrupt_as_a_cell_begins(nb: Notebook) -> None:
    nb.ok(
        """
        def struck(info):
            del session._begin_cell
            raise KeyboardInterrupt
        session = get_ipython().magics_manager.registry['FlowbookMagics'].session
        session._begin_cell = struck
        """.replace("\n        ", "\n"),
        silent=True,
    )
    assert "KeyboardInterrupt" in nb.fails("import time\nfor _ in range(6000): time.sleep(0.01)", "a")
    assert is_usable(nb)


def test_an_interrupt_as_a_flow_run_begins(nb: Notebook) -> None:
    nb.ok("%%task a --define\nx = 1", "a")
    nb.ok(
        """
        from flowbook.run.requests import Watcher
        def struck(watcher, *args):
            Watcher.enter = enter
            raise KeyboardInterrupt
        enter, Watcher.enter = Watcher.enter, struck
        """.replace("\n        ", "\n"),
        silent=True,
    )
    nb.fails("%flow run", "run")
    assert [state for _, state, _ in nb.states("flow_run")] == ["CANCELLED"]
    assert is_usable(nb)


def test_an_interrupt_that_a_magic_stumbles_over_is_one(nb: Notebook) -> None:
    nb.ok(
        """
        def stumble(line):
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt:
                child.close()  # as IPython's shell lines do with what they have not begun yet
            child = None
        get_ipython().register_magic_function(stumble)
        """.replace("\n        ", "\n"),
        silent=True,
    )
    reply = nb.run("%%task busy\n%stumble\nx = 1", "a")
    assert reply.ename == "KeyboardInterrupt"
    assert nb.states() == [("busy", "CANCELLED", "Cancelled")]
