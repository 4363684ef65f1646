"""``flowbook promote`` and ``flowbook deployment``: how it runs, its versions, its schedules, and its past."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import update

from flowbook import engine
from flowbook.cli.root import root
from flowbook.runs import find_run, recent_runs
from flowbook.schedule.fires import make_due_runs
from flowbook.store.deployments import all_deployments, find_deployment, schedules_of
from flowbook.store.schema import schedule

DAY = 86_400.0


def cli(*args: str, **options: Any) -> Result:
    return CliRunner().invoke(root, args, prog_name="flowbook", **options)


def ok(*args: str) -> str:
    answer = cli(*args)
    assert answer.exit_code == 0, answer.output
    return answer.output


def plain(*args: str) -> Any:
    return json.loads(ok(*args))


def inspected(name: str = "report") -> Any:
    return plain("deployment", "inspect", name, "--output", "json")


@pytest.fixture
def notebook(make_notebook: Any) -> Path:
    """A notebook with parameters, not deployed."""
    path: Path = make_notebook("report", "# parameters\nday: str = ''\nn: int = 1")
    return path


@pytest.fixture
def report(notebook: Path) -> Path:
    """A notebook that is deployed, without a schedule."""
    ok("promote", str(notebook))
    return notebook


# Promoting


def test_how_a_notebook_runs_is_said_when_it_is_promoted(notebook: Path) -> None:
    ok("work-pool", "create", "nightly")
    ok("work-queue", "create", "slow", "--pool", "nightly")
    said = ok(
        *("promote", str(notebook), "--every", "1h30m", "--tz", "Europe/Zurich", "--catchup", "all", "--jitter", "30s"),
        *("--overlap", "skip", "--pool", "nightly", "--queue", "slow", "--tags", "a,b", "--tag", "c"),
        *("--description", "What it is for", "--paused", "--param", "n=3", "--params", '{"day": "x"}'),
    )
    assert "It is paused, so its schedules make no runs. Run it with: flowbook deployment run report" in said
    assert said.endswith("A worker executes it. Start one with: flowbook worker start --pool nightly\n")
    found = inspected()
    assert {name: found[name] for name in ("paused", "pool", "queue", "description", "tags", "parameters", "next")} == {
        "paused": True,
        "pool": "nightly",
        "queue": "slow",
        "description": "What it is for",
        "tags": ["a", "b", "c"],
        "parameters": {"day": "x", "n": 3},
        "next": None,
    }
    assert found["settings"]["concurrency_limit"] == 1
    assert found["settings"]["collision"] == "CANCEL_NEW"
    (planned,) = found["schedules"]
    assert (planned["words"], planned["catchup"], planned["jitter"]) == (
        "Every 1 hour 30 minutes, Europe/Zurich",
        "all",
        30.0,
    )
    assert "It runs at:" in ok("promote", str(notebook), "--no-paused")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--every", "15m", "--schedule", "0 7 * * *"), "Both `cron` and `interval` are given; keep one of them."),
        (("--rrule", "FREQ=NEVER"), "FREQ"),
        (("--overlap", "skp"), "overlap of deployment 'report' is 'skp'; it is one of queue, skip, cancel-previous."),
        (("--overlap", "skip", "--concurrency-limit", "2"), "Both overlap and concurrency_limit"),
        (("--pool", "nihgtly"), "There is no work pool 'nihgtly'."),
        (("--queue", "slow"), "The work pool 'default' has no queue 'slow'."),
        (("--catchup", "all"), "The catchup 'all' is given without a schedule"),
    ],
)
def test_a_mistake_deploys_nothing(notebook: Path, options: tuple[str, ...], sentence: str) -> None:
    answer = cli("promote", str(notebook), *options)
    assert (answer.exit_code, answer.stderr.count("\n")) == (1, 1)
    assert sentence in answer.stderr
    assert all_deployments(engine.engine().database) == []


def test_a_dry_run_shows_everything_and_stores_nothing(notebook: Path) -> None:
    said = ok("promote", str(notebook), "--schedule", "0 7 * * *", "--dry-run")
    assert said.startswith("Nothing was stored. It would be deployed: 'report', version 1: report.ipynb (snapshot ")
    assert said.count(" 07:00:00 UTC") == 5
    assert plain("deployment", "ls", "--output", "json") == plain("work-pool", "ls", "--output", "json") == []
    ok("promote", str(notebook))
    assert "'report', version 2" in ok("promote", str(notebook), "--dry-run")
    assert inspected()["version"] == 1
    refused = cli("promote", str(notebook), "--dry-run", "--param", "n=many")
    assert refused.exit_code == 1


PROGRAM = """
from flowbook import flow

@flow
def daily(day: str, n: int = 1):
    return day * n

@flow(name="other-name")
def weekly():
    ...
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Python file with two flows, in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "jobs_of_ours.py"
    path.write_text(PROGRAM)
    return path


def test_a_flow_of_a_python_file_is_promoted(program: Path) -> None:
    said = ok("promote", "jobs_of_ours.py:daily", "--name", "prod", "--schedule", "0 7 * * *", "--param", "day=x")
    assert said.startswith("Deployed 'prod', version 1: jobs_of_ours.py:daily (snapshot ")
    found = inspected("daily/prod")
    assert (found["flow"], found["parameters"], found["pool"]) == ("daily", {"day": "x"}, "default")
    assert "version 1" in ok("promote", f"{program}:other-name", "--dry-run")
    assert ok("promote", f"{program}:other-name").startswith("Deployed 'other-name', version 1")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("jobs_of_ours.py", "Say which one"),
        ("jobs_of_ours.py:dialy", "Did you mean 'daily'?"),
        ("job_of_ours.py:daily", "Did you mean 'jobs_of_ours.py'?"),
        ("jobs_of_ours.py:daily", "needs the parameter 'day'"),
    ],
)
def test_a_python_flow_that_cannot_be_promoted(program: Path, text: str, sentence: str) -> None:
    answer = cli("promote", text, "--schedule", "0 7 * * *")
    assert answer.exit_code == 1
    assert sentence in answer.stderr
    assert all_deployments(engine.engine().database) == []


# Running


@pytest.mark.usefixtures("report")
def test_a_run_is_asked_for_with_a_time_a_name_and_tags() -> None:
    said = ok(
        *("deployment", "run", "report/report", "--at", "2999-01-31T07:00+01:00", "--name", "mine"),
        *("--tag", "a", "--tag", "b", "--idempotency-key", "k"),
    )
    assert re.match(r"Run 1 \(mine\) of 'report' begins at 2999-0\d-\d\d \d\d:\d\d:00\.\n", said)
    again = ok("deployment", "run", "report", "--idempotency-key", "k")
    assert again.startswith("Run 1 (mine) of 'report' is waiting")
    assert len(recent_runs()) == 1
    ok("runs", "cancel", "1")
    assert ok("deployment", "run", "report", "--idempotency-key", "k").startswith(
        "Run 1 (mine) of 'report' was asked for before, and is Cancelled."
    )
    refused = cli("deployment", "run", "report", "--queue", "fast")
    assert "The work pool 'default' has no queue 'fast'." in refused.stderr


# Versions


def test_versions_say_what_changed_and_an_older_one_comes_back(report: Path) -> None:
    ok("promote", str(report), "--schedule", "0 7 * * *", "--param", "n=2")
    report.write_text(report.read_text().replace("# parameters", "# parameters\\nm = 0"))
    ok("promote", str(report), "--concurrency-limit", "3", "--description", "new")
    rows = plain("deployment", "versions", "report", "--output", "json")
    assert [(row["version"], row["changed"]) for row in rows] == [
        (3, ["the code", "the description", "concurrency_limit 1 → 3"]),
        (2, ["parameters n", "the schedules"]),
        (1, ["the first version"]),
    ]
    assert ok("deployment", "rollback", "report", "1").startswith(
        "Deployed 'report', version 4: a copy of version 1.\nIt has no schedule."
    )
    found = inspected()
    assert (found["version"], found["schedules"], found["parameters"]) == (4, [], {})
    assert found["captured"]["snapshot"] == rows[2]["snapshot"]
    assert cli("deployment", "rollback", "report", "v4").stderr.startswith("Error: Version 4 is the newest of ")
    back = ok("deployment", "rollback", "report")
    assert back.startswith("Deployed 'report', version 5: a copy of version 3.\nNext run: 2")
    found = inspected()
    assert (len(found["schedules"]), found["settings"]["concurrency_limit"]) == (1, 3)
    table = ok("deployment", "versions", "report").splitlines()
    assert table[1].startswith("5 ")
    assert table[1].endswith("a copy of version 3")


def test_how_long_runs_of_a_notebook_may_take_stays_until_it_is_taken_away(report: Path) -> None:
    ok("promote", str(report), "--timeout", "2h", "--cell-timeout", "90")
    assert "\nTimeouts:    run 2h, cell 1m30s\n" in ok("deployment", "inspect", "report")
    ok("promote", str(report), "--cell-timeout", "0")
    assert "\nTimeouts:    run 2h\n" in ok("deployment", "inspect", "report")
    assert "cell timeout 90 s → None" in ok("deployment", "versions", "report")
    assert "'soon' is no length of time" in cli("promote", str(report), "--timeout", "soon").stderr
    refused = cli("promote", "weather.py:weather", "--timeout", "1h").stderr
    assert "A Python flow says how long it may take: @flow(timeout_seconds=3600)." in refused


def test_what_is_known_of_a_deployment_is_readable(report: Path) -> None:
    ok("promote", str(report), "--schedule", "0 7 * * *", "--param", "n=3", "--description", "Prices", "--tag", "a")
    shown = ok("deployment", "inspect", "report")
    assert shown.startswith("Deployment 'report' · flow 'report' · version 2 of 20")
    assert "\nFor:         Prices\nTags:        a\nRuns:        Every day at 07:00, UTC\nNext run:    20" in shown
    assert "\nParameters:  day: str = ''\n             n: int = 3, as deployed\nSource:      " in shown
    assert f"\nSource:      {report}\nExecutes:    report.ipynb\n" in shown
    ok("deployment", "pause", "report")
    assert "\nNext run:    none, it is paused\n" in ok("deployment", "inspect", "report")


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ((), "Deployment 'report' has only one version; there is none to go back to."),
        (("1",), "Version 1 is the newest of deployment 'report' already."),
        (("7",), "Deployment 'report' has no version 7; it has 1."),
    ],
)
@pytest.mark.usefixtures("report")
def test_a_version_that_cannot_come_back(version: tuple[str, ...], sentence: str) -> None:
    answer = cli("deployment", "rollback", "report", *version)
    assert (answer.exit_code, answer.stderr) == (1, f"Error: {sentence}\n")


# Schedules


def test_schedules_are_made_listed_paused_and_deleted(report: Path) -> None:
    assert "report has no schedule." in ok("deployment", "schedule", "ls", "report")
    made = ok("deployment", "schedule", "create", "report", "--cron", "0 7 * * *", "--slug", "mornings")
    assert made.startswith("Deployed 'report', version 2: its schedules changed.\nIt runs at:\n")
    assert made.count(" 07:00:00 UTC") == 5
    ok("deployment", "schedule", "create", "report", "--every", "6h", "--inactive", "--params", '{"n": 7}')
    rows = plain("deployment", "schedule", "ls", "report", "--output", "json")
    assert [(row["slug"], row["words"], row["active"], row["spec"]["parameters"]) for row in rows] == [
        ("mornings", "Every day at 07:00, UTC", True, {}),
        (None, "Every 6 hours, UTC", False, {"n": 7}),
    ]
    paused = ok("deployment", "schedule", "pause", "report", "mornings")
    assert paused == "Paused the schedule 'mornings' of 'report' (Every day at 07:00, UTC).\n"
    resumed = ok("deployment", "resume", "report", "--schedule", rows[1]["id"][:31])
    assert re.match(r"Resumed the schedule '\w+' of 'report'\. Next run: 2", resumed)
    rows = plain("deployment", "schedule", "ls", "report", "--output", "json")
    assert [row["active"] for row in rows] == [False, True]
    ok("promote", str(report))
    rows = plain("deployment", "schedule", "ls", "report", "--output", "json")
    assert [(row["slug"], row["active"]) for row in rows] == [("mornings", False), (None, True)], "a new version"
    deleted = ok("deployment", "schedule", "delete", "report", "mornings", "--yes")
    assert deleted.startswith("Deployed 'report', version 5: its schedules changed.")
    assert len(inspected()["schedules"]) == 1
    ok("deployment", "rollback", "report")
    assert {row["slug"] for row in inspected()["schedules"]} == {"mornings", None}


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("create", "report"), "Say when it runs: with --schedule (--cron), --every or --rrule."),
        (("create", "report", "--cron", "0 7 * * *"), "has that schedule already: Every day at 07:00."),
        (("create", "report", "--cron", "0 8 * * *", "--slug", "a"), "has a schedule 'a' already; use another --slug."),
        (("create", "report", "--cron", "0 8 * * *", "--params", '{"m": 1}'), "no parameter 'm'"),
        (("delete", "report", "--yes"), "Deployment 'report' has several schedules; say which one: a, b."),
        (("pause", "report", "c"), "Deployment 'report' has no schedule 'c'. It has a, b."),
    ],
)
def test_what_cannot_be_done_with_schedules(report: Path, args: tuple[str, ...], sentence: str) -> None:
    ok("deployment", "schedule", "create", "report", "--cron", "0 7 * * *", "--slug", "a")
    ok("deployment", "schedule", "create", "report", "--cron", "30 7 * * *", "--slug", "b")
    answer = cli("deployment", "schedule", *args)
    assert answer.exit_code in (1, 2)
    assert sentence in answer.stderr
    assert inspected()["version"] == 3


def test_a_schedule_that_is_promoted_as_active_again_is_active(notebook: Path) -> None:
    ok("promote", str(notebook), "--schedule", "0 7 * * *")
    ok("deployment", "schedule", "pause", "report")
    ok("promote", str(notebook))
    assert [each["active"] for each in inspected()["schedules"]] == [False]
    ok("promote", str(notebook), "--schedule", "0 8 * * *")
    assert [each["active"] for each in inspected()["schedules"]] == [True]


# The past


@pytest.fixture
def three_days(notebook: Path) -> datetime:
    """A deployment whose scheduler has been away for three days but for the last fire; the first of these days."""
    ok("promote", str(notebook), "--schedule", "0 7 * * *", "--param", "day={{ scheduled_time.date }}")
    database = engine.engine().database
    first = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)
    (stored,) = schedules_of(database, find_deployment(database, "report").id)
    with database.write() as connection:
        past = {"since": first.timestamp(), "next_due": first.timestamp()}
        connection.execute(update(schedule).where(schedule.c.id == stored.id).values(**past))
    make_due_runs(database, first.timestamp() + 3 * DAY)
    return first


def test_fires_say_what_became_of_each(three_days: datetime) -> None:
    run = find_run("last")
    rows = plain("deployment", "fires", "report", "--output", "json")
    seven = three_days.timestamp() + 7 * 3600
    assert [(row["time"] - seven, row["outcome"], row["run"], row["count"]) for row in rows] == [
        (2 * DAY, "run", run.number, 1),
        (0.0, "missed", None, 2),
    ]
    lines = ok("deployment", "fires", "report").splitlines()
    assert lines[0].split() == ["Time", "Until", "Times", "Outcome", "Run", "State", "Schedule"]
    assert [word for word in ("run", "missed") if word in lines[1]] == ["run"]
    assert len(ok("deployment", "fires", "report", "-n", "1").splitlines()) == 2


def test_a_backfill_makes_the_runs_that_are_missing(three_days: datetime) -> None:
    window = ("--from", three_days.date().isoformat(), "--to", (three_days + timedelta(days=3)).isoformat())
    dry = ok("deployment", "backfill", "report", *window, "--dry-run")
    assert dry.startswith("It would make 2 runs of 'report'. 1 time has made one already.\n")
    assert dry.count(" 07:00:00 UTC") == 2
    assert len(recent_runs()) == 1
    made = cli("deployment", "backfill", "report", *window, "--max-parallel", "4", "--param", "n=5")
    assert made.stdout == (
        "Made 2 runs of 'report', at most 4 at a time, the earliest first. 1 time has made one already.\n"
        "Look at them with: flowbook runs ls --deployment report\n"
    )
    assert "No worker is running." in made.stderr
    newest = recent_runs(2)
    assert [run.parameters for run in newest] == [
        {"day": (three_days + timedelta(days=day)).date().isoformat(), "n": 5} for day in (1, 0)
    ]
    assert {run.trigger for run in newest} == {"backfill"}
    assert "It would make no runs" in ok("deployment", "backfill", "report", *window, "--dry-run")
    assert plain("deployment", "backfill", "report", *window, "--output", "json")["flow_run_ids"] == []
    again = plain("deployment", "backfill", "report", *window, "--again", "--output", "json")
    assert (len(again["flow_run_ids"]), again["left_out"]) == (3, 0)
    outcomes = [row["outcome"] for row in plain("deployment", "fires", "report", "--output", "json")]
    assert outcomes[-3:] == ["run"] * 3


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--from", "2026-01-01", "--to", "2999-01-01"), "which is in the future"),
        (("--from", "yesterday"), "'yesterday' is not a time"),
        (("--from", "2026-01-01", "--param", "n=many"), "n"),
        (("--from", "2026-01-01", "--param", "m=1"), "no parameter 'm'"),
        (("--from", "2026-01-01", "--schedule", "b"), "has no schedule 'b'"),
    ],
)
@pytest.mark.usefixtures("three_days")
def test_a_backfill_that_is_refused_makes_nothing(options: tuple[str, ...], sentence: str) -> None:
    answer = cli("deployment", "backfill", "report", *options)
    assert answer.exit_code in (1, 2)
    assert sentence in answer.stderr
    assert len(recent_runs()) == 1


def test_times_without_an_offset_are_in_the_zone_of_the_schedule(notebook: Path) -> None:
    ok("promote", str(notebook), "--schedule", "0 0 * * *", "--tz", "Asia/Tokyo")
    window = ("--from", "2026-01-01", "--to", "2026-01-02")
    times = plain("deployment", "backfill", "report", *window, "--dry-run", "--output", "json")["times"]
    assert times == ["2026-01-01T00:00:00+09:00"]
