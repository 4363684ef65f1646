"""Placeholders in parameters: checked when something is deployed, replaced by name, never evaluated."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from tests.deployed import runs

from flowbook import engine, flow
from flowbook.core.templates import NAMES, RunMoment, check_placeholders, has_placeholder, is_placeholder, render
from flowbook.errors import ParameterError
from flowbook.promote import promote, request_run
from flowbook.schedule.fires import make_due_runs
from flowbook.store.deployments import all_deployments, find_deployment, schedules_of

MOMENT = RunMoment(
    run_id="abc",
    scheduled=datetime(2026, 3, 2, 7, tzinfo=UTC),
    previous=lambda: datetime(2026, 3, 1, 7, tzinfo=UTC),
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{{ scheduled_time }}", "2026-03-02T07:00:00+00:00"),
        ("{{scheduled_time}}", "2026-03-02T07:00:00+00:00"),
        ("{{ data_interval_start }}/{{ data_interval_end }}", "2026-03-01T07:00:00+00:00/2026-03-02T07:00:00+00:00"),
        ("{{ data_interval_start.date }}", "2026-03-01"),
        ("run-{{ run_id }}", "run-abc"),
        (["{{ run_id }}", {"deep": ("{{ run_id }}", 1)}], ["abc", {"deep": ["abc", 1]}]),
        ({"{{ run_id }}": None}, {"{{ run_id }}": None}),
        (17, 17),
        ("{ run_id } {{}} {% if x %} ${run_id} %(run_id)s", "{ run_id } {{}} {% if x %} ${run_id} %(run_id)s"),
    ],
)
def test_placeholders_are_replaced_by_name(value: Any, expected: Any) -> None:
    assert render(value, MOMENT) == expected


@pytest.mark.parametrize(
    "text",
    [
        "{{ 7 * 7 }}",
        "{{ run_id.__class__ }}",
        "{{ scheduled_time.date.__init__ }}",
        "{{ self._TemplateReference__context }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ run_id | upper }}",
        "{{ run_id() }}",
        "{{ config }}",
        "{% set x = run_id %}",
        "{{ {{ run_id }} }}"[:10],
    ],
)
def test_nothing_else_is_evaluated(text: str) -> None:
    assert render(text, MOMENT) == text


def test_what_a_placeholder_stands_for_is_not_read_again() -> None:
    odd = RunMoment(run_id="{{ scheduled_time }}", scheduled=MOMENT.scheduled, previous=MOMENT.previous)
    assert render("{{ run_id }}", odd) == "{{ scheduled_time }}"


def test_the_fire_before_is_only_looked_for_where_it_is_needed() -> None:
    lazy = RunMoment(run_id="abc", scheduled=MOMENT.scheduled, previous=lambda: pytest.fail("nobody needs it"))
    render("{{ scheduled_time }} {{ data_interval_end }} {{ run_id }}", lazy)


def test_which_values_have_placeholders() -> None:
    assert has_placeholder({"a": [{"b": "x {{ run_id }}"}]})
    assert not has_placeholder({"{{ run_id }}": ["{{}}", 1]})
    assert is_placeholder(" {{ run_id }} ")
    assert not is_placeholder("x {{ run_id }}")


@pytest.mark.parametrize("value", ["{{ schedule_time }}", ["x", {"y": "a{{schedule_time}}b"}]])
def test_an_unknown_name_is_refused_with_a_suggestion(value: Any) -> None:
    with pytest.raises(ParameterError) as raised:
        check_placeholders({"ok": "{{ run_id }}", "day": value}, "deployment 'report'")
    assert str(raised.value) == (
        "Parameter 'day' of deployment 'report' has the placeholder {{ schedule_time }}, which is unknown. "
        f"Did you mean 'scheduled_time'? There are {', '.join(NAMES)}."
    )
    assert raised.value.field == "day"


PARAMETERS = "# parameters\nfrom datetime import date\nday: date = None\nn: int = 1\nnote: str = ''"


def test_an_unknown_name_is_refused_when_a_notebook_is_promoted(make_notebook: Any) -> None:
    path = make_notebook("book", PARAMETERS)
    for options in (
        {"parameters": {"note": "{{ run_di }}"}},
        {"schedule": {"cron": "0 7 * * *", "parameters": {"note": "{{ run_di }}"}}},
    ):
        with pytest.raises(ParameterError, match=r"\{\{ run_di \}\}, which is unknown\. Did you mean 'run_id'\?"):
            promote(path, **options)
    with pytest.raises(ParameterError, match="'nota'"):
        promote(path, parameters={"nota": "{{ run_id }}"})
    assert all_deployments(engine.engine().database) == []


def test_an_unknown_name_is_refused_when_a_flow_is_deployed() -> None:
    @flow
    def report(note: str = "") -> None: ...

    with pytest.raises(ParameterError, match=r"Did you mean 'data_interval_start'\?"):
        report.deploy("nightly", parameters={"note": "{{ data_interval_strat }}"}, print_next_steps=False)


def test_a_date_gets_the_date_and_a_text_the_time(make_notebook: Any) -> None:
    database = engine.engine().database
    path = make_notebook("book", PARAMETERS)
    parameters = {"day": "{{ data_interval_end }}", "note": "{{ data_interval_end }}"}
    promote(path, cron="0 7 * * *", timezone="Europe/Zurich", parameters=parameters)
    found = find_deployment(database, "book")
    (planned,) = schedules_of(database, found.id)
    make_due_runs(database, planned.since + timedelta(days=1).total_seconds())
    (run,) = runs(database)
    due = datetime.fromisoformat(run.parameters["note"])
    assert (due.hour, due.minute, due.timestamp()) == (7, 0, run.due)
    assert date.fromisoformat(run.parameters["day"]) == due.date()


def test_a_run_that_is_asked_for_has_the_moment_for_which_it_was(make_notebook: Any) -> None:
    promote(make_notebook("book", PARAMETERS), parameters={"note": "{{ scheduled_time }} {{ run_id }}"})
    due = datetime(2026, 3, 2, 7, tzinfo=UTC)
    asked = request_run("book", due=due.timestamp())
    assert asked.parameters["note"] == f"{due.isoformat()} {asked.id}"
    assert request_run("book", {"note": "{{ run_id }}"}).parameters["note"] != asked.id
    with pytest.raises(ParameterError, match="is unknown"):
        request_run("book", {"note": "{{ runid }}"})
