"""The live view alone on a page of Chromium, fed with what the kernel sends. Nothing of Jupyter is needed for that."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, Route

from flowbook.core import states
from flowbook.core.events import Event, state_to_json
from flowbook.core.states import State
from flowbook_widgets.answers import Answer, Details, answer_of
from flowbook_widgets.live import STATIC
from flowbook_widgets.pump import Pump

SHOTS = os.environ.get("FLOWBOOK_SCREENSHOTS")
_ADDRESS = "http://flowbook.test/"
_HTML = """<!doctype html><html lang="en"><meta charset="utf-8"><title>A run</title>
<link rel="stylesheet" href="dag.css"><body style="margin: 8px"><main id="host"></main><script type="module">
import dag from "./dag.js";
const heard = {};
window.traits = { snapshot: "{}" };
const model = {
  get: (name) => window.traits[name],
  on: (event, call) => { (heard[event] ??= new Set()).add(call); },
  off: (event, call) => { heard[event]?.delete(call); },
  send: async (message) => {
    const answer = await window.ask(message);
    window.tell("msg:custom", { type: "answer", id: message.id, answer });
  },
};
window.tell = (event, message) => { for (const call of heard[event] ?? []) call(message); };
dag.render({ model, el: document.getElementById("host") });
window.ready = true;
</script></body></html>"""


@dataclass
class DagPage:
    """A page that shows one run; `enter` and `feed` tell it what happened, by a clock that starts at 1000.0."""

    page: Page
    answer: Answer | None = None
    details: Details | None = None

    def open(self) -> None:
        """Load the page."""
        self.page.route(f"{_ADDRESS}**", _serve)
        self.page.expose_function("ask", lambda question: self.answer(question) if self.answer else {})
        self.page.goto(_ADDRESS)
        self.page.wait_for_function("window.ready")

    def run(self, graph: Mapping[str, Sequence[str]], happened: Sequence[tuple[str | None, State, float]]) -> None:
        """Show a run of these tasks (each with what it follows) to which this has happened: who, what, when."""
        tasks = [{"id": name, "name": name, "upstream": list(before)} for name, before in graph.items()]
        events = [event("flow-run", 1000.0, name="calm-otter", flow="nightly"), event("graph", 1000.0, tasks=tasks)]
        events += [event("state", at, task, **state_to_json(state)) for task, state, at in happened]
        self.show(events)

    def show(self, events: Sequence[Event]) -> None:
        """Show what these events add up to."""
        screen = _Screen()
        pump = Pump("f", lambda: screen, clock=lambda: max(event.time for event in events))
        for each in events:
            pump.feed(each)
        pump.start()
        while not screen.snapshot:
            time.sleep(0.005)
        view = pump.finish()
        self.answer = lambda question: answer_of(view, question, details=self.details)
        self.page.evaluate(
            "(traits) => { Object.assign(window.traits, traits); window.tell('change:snapshot'); }",
            {"graph": screen.graph, "snapshot": json.dumps(screen.snapshot)},
        )

    def node(self, name: str) -> Locator:
        """The box of a task."""
        return self.page.locator(".fb-node").filter(has=self.page.locator(f".fb-name:text-is({json.dumps(name)})"))

    def shot(self, name: str) -> None:
        """Take screenshots, light and dark, where they were asked for by FLOWBOOK_SCREENSHOTS."""
        for dark in (True, False) if SHOTS else ():
            self.colours(dark=dark)
            self.page.screenshot(path=str(Path(str(SHOTS)) / f"dag-{name}{'-dark' if dark else ''}.png"))

    def colours(self, *, dark: bool) -> None:
        """Have the browser's user prefer dark colours, or light ones."""
        self.page.emulate_media(color_scheme="dark" if dark else "light")
        self.page.evaluate(f"document.body.style.background = '{'#16191d' if dark else '#fff'}'")


def event(kind: Any, at: float, task: str | None = None, **data: Any) -> Event:
    """One event of the run."""
    return Event(kind=kind, time=at, flow_run_id="f", task_run_id=task, data=data)


def failed_run() -> tuple[dict[str, list[str]], list[tuple[str | None, State, float]]]:
    """A run of eight tasks that failed at the last but one, after a retry of another."""
    graph: dict[str, list[str]] = {
        "extract_orders": [], "fetch_rates": [], "clean": ["extract_orders", "fetch_rates"],
        "enrich": ["clean"], "score": ["enrich"], "aggregate": ["score"], "validate": ["aggregate"],
        "publish": ["validate"],
    }  # fmt: skip
    happened: list[tuple[str | None, State, float]] = [(None, states.running(), 1000.0)]
    at = 1000.0
    for name in graph:
        if name == "publish":
            break
        happened.append((name, states.running(), at))
        if name == "fetch_rates":
            broken = states.failed(ConnectionError("503"))
            happened += [(name, states.awaiting_retry(0.5, 1, broken), at + 1), (name, states.running(2), at + 1.5)]
        if name == "extract_orders":
            happened.append((name, states.completed(attempt=1), at + 2.5))
            continue
        at += 2.5
        if name == "validate":
            happened.append((name, states.failed(ValueError("total 1347.5 above limit 1000"), attempt=1), at))
        else:
            happened.append((name, states.completed(attempt=2 if name == "fetch_rates" else 1), at))
    happened.append(("publish", states.not_ready("validate failed"), at))
    happened.append((None, states.failed(ValueError("total 1347.5 above limit 1000")), at + 0.1))
    return graph, happened


class _Screen:
    """Keeps what a front end that comes late is given."""

    def __init__(self) -> None:
        self.graph: dict[str, Any] = {}
        self.snapshot: dict[str, Any] = {}

    def show(self, graph: dict[str, Any], snapshot: dict[str, Any]) -> None:
        self.graph = dict(graph)
        self.keep(snapshot)

    def keep(self, snapshot: dict[str, Any]) -> None:
        self.snapshot = snapshot

    def patch(self, delta: dict[str, Any]) -> None:
        pass


def _serve(route: Route) -> None:
    name = route.request.url.removeprefix(_ADDRESS)
    if not name:
        route.fulfill(content_type="text/html", body=_HTML)
    elif (STATIC / name).is_file():
        route.fulfill(path=STATIC / name)
    else:
        route.fulfill(status=404)
