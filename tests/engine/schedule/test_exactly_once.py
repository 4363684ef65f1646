"""Four schedulers look at one database: each fire makes exactly one run."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest
from sqlalchemy import select
from tests.deployed import MIDNIGHT, at_once, deploy

from flowbook import engine
from flowbook.schedule.fires import make_due_runs
from flowbook.settings import current_settings
from flowbook.store.database import Database
from flowbook.store.deployments import schedules_of
from flowbook.store.schema import fire, flow_run

SCHEDULES, SECONDS = 5, 100  # 500 fires
SKEWS = (0.0, 0.2, 1.0, 3.5)  # seconds by which the clocks of the schedulers differ


@pytest.fixture
def database(store_url: str) -> Database:
    found = engine.engine().database
    deploy(found, *({"cron": "* * * * * *", "slug": str(number)} for number in range(SCHEDULES)))
    return found


def check(database: Database, made: list[str]) -> None:
    with database.read() as connection:
        (deployment_id,) = set(connection.scalars(select(fire.c.deployment_id)))
        recorded = [tuple(row) for row in connection.execute(select(fire.c.schedule_id, fire.c.fire_time))]
        fired = list(connection.scalars(select(fire.c.flow_run_id).where(fire.c.outcome == "run")))
        stored = {row.id: row.due for row in connection.execute(select(flow_run.c.id, flow_run.c.due))}
    schedules = [each.id for each in schedules_of(database, deployment_id)]
    expected = {(each, MIDNIGHT + second) for each in schedules for second in range(1, SECONDS + 1)}
    assert len(schedules) == SCHEDULES
    assert len(recorded) == len(expected)
    assert set(recorded) == expected
    assert sorted(made) == sorted(fired) == sorted(stored), "each run was made by one of them, for one fire"
    assert sorted(stored.values()) == sorted(time for _, time in expected)


def test_in_threads_with_clocks_that_differ(database: Database, store_url: str) -> None:
    others = [Database(current_settings().database_url) for _ in SKEWS]
    made: list[str] = []
    for second in range(1, SECONDS + 5):
        now = MIDNIGHT + second
        works = [
            lambda mine=mine, at=now + skew: make_due_runs(mine, min(at, MIDNIGHT + SECONDS + 0.5))
            for mine, skew in zip(others, SKEWS, strict=True)
        ]
        random.Random(second).shuffle(works)
        made += [run_id for each in at_once(*works) for run_id in each]
    for other in others:
        other.close()
    check(database, made)


_SCHEDULER = """
import random, sys, time
from flowbook.engine import engine
from flowbook.schedule.fires import make_due_runs
seed, begin, seconds = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
chance, database = random.Random(seed), engine().database
print("ready", flush=True)
sys.stdin.readline()
now, made = begin, []
while now < begin + seconds + 0.5:
    now = min(now + chance.uniform(0, 1.5), begin + seconds + 0.5)
    made += make_due_runs(database, now)
    time.sleep(chance.uniform(0, 0.002))
print(" ".join(made))
"""


@pytest.mark.slow
def test_in_processes(database: Database) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _SCHEDULER, str(seed), str(MIDNIGHT), str(SECONDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(os.environ),
        )
        for seed in range(4)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    made: list[str] = []
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in started:
        said, _ = process.communicate(timeout=90)
        assert process.returncode == 0
        made += said.split()
    check(database, made)
