"""`flow.serve`, `flow.deploy`, `Deployment`, `run_deployment`: what they accept, what they keep, what they refuse."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import flowbook
from flowbook import deploy, engine, flow, serve
from flowbook.core.deploying import Collision
from flowbook.deployments import Deployment, run_deployment
from flowbook.errors import NotFound, ParameterError, StoreError, UsageError
from flowbook.promote.pickled import pickle_flow, unpickle_flow
from flowbook.runs import find_run, recent_runs
from flowbook.schedules import (
    Cron,
    CronSchedule,
    Interval,
    IntervalSchedule,
    RRule,
    RRuleSchedule,
    Schedule,
    from_dict,
)
from flowbook.store.deployments import Deployment as Stored
from flowbook.store.deployments import all_deployments, find_deployment, manifest_of, schedules_of
from flowbook.store.pools import create_pool, create_queue
from flowbook.store.snapshots import load_snapshot


@flow(description="Makes a report.", version="7", retries=2, retry_delay_seconds=[5, 50])
def report(env: str = "prod", n: int = 3, day: date | None = None) -> None: ...


@flow
def needy(path: str) -> None: ...


def stored(name: str = "report/d") -> Stored:
    return find_deployment(engine.engine().database, name)


def schedules(name: str = "report/d") -> list[Schedule]:
    return [from_dict(each.spec) for each in schedules_of(engine.engine().database, stored(name).id)]


def manifest(name: str = "report/d") -> dict[str, Any]:
    found = stored(name)
    return manifest_of(engine.engine().database, found.id, found.version)


WEEKDAYS = CronSchedule(cron="0 6 * * 1-5", timezone="Europe/Zurich")
SIX = CronSchedule(cron="0 6 * * *")
NINE = CronSchedule(cron="0 9 1 * *")
HOURS = IntervalSchedule(interval=timedelta(hours=4))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, []),
        ({"cron": "0 6 * * *"}, [SIX]),
        ({"cron": "0 6 * * 1-5", "timezone": "Europe/Zurich"}, [WEEKDAYS]),
        ({"cron": ["0 6 * * *", "0 9 1 * *"]}, [SIX, NINE]),
        ({"interval": 14400}, [HOURS]),
        ({"interval": 14400.0}, [HOURS]),
        ({"interval": timedelta(hours=4)}, [HOURS]),
        ({"interval": [timedelta(hours=4), 60]}, [HOURS, IntervalSchedule(interval=timedelta(minutes=1))]),
        (
            {"interval": 3600, "anchor_date": datetime(2026, 1, 1, 0, 15), "timezone": "Europe/Zurich"},  # noqa: DTZ001
            [Interval(3600, anchor_date="2026-01-01T00:15", timezone="Europe/Zurich")],
        ),
        ({"rrule": "FREQ=DAILY;BYHOUR=7"}, [RRuleSchedule(rrule="FREQ=DAILY;BYHOUR=7")]),
        ({"rrule": "FREQ=DAILY", "timezone": "Asia/Tokyo"}, [RRule("FREQ=DAILY", timezone="Asia/Tokyo")]),
        ({"schedule": Cron("0 6 * * 1-5", timezone="Europe/Zurich")}, [WEEKDAYS]),
        ({"schedule": WEEKDAYS}, [WEEKDAYS]),
        ({"schedule": HOURS}, [HOURS]),
        ({"schedule": {"cron": "0 6 * * *", "timezone": "UTC"}}, [SIX]),
        ({"schedule": {"cron": "0 6 * * 1-5"}, "timezone": "Europe/Zurich"}, [WEEKDAYS]),
        ({"schedule": "0 6 * * *"}, [SIX]),
        ({"schedule": timedelta(hours=4)}, [HOURS]),
        ({"schedules": [{"cron": "0 6 * * 1-5", "timezone": "Europe/Zurich"}]}, [WEEKDAYS]),
        ({"schedules": [{"interval": 14400}]}, [HOURS]),
        ({"schedules": [{"cron": "0 6 * * *"}, {"cron": "0 9 1 * *"}]}, [SIX, NINE]),
        (
            {"schedules": (Cron("0 6 * * *"), Interval(14400), {"rrule": "FREQ=DAILY"})},
            [SIX, HOURS, RRule("FREQ=DAILY")],
        ),
        ({"schedules": Cron("0 6 * * *")}, [SIX]),
        ({"schedules": {"cron": "0 6 * * *"}}, [SIX]),
        ({"schedules": []}, []),
        ({"cron": "0 6 * * *", "is_schedule_active": False}, [Cron("0 6 * * *", active=False)]),
        (
            {"cron": "0 6 * * *", "catchup": "all", "jitter": 5},
            [CronSchedule(cron="0 6 * * *", catchup="all", jitter=5)],
        ),
        (
            {"schedules": [Cron("0 6 * * *", parameters={"n": 4}, slug="early"), Cron("0 9 1 * *")]},
            [Cron("0 6 * * *", parameters={"n": 4}, slug="early"), NINE],
        ),
    ],
)
def test_schedules_are_accepted_in_every_form(options: dict[str, Any], expected: list[Schedule]) -> None:
    report.deploy("d", **options, print_next_steps=False)
    assert sorted(schedules(), key=str) == sorted(expected, key=str)


def test_what_a_deployment_keeps() -> None:
    create_pool(engine.engine().database, "local-process-pool")
    create_queue(engine.engine().database, "local-process-pool", "urgent")
    made = report.deploy(
        "d",
        "local-process-pool",
        work_queue_name="urgent",
        parameters={"env": "test", "day": date(2026, 1, 2)},
        tags=["nightly", "etl"],
        description="The nightly one.",
        version="2026.1",
        paused=True,
        concurrency_limit=2,
        job_variables={"env": {"A": 1}, "memory_mb": 500},
        cron="0 6 * * *",
        print_next_steps=False,
    )
    found = stored()
    assert (found.id, found.version, found.paused) == (made, 1, True)
    assert found.parameters == {"env": "test", "day": "2026-01-02"}
    settings = found.settings
    assert (settings.pool, settings.queue) == ("local-process-pool", "urgent")
    assert (settings.tags, settings.description) == (("nightly", "etl"), "The nightly one.")
    assert (settings.concurrency_limit, settings.collision) == (2, Collision.ENQUEUE)
    assert (settings.retries, settings.retry_delay) == (2, 5.0)
    assert manifest()["label"] == "2026.1"
    assert manifest()["job_variables"] == {"env": {"A": "1"}, "memory_mb": 500}
    snapshot = load_snapshot(engine.engine().database, manifest()["snapshot"])
    assert snapshot == Path(__file__).read_bytes()
    assert manifest()["entrypoint"] == "test_deployments_api.py:report"


def test_deploying_again_keeps_nothing_that_is_not_said_again() -> None:
    first = report.deploy("d", cron="0 6 * * *", parameters={"n": 1}, tags=["a"], print_next_steps=False)
    assert report.deploy("d", print_next_steps=False) == first
    found = stored()
    assert (found.version, found.parameters, found.settings.tags) == (2, {}, ())
    assert found.settings.description == "Makes a report."
    assert manifest()["label"] == "7"
    assert schedules() == []


@pytest.mark.parametrize(
    ("limit", "kept"),
    [
        (3, (3, Collision.ENQUEUE)),
        ({"limit": 1}, (1, Collision.ENQUEUE)),
        ({"limit": 1, "collision_strategy": "CANCEL_NEW"}, (1, Collision.CANCEL_NEW)),
        (SimpleNamespace(limit=2, collision_strategy="ENQUEUE"), (2, Collision.ENQUEUE)),
        (SimpleNamespace(limit=2, collision_strategy=SimpleNamespace(value="CANCEL_NEW")), (2, Collision.CANCEL_NEW)),
        (SimpleNamespace(limit=2, collision_strategy=Collision.CANCEL_PREVIOUS), (2, Collision.CANCEL_PREVIOUS)),
    ],
)
def test_concurrency_limits(limit: Any, kept: tuple[int, Collision]) -> None:
    report.deploy("d", concurrency_limit=limit, print_next_steps=False)
    assert (stored().settings.concurrency_limit, stored().settings.collision) == kept


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cron": "0 6 * * *", "interval": 60}, "Both `cron` and `interval` are given; keep one of them."),
        ({"schedule": SIX, "schedules": [SIX]}, "Both `schedule` and `schedules` are given; keep one of them."),
        ({"crom": "0 6 * * *"}, "{title} has no option 'crom'. Did you mean 'cron'?"),
        ({"work_pool": "x"}, "{title} has no option 'work_pool'. Did you mean 'work_pool_name'?"),
        (
            {"timezone": "Europe/Zurich"},
            "The timezone 'Europe/Zurich' is given without a schedule, so it says nothing.",
        ),
        ({"catchup": "all"}, "The catchup 'all' is given without a schedule, so it says nothing."),
        (
            {"cron": "0 6 * * *", "timezone": "Europe/Zurch"},
            "timezone 'Europe/Zurch' is not a known time zone; did you mean Europe/Zurich?",
        ),
        (
            {"schedule": WEEKDAYS, "timezone": "Asia/Tokyo"},
            "timezone 'Asia/Tokyo' is not the 'Europe/Zurich' of the schedule; give it in one place.",
        ),
        (
            {"cron": "0 6 * * *", "anchor_date": "2026-01-01"},
            "anchor_date is for `interval`, and `cron` is given; leave it out.",
        ),
        ({"cron": "0 0 30 2 *"}, "cron '0 0 30 2 *' never fires, because no month has such a day"),
        ({"rrule": "FREQ=DAILY;UNTIL=20200101T000000"}, "never fires after now."),
        ({"cron": "0 25 * * *"}, "cron '0 25 * * *' has 25 as hour; use 0-23"),
        ({"cron": 5}, 'cron must be text such as "0 7 * * 1-5", not 5.'),
        ({"interval": "soon"}, "interval must be a timedelta or a number of seconds, not 'soon'."),
        ({"interval": 0.1}, "interval must be at least one second and at most a century."),
        (
            {"schedule": object()},
            "a schedule is a Cron, Interval or RRule, a dict, a cron line or a timedelta, not <obj",
        ),
        ({"schedule": {"corn": "0 6 * * *"}}, """a schedule has one of "cron", "interval" and "rrule", not 'corn'."""),
        (
            {"schedules": [Cron("0 6 * * *", slug="a"), Cron("0 7 * * *", slug="a")]},
            "Two schedules have the slug 'a'; each needs one of its own.",
        ),
        ({"tags": "nightly"}, "tags of {title} is 'nightly'; give a list of texts."),
        ({"tags": [1]}, "tags of {title} is [1]; give a list of texts."),
        ({"tags": 5}, "tags of {title} is 5; give a list of texts."),
        ({"parameters": ["env"]}, "parameters of {title} is ['env']; give a dict."),
        ({"description": 5}, "description of {title} is 5; give text."),
        ({"version": 5}, "version of {title} is 5; give text."),
        ({"paused": "yes"}, "paused of {title} is 'yes'; give True or False."),
        ({"work_pool_name": 5}, "work_pool_name of {title} is 5; give the name of a work pool."),
        ({"job_variables": []}, "job_variables of {title} is []; give a dict."),
        (
            {"job_variables": {"evn": {}}},
            "job_variables of deployment report/d has no option 'evn'. Did you mean 'env'?",
        ),
        (
            {"job_variables": {"memory_mb": 1}},
            "memory_mb of job_variables of deployment report/d is 1; give a whole number",
        ),
        ({"concurrency_limit": 0}, "concurrency_limit of deployment report/d is 0; give a whole number from 1 up."),
        ({"concurrency_limit": {"limt": 1}}, "has no option 'limt'. Did you mean 'limit'?"),
        (
            {"concurrency_limit": {"limit": 1, "collision_strategy": "DROP"}},
            "is 'DROP'; it is one of ENQUEUE, CANCEL_NEW, CANCEL_PREVIOUS.",
        ),
        ({"overlap": "skp"}, "it is one of queue, skip, cancel-previous. Did you mean 'skip'?"),
        ({"overlap": "skip", "concurrency_limit": 1}, "Both overlap and concurrency_limit"),
        ({"image": "me/flows:1"}, "the workers here execute flows as processes. Leave it out."),
        ({"work_queue_name": "urgnt"}, "The work pool 'default' has no queue 'urgnt'."),
        (
            {"work_pool_name": "defaut"},
            "There is no work pool 'defaut'. Did you mean 'default'? Make it with: "
            "flowbook work-pool create --type process defaut",
        ),
    ],
)
def test_options_that_cannot_be_meant_are_refused_and_nothing_is_stored(options: dict[str, Any], message: str) -> None:
    create_pool(engine.engine().database, "default")
    with pytest.raises((UsageError, NotFound)) as refused:
        report.deploy("d", **options)
    assert message.format(title="deploy() of flow 'report'") in str(refused.value)
    assert "\n" not in str(refused.value)
    assert all_deployments(engine.engine().database) == []


@pytest.mark.parametrize(
    ("target", "options", "field", "message"),
    [
        (
            report,
            {"parameters": {"enf": "x"}},
            "enf",
            "has no parameter 'enf'. Did you mean 'env'? It has 'env', 'n', 'day'.",
        ),
        (report, {"parameters": {"n": "many"}}, "n", "Parameter 'n' of deployment report/d does not fit"),
        (
            report,
            {"parameters": {"day": "{{ data_interval_ned }}"}},
            "day",
            "which is unknown. Did you mean 'data_interval_end'?",
        ),
        (
            report,
            {"schedules": [Cron("0 6 * * *", parameters={"n": "x"})]},
            "n",
            "Parameter 'n' of deployment report/d does not",
        ),
        (needy, {"cron": "0 6 * * *"}, "path", "Deployment needy/d needs the parameter 'path'"),
        (needy, {"parameters": {"path": object()}}, "path", "Parameter 'path' of deployment needy/d does not fit"),
    ],
)
def test_parameters_that_do_not_fit_name_the_field(
    target: Any, options: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(ParameterError) as refused:
        target.deploy("d", **options)
    assert refused.value.field == field
    assert message in str(refused.value)
    assert all_deployments(engine.engine().database) == []


def test_parameters_are_checked_against_the_hints_of_the_flow_itself() -> None:
    from pydantic import BaseModel

    class Shop(BaseModel):
        rooms: int

    def visit(shop: Shop) -> None: ...

    visit.__annotations__["shop"] = Shop
    visited = flow(visit)
    with pytest.raises(ParameterError, match=r"Parameter 'shop'\['rooms'\] of deployment visit/d does not fit"):
        visited.deploy("d", parameters={"shop": {"rooms": "none"}})
    visited.deploy("d", parameters={"shop": Shop(rooms=2)}, print_next_steps=False)
    assert stored("visit/d").parameters == {"shop": {"rooms": 2}}


@pytest.mark.parametrize("name", ["a/b", "", "  ", "two\nlines", "x" * 201, 5])
def test_names_that_cannot_be_one(name: Any) -> None:
    with pytest.raises(UsageError, match="cannot name a deployment: use 1 to 200 printable characters without `/`"):
        report.deploy(name)


def test_two_flows_may_have_deployments_of_one_name() -> None:
    deploy(report.to_deployment("same"), needy.to_deployment("same"), print_next_steps_message=False)
    assert {stored("report/same").id, stored("needy/same").id} == {
        each.id for each in all_deployments(engine.engine().database)
    }
    with pytest.raises(UsageError, match="There are several deployments 'same': say which one"):
        run_deployment("same", timeout=0)


def test_deploy_stores_all_or_nothing_and_says_what_comes_next(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ParameterError):
        deploy(report.to_deployment("d"), needy.to_deployment("d", cron="0 6 * * *"))
    with pytest.raises(UsageError, match=r"deploy\(\) was given two deployments 'report/d'"):
        deploy(report.to_deployment("d"), report.to_deployment("d"))
    assert all_deployments(engine.engine().database) == []
    create_pool(engine.engine().database, "p")
    made = deploy(report.to_deployment("d", cron="0 6 * * *"), work_pool_name="p")
    assert made == [stored().id]
    assert stored().settings.pool == "p"
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("Deployed 'report/d', version 1: test_deployments_api.py:report (snapshot ")
    assert said[1].startswith("Next runs of 'd': ")
    assert said[2] == "A worker of its pool executes it. Start one with: flowbook worker start --pool p"


def in_thread(function: Callable[[], None]) -> None:
    raised: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: serve(), "serve() was given no deployment: serve(flow.to_deployment(name='nightly'), ...)."),
        (
            lambda: serve(cast(Any, report)),
            "serve() was given <Flow 'report'>; give what flow.to_deployment(name=...) returns.",
        ),
        (
            lambda: serve(report.to_deployment("d"), report.to_deployment("d")),
            "serve() was given two deployments 'report/d'",
        ),
        (
            lambda: serve(report.to_deployment("d", work_pool_name="default")),
            "Deployment 'd' names the work pool 'default'",
        ),
        (
            lambda: report.serve("d", **cast(Any, {"work_pool_name": "default"})),
            "whose workers execute its runs: use deploy()",
        ),
        (lambda: report.serve("d", **cast(Any, {"image": "x"})), "serve() of flow 'report' has no option 'image'."),
        (lambda: report.serve("d", limit=0), "limit of serve() is 0; give a whole number from 1 up."),
        (lambda: report.serve("d", limit=cast(Any, "x")), "limit of serve() is 'x'; give a whole number from 1 up."),
        (
            lambda: in_thread(lambda: report.serve("d")),
            "serve() waits for signals, so it has to be called in the main thread.",
        ),
        (lambda: serve(report.to_deployment("d"), needy.to_deployment("d", interval=60)), "needs the parameter 'path'"),
        (lambda: Deployment.build_from_flow(cast(Any, print), "d"), "give a function that is decorated with @flow."),
    ],
)
def test_what_cannot_be_served_is_refused_and_nothing_is_stored(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        call()
    assert message in str(refused.value)
    assert all_deployments(engine.engine().database) == []


def test_a_deployment_as_in_prefect_2() -> None:
    options: dict[str, Any] = {
        "name": "daily-schedule",
        "schedule": {"cron": "0 6 * * *", "timezone": "UTC"},
        "work_pool_name": "default-agent-pool",
        "parameters": {"env": "{{ data_interval_end }}", "day": "{{ scheduled_time }}"},
    }
    made = Deployment.build_from_flow(report, **options)
    assert made.name == "daily-schedule"
    assert all_deployments(engine.engine().database) == []
    assert made.apply() == stored("daily-schedule").id
    assert stored("daily-schedule").settings.pool == "default-agent-pool"
    assert schedules("daily-schedule") == [SIX]
    due = datetime(2026, 1, 5, 6, tzinfo=UTC)
    asked = run_deployment("daily-schedule", scheduled_time=due, timeout=0)
    assert find_run(asked.id).parameters == {"env": "2026-01-05T06:00:00+00:00", "day": "2026-01-05"}
    Deployment.build_from_flow(report, apply=True, **options)
    assert stored("daily-schedule").version == 2


def test_a_pickled_flow_that_was_tampered_with_is_not_loaded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = pickle_flow(report, home)
    assert unpickle_flow(content, home).name == "report"
    monkeypatch.setattr("pickle.loads", lambda *_: pytest.fail("it is not even looked at"))
    for place in (0, 40, len(content) - 1):
        changed = bytearray(content)
        changed[place] ^= 1
        with pytest.raises(StoreError, match=r"was not signed with the key of .*, so it is not loaded"):
            unpickle_flow(bytes(changed), home)


def test_what_keeps_a_flow_from_being_pickled_is_named(home: Path) -> None:
    guard = threading.Lock()

    @flow
    def guarded() -> None:
        with guard:
            pass

    with pytest.raises(UsageError, match=r"^Flow 'guarded' .* because 'guard', which it uses, is a _thread\.lock"):
        guarded.deploy("d")
    assert all_deployments(engine.engine().database) == []


def test_run_deployment_asks_for_a_run_once_per_key() -> None:
    report.deploy("d", parameters={"env": "test"}, tags=["nightly"], print_next_steps=False)
    first = run_deployment(
        "report/d", parameters={"n": "4"}, timeout=0, flow_run_name="mine", tags=["by-hand"], idempotency_key="k"
    )
    assert (first.name, first.flow_name) == ("mine", "report")
    assert first.state is not None
    assert first.state.is_scheduled()
    assert first.parameters == {"env": "test", "n": 4}
    again = run_deployment("d", timeout=0, idempotency_key="k")
    other = run_deployment("d", timeout=0, idempotency_key="another")
    assert again.id == first.id != other.id
    assert len(recent_runs()) == 2
    (tags,) = [row.tags for row in rows() if row.id == first.id]
    assert json.loads(tags) == ["by-hand", "nightly"]


def test_run_deployment_waits_no_longer_than_the_timeout_and_warns_without_a_worker(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flowbook.promote import waiting

    monkeypatch.setattr(waiting, "_REAP_EVERY", 0.0)
    monkeypatch.setattr(waiting, "_SAY_AFTER", 0.0)
    report.deploy("d", print_next_steps=False)
    found = run_deployment("d", timeout=0.05, poll_interval=0.01)
    assert found.state is not None
    assert found.state.is_scheduled()
    assert [record.getMessage() for record in caplog.records if record.name == "flowbook.deployments"] == [
        f"Run 1 of 'report' ({found.name}) waits for a worker of pool 'default', and none is running. "
        "Start one with: flowbook worker start --pool default"
    ]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("reprt/d", {}, "There is no deployment 'reprt/d'. Did you mean 'report/d'?"),
        ("d", {"scheduled_time": datetime(2026, 1, 1)}, "which has no time zone: give an aware datetime"),  # noqa: DTZ001
        ("d", {"parameters": {"nn": 1}}, "Deployment 'd' has no parameter 'nn'. Did you mean 'n'?"),
        ("d", {"parameters": {"n": "x"}}, "Parameter 'n' of deployment 'd' does not fit"),
        ("d", {"tags": "x"}, "tags of run_deployment() is 'x'; give a list of texts."),
        ("d", {"work_queue_name": "q"}, "The work pool 'default' has no queue 'q'."),
    ],
)
def test_what_run_deployment_refuses(name: str, options: dict[str, Any], message: str) -> None:
    report.deploy("d", print_next_steps=False)
    with pytest.raises((UsageError, NotFound)) as refused:
        run_deployment(name, timeout=0, **options)
    assert message in str(refused.value)
    assert recent_runs() == []


def rows() -> list[Any]:
    from sqlalchemy import select

    from flowbook.store.schema import flow_run

    with engine.engine().database.read() as connection:
        return list(connection.execute(select(flow_run)))


def test_the_names_are_those_of_the_package() -> None:
    assert flowbook.serve is serve
    assert flowbook.deploy is deploy
