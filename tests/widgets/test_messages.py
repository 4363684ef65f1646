"""What the front end is told, and what stays in the notebook, whatever the tasks are called."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from flowbook.core import states
from flowbook.core.boxes import boxes
from flowbook.core.events import Event, state_to_json
from flowbook.core.view import RunView, reduce_run
from flowbook_widgets import final_bundle
from flowbook_widgets.messages import header, nodes

TYPES = Path(__file__).parents[2] / "widgets" / "src" / "types.ts"
HOSTILE = [
    'a "quoted" name',
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    r"\N",
    "two\nlines",
    "x]; a -> b",
    "שלום עולם",
    "\u202eevil",
    "🎉 party",
    "long " * 60,
    "\ud800",
]


def run(*names: str, message: str = "no") -> RunView:
    """A run in which every task but the last succeeded; each needs the one before."""

    def state(entered: states.State, at: float, task: str | None = None) -> Event:
        return Event(kind="state", time=at, flow_run_id="f", task_run_id=task, data=state_to_json(entered))

    tasks = [{"id": name, "name": name, "upstream": names[max(0, i - 1) : i]} for i, name in enumerate(names)]
    events = [
        Event(kind="flow-run", time=1000.0, flow_run_id="f", data={"name": "calm-otter", "flow": "nightly"}),
        Event(kind="graph", time=1000.0, flow_run_id="f", data={"tasks": tasks}),
        state(states.running(), 1000.0),
        *(state(states.running(), 1001.0, name) for name in names),
        *(state(states.completed(attempt=2), 1002.0, name) for name in names[:-1]),
        state(states.failed(ValueError(message)), 1004.0, names[-1]),
    ]
    return reduce_run("f", events)


def fields(interface: str) -> set[str]:
    body = re.search(rf"export interface {interface} {{(.*?)\n}}", TYPES.read_text(), re.DOTALL)
    assert body
    return set(re.findall(r"^  (\w+)\??:", body[1], re.MULTILINE))


def test_the_front_end_knows_every_field_that_is_sent() -> None:
    view = run("a", *(f"score-{i}" for i in range(9)))
    assert set(header(view)) <= fields("Header")
    for node in nodes(boxes(view), view).values():
        assert set(node) <= fields("NodeFace")


def test_header_and_nodes() -> None:
    view = run("extract", "validate", message="total too high")
    assert header(view) == {
        "look": "running", "word": "Running", "flow": "nightly", "name": "calm-otter", "started": 1000.0,
        "done": 2, "total": 2, "retries": 1, "counts": {"succeeded": 1, "failed": 1},
        "problem": "validate: ValueError: total too high",
        "failed": "validate",
    }  # fmt: skip
    assert nodes(boxes(view), view) == {
        "n0": {
            "look": "succeeded", "word": "Succeeded", "name": "extract", "note": "1 retry",
            "attempts": 2,
            "started": 1001.0, "ended": 1002.0,
        },
        "n1": {
            "look": "failed", "word": "Failed", "name": "validate", "lead": "Failed",
            "message": "ValueError: total too high", "attempts": 1, "started": 1001.0, "ended": 1004.0,
        },
    }  # fmt: skip


def test_a_large_graph_is_collapsed_by_task() -> None:
    pairs = [f"step_{letter}{other}-{i}" for letter in "abcdefghij" for other in "abcdefghijklmnop" for i in (0, 1)]
    small, large = run(*pairs[:100]), run(*pairs)
    assert len(boxes(small)) == 100
    assert len(boxes(large)) == 160
    assert {node["total"] for node in nodes(boxes(large), large).values()} == {2}


class Tags(HTMLParser):
    """The tags of a piece of HTML with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(name: str) -> None:
    view = run(name, "next", message=name)
    json.dumps([header(view), nodes(boxes(view), view)]).encode()
    bundle = final_bundle(view)
    bundle["text/plain"].encode()
    tags = Tags(bundle["text/html"]).found
    assert [tag for tag, _ in tags] == ["p", "strong", "img"]
    image = tags[-1][1]
    assert set(image) == {"alt", "src"}
    picture = b64decode((image["src"] or "").removeprefix("data:image/svg+xml;base64,"))
    assert {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(picture).iter()} <= {
        "svg", "title", "g", "path", "rect", "text",
    }  # fmt: skip


def test_the_saved_output_is_small_and_says_it_in_words() -> None:
    bundle = final_bundle(run(*(f"step {chr(97 + i)}" for i in range(10))), now=1010.0)
    assert len(json.dumps(bundle)) < 60_000
    sentence, graph, table = bundle["text/plain"].split("\n\n")
    assert sentence == "Running for 10.0 s: 10 of 10 tasks done, 1 failed."
    assert "step a" in graph
    assert table.splitlines()[0].split() == ["Task", "State", "Attempts", "Duration"]


def test_without_a_picture_the_graph_is_text() -> None:
    bundle = final_bundle(run("<b>", "c"), picture=False)
    assert "<pre>[ok &lt;b&gt; 1.0 s, 1 retry] ── " in bundle["text/html"]


def test_a_run_without_tasks_is_one_sentence() -> None:
    assert final_bundle(RunView(id="f"))["text/html"] == "<p><strong>Waiting</strong>.</p>"
