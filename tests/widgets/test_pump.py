"""From events to the front end: what is sent, when, and that the end is never lost."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest
from tests.waiting import CUT_SHORT, WITHIN, until

from flowbook.core import states
from flowbook.core.events import Event, state_to_json
from flowbook.core.states import State
from flowbook.core.view import RunView
from flowbook.errors import FlowbookError
from flowbook_widgets.pump import Pump


class Browser:
    """A front end that follows the rules of `src/store.ts`: a delta counts only on top of the version before it."""

    def __init__(self, *, deaf: bool = False) -> None:
        self.deaf = deaf
        self.graphs: list[dict[str, Any]] = []
        self.deltas: list[dict[str, Any]] = []
        self.snapshot: dict[str, Any] = {}
        self.nodes: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.version = 0
        self.threads: set[threading.Thread] = set()

    def show(self, graph: dict[str, Any], snapshot: dict[str, Any]) -> None:
        self.graphs.append(json.loads(json.dumps(graph)))
        self.keep(snapshot)

    def keep(self, snapshot: dict[str, Any]) -> None:
        self.threads.add(threading.current_thread())
        self.snapshot = json.loads(json.dumps(snapshot))
        assert snapshot["graph"] == self.graphs[-1]["id"]
        if snapshot["version"] > self.version:
            self.version, self.nodes, self.header = snapshot["version"], self.snapshot["nodes"], snapshot["header"]

    def patch(self, delta: dict[str, Any]) -> None:
        delta = json.loads(json.dumps(delta))
        self.deltas.append(delta)
        if not self.deaf and delta["version"] == self.version + 1:
            self.version = delta["version"]
            self.nodes = {**self.nodes, **delta["nodes"]}
            self.header = delta.get("header", self.header)

    def looks(self) -> dict[str, str]:
        return {node["name"]: node["look"] for node in self.nodes.values()}


def graph(**tasks: list[str]) -> Event:
    listed = [{"id": name, "name": name, "upstream": upstream} for name, upstream in tasks.items()]
    return Event(kind="graph", time=0.0, flow_run_id="f", data={"tasks": listed})


def begun(task: str, *upstream: str) -> Event:
    return Event(
        kind="task-run", time=0.0, flow_run_id="f", task_run_id=task, data={"name": task, "upstream": upstream}
    )


def entered(task: str | None, state: State, at: float = 1.0) -> Event:
    return Event(kind="state", time=at, flow_run_id="f", task_run_id=task, data=state_to_json(state))


def names(view: RunView) -> str:
    return ",".join(node.name for node in view.nodes.values())


def pump(browser: Browser, draw: Callable[[RunView], str] = names) -> Pump:
    made = Pump("f", lambda: browser, draw=draw)
    made.start()
    return made


def test_states_arrive_while_the_main_thread_is_busy() -> None:
    browser = Browser()
    running = pump(browser)
    running.feed(graph(a=[], b=["a"]))
    until(lambda: browser.looks() == {"a": "waiting", "b": "waiting"})
    running.feed(entered("a", states.running()))
    until(lambda: browser.looks()["a"] == "running")
    running.feed(entered("a", states.completed(), 3.0))
    until(lambda: browser.looks()["a"] == "succeeded")
    assert len(browser.graphs) <= 2  # the empty one perhaps, and one layout for all these states
    assert list(browser.deltas[-1]["nodes"]) == ["n0"]  # only what changed is sent
    assert threading.main_thread() not in browser.threads
    running.finish()


def test_a_burst_is_sent_in_few_messages_and_nothing_of_it_is_lost() -> None:
    browser = Browser()
    running = pump(browser)
    tasks = [f"task_{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(200)]
    running.feed(graph(**{name: [] for name in tasks}))
    for name in tasks:
        for state in (states.running(), states.completed()):
            running.feed(entered(name, state))
    view = running.finish()
    assert view.counts() == {"succeeded": 200}
    assert set(browser.looks().values()) == {"succeeded"}
    assert len(browser.deltas) < 100


@pytest.mark.parametrize("deaf", [False, True])
def test_the_final_states_are_kept_even_when_no_delta_arrived(deaf: bool) -> None:
    for _ in range(20):
        browser = Browser(deaf=deaf)
        running = pump(browser)
        running.feed(graph(a=[]))
        until(lambda browser=browser: browser.nodes)  # type: ignore[misc]
        running.feed(entered("a", states.running()))
        running.feed(entered("a", states.failed(ValueError("x")), 2.0))
        running.feed(entered(None, states.failed(ValueError("x")), 2.0))
        running.finish()
        assert browser.looks() == {"a": "failed"}
        assert browser.snapshot["header"]["look"] == "failed"
        assert browser.snapshot["header"]["sentence"].startswith("Failed at a")


def test_a_new_shape_is_drawn_again_and_a_new_run_of_a_mapped_task_is_not() -> None:
    browser = Browser()
    running = pump(browser)
    running.feed(begun("a"))
    until(lambda: "a" in browser.looks())
    running.feed(begun("b", "a"))
    until(lambda: "b" in browser.looks())
    assert browser.graphs[-1]["svg"] == "a,b"
    for i in range(8):
        running.feed(begun(f"score-{i}", "a"))
    until(lambda: "score" in browser.looks())
    drawn = len(browser.graphs)
    running.feed(begun("score-8", "a"))
    running.feed(entered("score-8", states.completed()))
    until(lambda: browser.nodes["n2"].get("total") == 9)
    assert len(browser.graphs) == drawn
    running.finish()


def test_a_graph_that_takes_long_to_draw_is_drawn_less_often_while_it_grows() -> None:
    def slowly(view: RunView) -> str:
        time.sleep(0.1)
        return names(view)

    browser = Browser()
    running = pump(browser, slowly)
    tasks = [chr(97 + i) for i in range(20)]
    began = time.monotonic()
    for task in tasks:
        running.feed(begun(task))
        running.feed(entered(task, states.completed()))
        time.sleep(0.03)  # less than half of what drawing all of them on arrival would take
    until(lambda: browser.graphs[-1]["svg"] == ",".join(tasks))  # nothing but the time that has passed makes it due
    assert len(browser.graphs) <= 2 + (time.monotonic() - began) / 0.5  # a fifth of the time is spent on drawing
    assert browser.looks() == dict.fromkeys(tasks, "succeeded")
    running.finish()


def test_what_waits_when_the_run_ends_was_not_run() -> None:
    browser = Browser()
    running = pump(browser)
    running.feed(graph(a=[], b=["a"]))
    until(lambda: browser.nodes)
    running.feed(entered(None, states.cancelled()))
    running.finish()
    assert browser.looks() == {"a": "not-run", "b": "not-run"}
    assert browser.header["counts"] == {"not-run": 2}


def test_a_graph_that_cannot_be_drawn_still_has_states() -> None:
    def fails(view: RunView) -> str:
        raise FlowbookError("The layout took too long.")

    browser = Browser()
    running = pump(browser, fails)
    running.feed(graph(a=[]))
    until(lambda: browser.nodes)
    assert browser.graphs[-1] == {"id": browser.graphs[-1]["id"], "svg": "", "problem": "The layout took too long."}
    running.finish()
    assert browser.looks() == {"a": "waiting"}


def test_a_layout_that_hangs_does_not_hold_up_the_end() -> None:
    release = threading.Event()

    def hangs(view: RunView) -> str:
        release.wait(WITHIN)
        return ""

    running = pump(Browser(), hangs)
    running.feed(graph(a=[]))
    running.feed(entered("a", states.completed()))
    began = time.monotonic()
    view = running.finish(timeout=0.3)
    assert time.monotonic() - began < CUT_SHORT
    assert view.counts() == {"succeeded": 1}
    assert running.busy
    release.set()
    running.finish()
    assert not running.busy


def test_a_screen_that_breaks_does_not_break_the_run(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Browser):
        def patch(self, delta: dict[str, Any]) -> None:
            raise RuntimeError("the connection is gone")

    browser = Broken()
    running = pump(browser)
    running.feed(graph(a=[]))
    until(lambda: browser.nodes)
    running.feed(entered("a", states.running()))
    until(lambda: "the run goes on" in caplog.text)
    running.feed(entered("a", states.completed()))
    assert running.finish().counts() == {"succeeded": 1}


def test_a_run_that_ends_within_the_grace_period_opens_no_screen() -> None:
    def never() -> Browser:
        raise AssertionError("no screen was needed")

    running = Pump("f", never, grace=WITHIN)
    running.start()
    running.feed(graph(a=[]))
    began = time.monotonic()
    assert running.finish().counts() == {"waiting": 1}
    assert time.monotonic() - began < CUT_SHORT


def test_the_thread_belongs_to_the_cell_that_started_it() -> None:
    cell: ContextVar[str] = ContextVar("cell")
    seen: list[str] = []

    class Noting(Browser):
        def show(self, graph: dict[str, Any], snapshot: dict[str, Any]) -> None:
            seen.append(cell.get())
            super().show(graph, snapshot)

    cell.set("first")
    running = pump(Noting())
    cell.set("second")
    running.feed(graph(a=[]))
    running.finish()
    assert set(seen) == {"first"}


def test_feeding_costs_little() -> None:
    running = pump(Browser())
    events = [entered("a", states.running())] * 20_000
    began = time.thread_time()
    for event in events:
        running.feed(event)
    cost = (time.thread_time() - began) / len(events)
    running.finish()
    assert cost < 1e-3
