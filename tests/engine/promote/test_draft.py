"""What a person is asked, and told, before a notebook becomes a deployment."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flowbook import engine
from flowbook.core.durations import duration_text, seconds
from flowbook.promote import promote
from flowbook.promote.draft import DataFile, draft, parameter_problems
from flowbook.promote.fields import ParameterField, fields_of, problems
from flowbook.promote.parameters import Parameter
from flowbook.store.pools import create_pool

FIELDS = [
    ("day", "date", "date(2026, 11, 20)", "date", "2026-11-20"),
    ("day", "date", "'2026-11-20'", "date", "2026-11-20"),
    ("at", "dt.datetime", "dt.datetime(2026, 11, 20, 7)", "datetime", "2026-11-20T07:00:00"),
    ("limit", "int", "1000", "int", "1000"),
    ("limit", None, "1000", "float", "1000"),
    ("rate", "float", "0.5", "float", "0.5"),
    ("loud", "bool", "True", "bool", "true"),
    ("names", "list[str]", "['a', 'b']", "list", "a\nb"),
    ("names", None, "['a', 'b']", "list", "a\nb"),
    ("numbers", "list[int]", "[1, 2]", "json", "[1, 2]"),
    ("options", None, "{'a': 'é'}", "json", '{"a": "é"}'),
    ("mode", "Literal['fast', 3]", "'fast'", "choice", '"fast"'),
    ("note", None, "'x'", "text", "x"),
    ("note", "str | int", "'x'", "text", "x"),
    ("note", "Unheard[Of]", "'x'", "text", "x"),
]


def field(name: str, annotation: str | None, default: str | None, kept: Any = None) -> ParameterField:
    parameter = Parameter(name=name, annotation=annotation, default=default)
    [found] = fields_of((parameter,), {} if kept is None else {name: kept}, None)
    return found


@pytest.mark.parametrize(("name", "annotation", "default", "kind", "text"), FIELDS)
def test_a_parameter_is_typed_by_its_kind(
    name: str, annotation: str | None, default: str, kind: str, text: str
) -> None:
    found = field(name, annotation, default)
    assert (found.kind, found.text) == (kind, text)
    assert not (found.optional or found.required or found.hint)


def test_what_a_field_says_of_a_parameter_without_a_literal_default() -> None:
    assert field("day", "date", "date.today()").hint == "date.today()"
    assert field("day", "date", None).required
    assert field("day", "date", "None").optional
    assert field("limit", "int | None", "3").optional
    assert field("mode", "Literal['a', 'b']", "'a'").choices == ("a", "b")


def test_what_was_deployed_stands_in_the_field() -> None:
    kept = field("limit", "int", None, kept=7)
    assert (kept.text, kept.is_kept, kept.required) == ("7", True, False)
    assert field("day", "date", "None", kept="{{ scheduled_time.date }}").kind == "text"


def test_a_value_that_does_not_fit_says_why_under_its_name() -> None:
    schema = tuple(Parameter(name=name, annotation=kind, default=default) for name, kind, default, _, _ in FIELDS)
    fitting = {"limit": "7", "day": "{{ scheduled_time.date }}", "names": ["x"], "loud": False, "mode": 3}
    assert problems(schema, fitting, "it") == {}
    found = problems(schema, {"rate": "much", "day": "2026-13-01", "numbers": "[1", "limit": "7", "dya": "1"}, "it")
    assert sorted(found) == ["day", "dya", "numbers", "rate"]
    assert "it is 'much'" in found["rate"]
    assert "month" in found["day"]
    assert "Did you mean" in found["dya"]


def test_the_draft_of_a_new_notebook(make_notebook: Any) -> None:
    cells = ["# parameters\nlimit: int = 3", "import os, local\nx = os.environ['TOKEN']", "y = input()"]
    path = make_notebook("nightly", *cells)
    (path.parent / "local.py").write_text("")
    found = draft(path, time.time())
    assert (found.name, found.version, found.changed, found.schedules) == ("nightly", 1, None, ())
    assert [(each.name, each.text, each.cell) for each in found.parameters] == [("limit", "3", 1)]
    assert (found.pool, found.overlap) == ("default", "queue")
    assert [(pool.name, pool.workers) for pool in found.pools] == [("default", 0)]
    assert found.captured is not None
    assert (len(found.captured.cells), found.captured.modules) == (3, ("local.py",))
    assert found.captured.variables == ("TOKEN",)
    assert [(one.severity.value, one.cell, one.line) for one in found.findings][-1] == ("error", 2, 1)
    assert parameter_problems(path, {"limit": "many"})["limit"].startswith("Parameter 'limit' of notebook nightly")


def test_the_draft_of_one_that_was_deployed(make_notebook: Any, home: Path) -> None:
    create_pool(engine.engine().database, "heavy", paused=True)
    cells = ["# parameters\nlimit: int = 3", "x = limit", "y = x"]
    options: dict[str, Any] = {"timezone": "Europe/Zurich", "catchup": "skip", "overlap": "cancel-previous"}
    promote(
        make_notebook("nightly", *cells),
        interval=timedelta(minutes=90),
        parameters={"limit": 5},
        pool="heavy",
        **options,
    )
    path = make_notebook("nightly", cells[0], "x = limit  # a comment changes nothing", "y = x + 1", "z = y")
    found = draft(path, time.time())
    assert (found.version, found.changed) == (2, 2)
    assert [(each.text, each.is_kept) for each in found.parameters] == [("5", True)]
    [standing] = found.schedules
    assert (standing.kind, standing.text, standing.words) == ("interval", "1h30m", "Every 1 hour 30 minutes")
    assert (standing.timezone, standing.catchup) == ("Europe/Zurich", "skip")
    assert (found.pool, found.overlap) == ("heavy", "cancel-previous")
    assert [(pool.name, pool.paused) for pool in found.pools] == [("default", False), ("heavy", True)]


def test_a_schedule_that_says_more_than_a_form_is_not_typed_anew(make_notebook: Any) -> None:
    path = make_notebook("nightly", "x = 1")
    promote(path, schedule={"cron": "0 7 * * *", "slug": "early"}, concurrency_limit=3)
    found = draft(path, time.time())
    assert [(each.kind, each.words) for each in found.schedules] == [(None, "Every day at 07:00")]
    assert (found.overlap, found.concurrency_limit) == (None, 3)


def test_another_name_is_another_deployment(make_notebook: Any) -> None:
    path = make_notebook("nightly", "x = 1")
    promote(path)
    assert draft(path, time.time(), name="weekly").version == 1
    assert "cannot name a deployment" in (draft(path, time.time(), name="a/b").name_problem or "")
    other = draft(make_notebook("other", "x = 1"), time.time(), name="nightly")
    assert other.version == 2
    assert "was made from" in other.warnings[0]


def test_the_files_that_are_read_or_were_declared_may_be_declared(make_notebook: Any) -> None:
    path = make_notebook("nightly", "x = 1\na = open('./data/a.csv').read()\nb = open('gone.csv').read()")
    for name in ("data/a.csv", "config.toml"):
        (path.parent / name).parent.mkdir(exist_ok=True)
        (path.parent / name).write_text("")
    promote(path, data=["config.toml"])
    (path.parent / "config.toml").unlink()
    assert draft(path, time.time()).data_files == (
        DataFile(path="config.toml", declared=True, is_there=False, read_in=""),
        DataFile(path="data/a.csv", declared=False, is_there=True, read_in="cell 1, line 2"),
        DataFile(path="gone.csv", declared=False, is_there=False, read_in="cell 1, line 3"),
    )


FLOWS = "from flowbook import flow\n@flow\ndef first(a: int): pass\n@flow(name='the second')\ndef second(b: int): pass"


def test_of_several_flows_one_is_chosen(make_notebook: Any) -> None:
    path = make_notebook("flows", FLOWS)
    unclear = draft(path, time.time())
    choices = [("first", "first"), ("second", "the second")]
    assert ([(each.flow, each.name) for each in unclear.flows], unclear.flow, unclear.captured) == (choices, "", None)
    chosen = draft(path, time.time(), flow="second")
    assert (chosen.flow, chosen.name, [each.name for each in chosen.parameters]) == ("second", "the second", ["b"])
    assert chosen.flows == unclear.flows

    with_tasks = draft(make_notebook("both", "%%flow nightly\npass", "%%task\nx = 1"), time.time())
    assert [each.flow for each in with_tasks.flows] == ["", "nightly"]
    assert with_tasks.flow == ""
    one = draft(make_notebook("one", FLOWS.partition("@flow(")[0]), time.time())
    assert (one.flow, one.flows) == ("first", ())


def test_a_notebook_that_cannot_be_read_has_a_finding_and_captures_nothing(make_notebook: Any) -> None:
    found = draft(make_notebook("broken", "x = 1", "y = ("), time.time())
    assert found.captured is None
    assert [(one.cell, one.line) for one in found.findings] == [(1, 1)]


@pytest.mark.parametrize("text", ["15m", "1h30m", "1d", "1d12h", "1.5s", "2h5s", "0s"])
def test_a_length_of_time_is_written_as_it_is_read(text: str) -> None:
    assert duration_text(seconds(text)) == text
