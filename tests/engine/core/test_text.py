"""A run in plain text: what a person reads in a terminal, in a notification and in a saved notebook."""

from __future__ import annotations

import pytest

from flowbook.core import states
from flowbook.core.events import Event, state_to_json
from flowbook.core.plain import duration_text, one_line, shorten, text_width
from flowbook.core.states import State
from flowbook.core.text import WIDTH, sentence, task_table, text_dag
from flowbook.core.view import NodeView, RunView, reduce_run

LIMIT = ValueError("total 1347 above limit 1000")


def run(
    graph: dict[str, list[str]], done: dict[str, State] | None = None, flow: State | None = None, *, took: float = 9
) -> RunView:
    """A run that begins at 1000; each task in `done` runs for two seconds and ends in its state."""

    def event(kind: str, time: float, task: str | None = None, **data: object) -> Event:
        return Event(kind=kind, time=time, flow_run_id="f", task_run_id=task, data=data)  # type: ignore[arg-type]

    tasks = [{"id": name, "name": name, "upstream": upstream} for name, upstream in graph.items()]
    events = [
        event("flow-run", 1000, name="calm-otter", flow="nightly"),
        event("graph", 1000, tasks=tasks),
        event("state", 1000, **state_to_json(states.running())),
    ]
    for name, state in (done or {}).items():
        if state.name not in ("NotReady", "Cached"):
            events.append(event("state", 1001, name, **state_to_json(states.running(max(1, state.attempt)))))
        if not state.is_running():
            events.append(event("state", 1003, name, **state_to_json(state)))
    if flow:
        events.append(event("state", 1000 + took, **state_to_json(flow)))
    return reduce_run("f", events)


OK = states.completed(attempt=1)
AGAIN = states.completed(attempt=2)
LINE = {"extract": [], "clean": ["extract"], "validate": ["clean"], "publish": ["validate"]}


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (
            run(LINE, {"extract": OK, "clean": OK, "validate": states.failed(LIMIT), "publish": states.not_ready("x")},
                states.failed(LIMIT)),
            "Failed at validate after 9.0 s: ValueError: total 1347 above limit 1000. 2 succeeded, 1 not run.",
        ),
        (
            run(LINE, {"extract": OK, "clean": OK, "validate": states.failed(LIMIT)}, states.failed(LIMIT)),
            "Failed at validate after 9.0 s: ValueError: total 1347 above limit 1000. 2 succeeded, 1 not run.",
        ),
        (
            run({"a": [], "b": []}, {"a": OK, "b": AGAIN}, states.completed(), took=3.2),
            "Succeeded in 3.2 s: 2 succeeded, 1 after a retry.",
        ),
        (
            run({"a": [], "b": []}, {"a": OK, "b": states.completed(name="Cached")}, states.completed(), took=3.2),
            "Succeeded in 3.2 s: 1 succeeded, 1 reused.",
        ),
        (
            run({"a": []}, {"a": states.failed(LIMIT)}, states.completed()),
            "Succeeded in 9.0 s: 1 failed.",
        ),
        (run({}, flow=states.completed(), took=0.02), "Succeeded in 20 ms: no tasks ran."),
        (
            run({"a": []}, {"a": OK}, states.failed(KeyError("x"))),
            "Failed after 9.0 s: KeyError: 'x'. 1 succeeded.",
        ),
        (
            run({"a": []}, {"a": states.failed(LIMIT)}, states.failed(KeyError("x"))),
            "Failed after 9.0 s: KeyError: 'x'. The first task that failed: a.",
        ),
        (
            run({"a": [], "b": []}, {"a": OK}, states.cancelled()),
            "Cancelled after 9.0 s: Cancelled by an interrupt. 1 succeeded, 1 not run.",
        ),
        (
            run({"a": []}, {"a": OK}, states.crashed("The process went away.")),
            "Crashed after 9.0 s: The process went away. 1 succeeded.",
        ),
        (run(LINE, {"extract": OK, "clean": states.running()}), "Running for 7.0 s: 1 of 4 tasks done, 1 running."),
        (
            run({"a\nb": []}, {"a\nb": states.failed(LIMIT)}, states.failed(LIMIT)),
            "Failed at a\\nb after 9.0 s: ValueError: total 1347 above limit 1000.",
        ),
        (RunView(id="f"), "Waiting."),
    ],
)  # fmt: skip
def test_sentence(view: RunView, expected: str) -> None:
    assert sentence(view, now=1007) == expected


def test_a_name_from_right_to_left_does_not_turn_the_sentence_around() -> None:
    view = run({"שלום": []}, {"שלום": states.failed(LIMIT)}, states.failed(LIMIT))
    assert sentence(view).startswith("Failed at \u2068שלום\u2069 after 9.0 s")


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        ({}, ""),
        ({"a": []}, "[. a]"),
        ({"a": [], "b": ["a"], "c": ["b"]}, "[. a] ── [. b] ── [. c]"),
        ({"a": [], "bc": [], "d": ["a", "bc"]}, "[. a] ──┬─ [. d]\n[. bc] ─┘"),
        (
            {"a": [], "b": ["a"], "c": ["a"], "d": ["a"], "e": ["b", "c", "d"]},
            "       ┌─ [. b] ─┐\n[. a] ─┼─ [. c] ─┼─ [. e]\n       └─ [. d] ─┘",
        ),
        ({"a": [], "b": [], "c": ["a", "b"], "d": ["a", "b"]}, "[. a] ─┬─┬─ [. c]\n[. b] ─┘ └─ [. d]"),
        ({"a": [], "b": ["a"], "x": []}, "[. a] ── [. b]\n[. x]"),
        # crossing or skipping lines would mislead: a list says it exactly
        ({"a": [], "b": [], "c": ["a"], "d": ["a", "b"]}, "[. a]\n[. b]\n  [. c] <- a\n  [. d] <- a, b"),
        ({"a": [], "b": ["a"], "c": ["b", "a"]}, "[. a]\n  [. b] <- a\n    [. c] <- b, a"),
    ],
)
def test_text_dag(graph: dict[str, list[str]], expected: str) -> None:
    assert text_dag(run(graph)) == expected


def test_the_drawing_shows_states_durations_and_retries() -> None:
    done = {"orders": OK, "rates": AGAIN, "clean": OK, "validate": states.failed(LIMIT, attempt=1)}
    graph = {"orders": [], "rates": [], "clean": ["orders", "rates"], "validate": ["clean"], "publish": ["validate"]}
    assert text_dag(run(graph, done, states.failed(LIMIT))) == (
        "[ok orders 2.0 s] ─────────┬─ [ok clean 2.0 s] ── [x validate 2.0 s] ── [- publish not run]\n"
        "[ok rates 2.0 s, 1 retry] ─┘"
    )


def test_many_runs_of_one_task_are_one_box_with_its_progress() -> None:
    graph: dict[str, list[str]] = {"load": [], **{f"score-{i}": ["load"] for i in range(100)}}
    view = run(graph, {"load": OK, **{f"score-{i}": OK for i in range(64)}, "score-64": states.failed(LIMIT)})
    assert text_dag(view, now=1007) == "[ok load 2.0 s] ── [x score 6.0 s, 65/100, 1 failed]"


@pytest.mark.parametrize("name", ["a] ── [ok b", "a <- b", "x, y", "", " a ", "[", "a\u2500b"])
def test_a_name_cannot_be_taken_for_a_part_of_the_drawing(name: str) -> None:
    drawn = text_dag(run({name: [], "c": [name]}))
    assert drawn == f'[. "{name}"] ── [. c]'


def test_a_wide_graph_becomes_a_list_no_wider_than_a_terminal() -> None:
    names = [f"a_task_with_quite_a_long_name_{i}_漢字" for i in range(9)]
    graph: dict[str, list[str]] = {name: names[:i] for i, name in enumerate(names)}
    text = text_dag(run(graph))
    assert max(text_width(line) for line in text.splitlines()) <= WIDTH
    for i, name in enumerate(names):  # every input is there
        assert text.count(name) == len(names) - i


def test_tasks_of_one_name_stay_apart_in_the_list() -> None:
    tasks = [
        {"id": "1", "name": "clean", "upstream": []},
        {"id": "2", "name": "clean", "upstream": []},
        {"id": "3", "name": "join", "upstream": ["1"]},
        {"id": "4", "name": "end", "upstream": ["1", "2"]},
    ]
    view = reduce_run("f", [Event(kind="graph", time=0, flow_run_id="f", data={"tasks": tasks})])
    assert text_dag(view) == "n0 [. clean]\nn1 [. clean]\n  [. join] <- n0\n  [. end] <- n0, n1"


def test_a_cycle_among_boxes_is_listed() -> None:
    graph: dict[str, list[str]] = {}
    for i in range(8):
        graph[f"a-{i}"] = [f"b-{i - 1}"] if i else []
        graph[f"b-{i}"] = [f"a-{i}"]
    assert text_dag(run(graph)).splitlines() == ["[. a 0/8] <- b", "  [. b 0/8] <- a"]


def test_task_table_is_aligned() -> None:
    done = {"extract": OK, "漢字": AGAIN, "validate": states.failed(LIMIT, attempt=1)}
    view = run({"extract": [], "漢字": [], "validate": []}, done, states.failed(LIMIT))
    assert task_table(view).splitlines() == [
        "Task      State      Attempts  Duration",
        "extract   Succeeded         1     2.0 s",
        "漢字      Succeeded         2     2.0 s",
        "validate  Failed            1     2.0 s",
    ]


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\r\nb\tc", r"a\r\nb\tc"),
        ("a\u202eb\u2066", r"a\u202eb\u2066"),
        ("a\u200bb", r"a\u200bb"),
        ("\ud800", r"\ud800"),
        ("שלום", "שלום"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ('"<b>&\\N', '"<b>&\\N'),
    ],
)
def test_one_line_shows_what_is_invisible(hostile: str, shown: str) -> None:
    assert one_line(hostile) == shown
    assert one_line(hostile).encode().decode() == shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"), (0.0351, "35 ms"), (0.1, "0.1 s"), (2, "2.0 s"), (59.94, "59.9 s"), (59.96, "1 m 00 s"),
        (67, "1 m 07 s"), (3599.6, "1 h 00 m"), (7500, "2 h 05 m"), (86399.9, "1 d 00 h"), (273600, "3 d 04 h"),
    ],
)  # fmt: skip
def test_duration_text(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_shorten_counts_columns() -> None:
    assert shorten("漢字漢字", 8) == "漢字漢字"
    assert shorten("漢字漢字", 7) == "漢字漢…"
    assert text_width(shorten("e\u0301" * 50, 10)) == 10


def mapped(mapping: states.State, *elements: states.State) -> RunView:
    """A run of a task that runs once per element, and one that takes the list."""
    nodes = {"m": NodeView(id="m", name="part", state=mapping), "t": NodeView(id="t", name="total", upstream=("m",))}
    for i, state in enumerate(elements):
        nodes[f"e{i}"] = NodeView(id=f"e{i}", name=f"part[{i}]", state=state, upstream=("x",), mapped_by="m")
    return RunView(id="r", state=states.running(), nodes=nodes)


def test_a_task_that_runs_once_per_element_is_one_box_with_its_progress() -> None:
    view = mapped(states.running(), states.completed(), states.running())
    assert text_dag(view) == "[> part 1/2] ── [. total]"
    assert sentence(view).startswith("Running: 1 of 3 tasks done, 1 running")


def test_before_its_elements_are_known_and_without_any_it_is_as_other_tasks() -> None:
    assert text_dag(mapped(states.PENDING)) == "[. part] ── [. total]"
    assert text_dag(mapped(states.completed())) == "[ok part] ── [. total]"


def test_a_mapped_task_that_failed_though_no_element_did_says_so() -> None:
    view = mapped(states.failed(ValueError("no list")), states.completed(), states.completed())
    assert text_dag(view) == "[x part] ── [. total]"
