"""What a person waits for in the live view: a real JupyterLab, a real Chromium, a kernel that is busy with its cell.

``python benchmarks/browser.py [events|mapped|paint|changes|cancel ...]`` (default: all)

The browser and the kernel are on one computer and go by one clock.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measuring import header, heading, row
from playwright.sync_api import Page

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.browser.conftest import Lab, running_chromium, running_lab

ENDS = 100  # runs

#: What the cells have in common. Events are recorded by a thread while the main thread never gives the loop a turn.
KERNEL = """
import json, threading, time
from pathlib import Path
from flowbook.core import states
from flowbook.core.events import Event, state_to_json
from flowbook.visualize import render
from flowbook_widgets import live_view

render("digraph { a }")  # the first layout in a new home compiles Graphviz
sent = []

def begin(view, graph):
    sent.append(["graph", "", time.time()])
    tasks = [{"id": name, "name": name, "upstream": upstream} for name, upstream in graph.items()]
    view.feed(Event(kind="graph", time=time.time(), flow_run_id="f", data={"tasks": tasks}))
    enter(view, None, states.running())

def enter(view, task, state):
    sent.append([task, state.name, time.time()])
    view.feed(Event(kind="state", time=time.time(), flow_run_id="f", task_run_id=task, data=state_to_json(state)))

def blocked(work):
    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        time.sleep(0.2)

def layers(n, width=10):
    names = [f"step_{chr(97 + i // 260)}{chr(97 + i // 10 % 26)}{chr(97 + i % 10)}" for i in range(n)]
    return {name: names[i - width:i - width + 1] if i >= width else [] for i, name in enumerate(names)}

retrying = states.awaiting_retry(1, 1, states.failed(ValueError("no")))

def spread(view, names, rate, seconds):
    began, i = time.time(), 0
    while time.time() - began < seconds:
        while i < rate * (time.time() - began):
            turn, at = divmod(i, len(names))
            enter(view, names[at], retrying if turn % 2 else states.running())
            i += 1
        time.sleep(0.002)
"""
SHOWN = """
graph = {graph}
with live_view("f") as view:
    begin(view, graph)
    time.sleep({wait})
    blocked(lambda: spread(view, list(graph), {rate}, {seconds}))
    time.sleep(0.5)
Path("sent.json").write_text(json.dumps(sent))
print("the cell has " + "ended")
"""
#: JupyterLab shows the first 50 outputs of a cell.
ENDS_OF_A_CELL = """
for i in range(25):
    with live_view("f", grace=0) as view:
        begin(view, {"a": []})
        enter(view, "a", states.running())
        time.sleep(0.25)
        enter(view, "a", states.completed())
        enter(view, None, states.completed())
        sent[-1][1] = "the end"
"""
LAST = """
Path("sent.json").write_text(json.dumps(sent))
print("the cell has " + "ended")
"""
#: Notes when nodes change and when pictures appear, by the clock of the kernel.
WATCH = """
() => {
  Object.assign(window, { seen: [], ends: [] });
  const look = /fb-(waiting|running|retrying|succeeded|failed)/;
  new MutationObserver((changes) => {
    const now = Date.now() / 1000;
    for (const { target, addedNodes } of changes) {
      const found = target.dataset?.node && look.exec(target.getAttribute("class"));
      if (found) window.seen.push([target.querySelector("title").textContent.split(":")[0], found[1], now]);
      for (const added of addedNodes) {
        if (!added.querySelector) continue;
        if (!window.drawn && added.querySelector(".fb-node"))
          requestAnimationFrame(() => { window.drawn = Date.now() / 1000; });
        if (/^Succeeded in/.test(added.textContent) && added.querySelector("img")) window.ends.push(now);
      }
    }
  }).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["class"] });
}
"""
#: Notes the longest frame from now on. It has the browser make as many as it can, which nothing else is measured with.
WATCH_FRAMES = """
() => {
  let before = performance.now();
  window.longest = 0;
  const frame = (now) => {
    window.longest = Math.max(window.longest, now - before);
    before = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}
"""
LOOKS = {"Running": "running", "AwaitingRetry": "retrying"}


class Notebook:
    """A notebook that is open in JupyterLab."""

    def __init__(self, lab: Lab, page: Page) -> None:
        self.lab, self.page = lab, page
        self.opened = 0

    def start(self, *cells: str) -> None:
        """Begin to execute the cells of a new notebook."""
        self.opened += 1
        name = f"measured{self.opened}.ipynb"
        self.lab.write_notebook(name, cells)
        self.lab.open(self.page, name)
        self.page.evaluate(WATCH)
        self.page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def run(self, *cells: str) -> list[Any]:
        """Execute cells to the end of the last; returns what they sent.

        While they run, nothing asks the page: to look for a text among 1,000 nodes keeps it busy for over 0.1 s.
        """
        sent = self.lab.root / "sent.json"
        sent.unlink(missing_ok=True)
        self.start(KERNEL, *cells)
        began = time.monotonic()
        while not sent.exists():
            if time.monotonic() - began > 90:
                raise TimeoutError("The cells have not ended after 90 s.")
            self.page.wait_for_timeout(100)
        self.page.get_by_text("the cell has ended").wait_for()
        found: list[Any] = json.loads(sent.read_text())
        return found

    def delays(self, sent: Sequence[Any]) -> list[float]:
        """Milliseconds from each change of a task to its sight."""
        seen: dict[tuple[str, str], list[float]] = {}
        for name, look, at in self.page.evaluate("window.seen"):
            seen.setdefault((name, look), []).append(at)
        found = []
        for task, state, at in sent:
            if (task, LOOKS.get(state, "")) in seen:
                after = [t for t in seen[task, LOOKS[state]] if t >= at - 0.002]
                found.append(1000 * (min(after) - at) if after else float("inf"))
        return found


def percentiles(values: Sequence[float]) -> str:
    ordered = sorted(values)
    p95 = ordered[int(len(ordered) * 0.95)]
    return f"p50 {statistics.median(ordered):.0f}, p95 {p95:.0f}, most {ordered[-1]:.0f} ms (n {len(ordered)})"


def events(notebook: Notebook) -> None:
    """A change to the page, and the final state after the end."""
    sent = notebook.run(SHOWN.format(graph="layers(20)", wait=1.5, rate=8, seconds=12))
    row("event to DOM, kernel busy", percentiles(notebook.delays(sent)), "p50 50, p95 120 ms")
    sent = notebook.run(*[ENDS_OF_A_CELL] * (ENDS // 25), LAST)
    ended = [at for _, state, at in sent if state == "the end"]
    took = [1000 * (seen - at) for at, seen in zip(ended, notebook.page.evaluate("window.ends"), strict=False)]
    right = sum(each <= 200 for each in took)
    row("end to final picture and sentence", f"{right} of {ENDS} within 200 ms; {percentiles(took)}", "100 of 100")


def mapped(notebook: Notebook) -> None:
    """A task that is mapped over 1,000 elements."""
    graph = '{"load": [], **{f"score-{i}": ["load"] for i in range(1000)}}'
    notebook.start(KERNEL + SHOWN.format(graph=graph, wait=2, rate=400, seconds=5))
    page = notebook.page
    page.locator(".fb-node.fb-running").first.wait_for(timeout=60_000)
    page.evaluate(WATCH_FRAMES)
    page.wait_for_timeout(3000)
    longest = page.evaluate("window.longest")
    nodes = page.evaluate("document.querySelectorAll('.fb-dag, .fb-dag *').length")
    row("1,000 mapped tasks: longest frame / DOM nodes", f"{longest:.0f} ms / {nodes}", "50 ms / 400")
    page.get_by_text("the cell has ended").wait_for(timeout=60_000)


def paint(notebook: Notebook) -> None:
    """From the graph's being known to the first frame with its nodes."""
    for n, limit in ((100, "0.5 s"), (1000, "3 s")):
        sent = notebook.run(SHOWN.format(graph=f"layers({n})", wait=6, rate=1, seconds=0.1))
        row(f"display to first paint, {n} nodes", f"{notebook.page.evaluate('window.drawn') - sent[0][2]:.2f} s", limit)


def changes(notebook: Notebook) -> None:
    """Many changes of a large graph."""
    sent = notebook.run(SHOWN.format(graph="layers(1000)", wait=6, rate=2000, seconds=5))
    row("1,000 nodes, 2,000 changes/s, kernel busy: change to DOM", percentiles(notebook.delays(sent)), "p95 100 ms")


def cancel(notebook: Notebook) -> None:
    """A click on Cancel while a cell runs, to the final sentence."""
    took = []
    for hears in (True, False):
        notebook.start(
            "%load_ext flowbook", "%%task --define\nimport time\nwhile True:\n    time.sleep(0.01)", "%flow run"
        )
        page = notebook.page
        button = page.get_by_role("button", name="Cancel", exact=True)
        button.wait_for(timeout=60_000)
        if not hears:
            page.evaluate(
                "jupyterapp.shell.currentWidget.sessionContext.session.kernel.commsOverSubshells = 'disabled'"
            )
        began = time.perf_counter()
        button.evaluate("button => button.click()")
        page.get_by_text("Cancelled after").first.wait_for()
        took.append(time.perf_counter() - began)
    row("Cancel to Cancelled, over the kernel / over the server", f"{took[0]:.2f} / {took[1]:.2f} s", "2 s")


MEASURES = (events, mapped, paint, changes, cancel)


def main() -> None:
    """Print the table."""
    chosen = [each for each in MEASURES if each.__name__ in sys.argv[1:]] or MEASURES
    heading("Live view in a browser")
    header("what", "measured", "goal")
    home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with home as folder, running_lab(Path(folder)) as lab, running_chromium() as browser:
        notebook = Notebook(lab, browser.new_page())
        for measure in chosen:
            measure(notebook)


if __name__ == "__main__":
    main()
