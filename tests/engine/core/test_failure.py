"""Why a run failed, in plain text."""

from __future__ import annotations

from flowbook.core import states
from flowbook.core.failure import failure_of, failure_text
from flowbook.core.view import LogLine, NodeView, RunView


def run(*, ended: bool = True, state: states.State | None = None) -> RunView:
    late = states.failed(KeyError("rows")).at(1003.0)
    nodes = [
        NodeView(id="l", name="load", state=states.completed()),
        NodeView(id="o", name="other", state=late, ended=1003.0),
        NodeView(
            id="v", name="validate", state=states.failed(ValueError("\x1b[31ma\x1b[0m")), ended=1002.0, attempts=1
        ),
        *(NodeView(id=f"p{i}", name=f"publish-{i}", state=states.not_ready("")) for i in range(14)),
    ]
    logs = [LogLine(time=1.0, level="INFO", message="elsewhere", task_run_id="l")]
    logs += [LogLine(time=1.0, level="INFO", message=f"line {i}", task_run_id="v") for i in range(30)]
    failed = state or states.failed(ValueError("a"))
    return RunView(
        id="r", state=failed if ended else states.running(), nodes={n.id: n for n in nodes}, logs=tuple(logs)
    )


KNOWN = {
    "attempts": 1,
    "inputs": [["total", "1347.5"]],
    "last_success": "run 127, 2026-11-26 07:00 CET",
    "frames": [
        {"where": "cell In[7], line 1", "code": "check(total)", "own": True},
        {"where": "/lib/shop.py, line 9 in check", "code": "raise ValueError", "own": False},
    ],
}


def test_the_text_says_which_task_failed_first_where_and_with_what() -> None:
    failure = failure_of(run(), KNOWN)
    assert failure is not None
    lines = failure_text(failure).splitlines()
    assert lines[:6] == [
        "x Failed · validate · cell In[7], line 1 · attempt 1 of 1",
        "  ValueError: a",
        "  > check(total)",
        "  Inputs  total=1347.5",
        "  Last success: run 127, 2026-11-26 07:00 CET",
        f"  Not run: {', '.join(f'publish-{i}' for i in range(12))} and 2 more",
    ]
    assert lines[7] == "    INFO     line 10" and lines[26] == "    INFO     line 29"
    assert lines[27:] == ["  Traceback, the last call last", "    cell In[7], line 1", "        check(total)"]


def test_a_run_says_so_as_soon_as_a_task_has_failed_but_not_if_it_ended_well_or_was_cancelled() -> None:
    assert failure_of(run(ended=False), {}) is not None
    assert failure_of(run(state=states.completed()), {}) is None
    assert failure_of(run(state=states.cancelled("by hand")), {}) is None
