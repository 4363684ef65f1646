"""Who gets which run: priorities, limits, claims that nobody else has, and fences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from tests.deployed import MIDNIGHT, ask, at_once, deploy, process, runs

from flowbook import engine
from flowbook.settings import current_settings
from flowbook.store.claiming import Claimant, active_runs_of, claim_due, collisions, next_due
from flowbook.store.database import Database
from flowbook.store.deployments import Deployment
from flowbook.store.pools import create_pool, create_queue, update_pool, update_queue
from flowbook.store.queue import QueuedRun, hand_back, queued_run, take_over
from flowbook.store.schema import flow_run

pytestmark = pytest.mark.usefixtures("store_url")

NOW = MIDNIGHT + 100


@pytest.fixture
def database(store_url: str) -> Database:
    return engine.engine().database


@pytest.fixture
def pool(database: Database) -> str:
    return create_pool(database, "office").name


def of(pool: str | None = "office", pid: int = 1, **options: Any) -> Claimant:
    return Claimant(process=process(pid), pool=pool, **options)


def claim(database: Database, most: int = 100, claimant: Claimant | None = None) -> list[QueuedRun]:
    return claim_due(database, claimant or of(), NOW, most)


def ids(found: Sequence[QueuedRun]) -> list[str]:
    return [run.id for run in found]


def finish(database: Database, *claimed: QueuedRun) -> None:
    with database.write() as connection:
        done = flow_run.update().where(flow_run.c.id.in_(ids(claimed)))
        connection.execute(done.values(state_type="COMPLETED", state_name="Completed"))


def several(database: Database, deployment: Deployment, number: int, **options: Any) -> list[QueuedRun]:
    """Runs of which each is due before the next."""
    return [ask(database, deployment, MIDNIGHT + index, **options) for index in range(number)]


def test_the_longest_overdue_are_claimed_first_and_what_is_not_due_waits(database: Database, pool: str) -> None:
    saved = deploy(database, pool=pool)
    later, first, second = (ask(database, saved, due) for due in (NOW + 0.5, NOW - 50, NOW))
    assert next_due(database, of(), after=NOW - 60) == NOW - 50
    assert ids(claim(database)) == [first.id, second.id]
    assert claim(database) == []
    assert next_due(database, of(), after=NOW) == NOW + 0.5
    assert ids(claim_due(database, of(), NOW + 0.5, 1)) == [later.id]
    assert next_due(database, of(), after=NOW) is None


def test_a_claimed_run_says_whose_it_is(database: Database, pool: str) -> None:
    asked = ask(database, deploy(database, pool=pool))
    (claimed,) = claim(database)
    (row,) = runs(database)
    assert (claimed.id, claimed.fence, asked.fence) == (asked.id, 1, 0)
    assert (row.state_name, row.host, row.pid, row.fence) == ("Pending", "elsewhere", 1, 1)
    assert row.lease is not None


def test_queues_are_emptied_by_their_priority(database: Database, pool: str) -> None:
    create_queue(database, pool, "urgent", priority=1)
    create_queue(database, pool, "low", priority=9)
    update_queue(database, pool, "default", priority=5)
    saved = deploy(database, pool=pool)
    low = ask(database, saved, MIDNIGHT, queue="low")
    unnamed = ask(database, saved, MIDNIGHT + 1)
    urgent = ask(database, saved, MIDNIGHT + 2, queue="urgent")
    assert ids(claim(database, 1)) == [urgent.id]
    assert ids(claim(database)) == [unnamed.id, low.id]


def test_a_claimant_of_some_queues_gets_no_others(database: Database, pool: str) -> None:
    create_queue(database, pool, "reports")
    saved = deploy(database, pool=pool)
    unnamed, named = ask(database, saved), ask(database, saved, queue="reports")
    assert ids(claim(database, claimant=of(queues=("reports",)))) == [named.id]
    assert ids(claim(database, claimant=of(queues=("default",)))) == [unnamed.id]


def test_the_queue_of_a_deployment_is_that_of_its_runs_unless_they_say_another(database: Database, pool: str) -> None:
    for name in ("mine", "other"):
        create_queue(database, pool, name)
    saved = deploy(database, pool=pool, queue="mine")
    mine, other = ask(database, saved), ask(database, saved, queue="other")
    assert ids(claim(database, claimant=of(queues=("mine",)))) == [mine.id]
    assert ids(claim(database, claimant=of(queues=("other",)))) == [other.id]


def test_each_pool_has_its_own_runs(database: Database, pool: str) -> None:
    create_pool(database, "cluster")
    here, there = (ask(database, deploy(database, name=name, pool=name)) for name in (pool, "cluster"))
    assert ids(claim(database)) == [here.id]
    assert ids(claim(database, claimant=of("cluster"))) == [there.id]


def test_who_serves_gets_the_runs_of_its_own_deployments_and_of_no_pool(database: Database, pool: str) -> None:
    served, other = (deploy(database, name=name, pool=None) for name in ("served", "other"))
    pooled = deploy(database, name="pooled", pool=pool)
    mine, theirs, _ = ask(database, served), ask(database, other), ask(database, pooled)
    assert ids(claim(database, claimant=of(None, deployments=(served.id, pooled.id)))) == [mine.id]
    assert claim(database, claimant=of(None)) == []
    assert ids(claim(database, claimant=of(None, deployments=(other.id,)))) == [theirs.id]


@pytest.mark.parametrize("limited", ["pool", "queue", "deployment", "batch"])
def test_never_more_than_the_limit_are_executed(database: Database, pool: str, limited: str) -> None:
    settings: dict[str, Any] = {"pool": pool}
    options: dict[str, Any] = {}
    match limited:
        case "pool":
            update_pool(database, pool, concurrency_limit=2)
        case "queue":
            update_queue(database, pool, "default", concurrency_limit=2)
        case "deployment":
            settings["concurrency_limit"] = 2
        case "batch":
            options = {"batch": "backfill", "batch_limit": 2}
    asked = several(database, deploy(database, **settings), 5, **options)
    first = claim(database)
    assert ids(first) == ids(asked[:2])
    assert claim(database) == []
    finish(database, first[0])
    assert ids(claim(database)) == ids(asked[2:3])
    finish(database, *asked[:3])
    assert ids(claim(database)) == ids(asked[3:])


def test_all_limits_hold_together(database: Database, pool: str) -> None:
    update_pool(database, pool, concurrency_limit=5)
    create_queue(database, pool, "small", priority=1, concurrency_limit=3)
    update_queue(database, pool, "default", priority=2)
    one = deploy(database, name="one", pool=pool, queue="small", concurrency_limit=2)
    two = deploy(database, name="two", pool=pool, queue="small")
    three = deploy(database, name="three", pool=pool)
    asked = [*several(database, one, 4), *several(database, two, 4), *several(database, three, 4)]
    found = Counter(run.deployment_id for run in claim(database))
    assert found[three.id] == 2, "the pool has room for five, of which the queue takes three"
    assert found[one.id] + found[two.id] == 3
    assert found[one.id] <= 2
    assert len(asked) == 12


def test_another_pool_does_not_count(database: Database, pool: str) -> None:
    update_pool(database, pool, concurrency_limit=1)
    create_pool(database, "cluster")
    for name in (pool, "cluster"):
        ask(database, deploy(database, name=name, pool=name))
    assert len(claim(database, claimant=of("cluster"))) == 1
    assert len(claim(database)) == 1


def test_a_full_deployment_does_not_keep_others_waiting(database: Database, pool: str) -> None:
    several(database, deploy(database, name="busy", pool=pool, concurrency_limit=1), 20)
    other = ask(database, deploy(database, name="other", pool=pool), NOW)
    assert len(claim(database, 1)) == 1
    assert ids(claim(database, 1)) == [other.id]
    assert claim(database) == []


def test_a_full_queue_does_not_keep_others_waiting(database: Database, pool: str) -> None:
    create_queue(database, pool, "small", priority=1, concurrency_limit=1)
    update_queue(database, pool, "default", priority=2)
    saved = deploy(database, pool=pool)
    first = several(database, saved, 5, queue="small")[0]
    other = ask(database, saved, NOW)
    assert ids(claim(database, 2)) == [first.id, other.id]


@pytest.mark.parametrize("paused", ["pool", "queue"])
def test_what_is_paused_hands_out_nothing(database: Database, pool: str, paused: str) -> None:
    create_queue(database, pool, "other")
    saved = deploy(database, pool=pool)
    unnamed, named = ask(database, saved), ask(database, saved, queue="other")

    def pause(on: bool) -> None:
        if paused == "pool":
            update_pool(database, pool, paused=on)
        else:
            update_queue(database, pool, "default", paused=on)

    pause(True)
    assert ids(claim(database)) == ([] if paused == "pool" else [named.id])
    pause(False)
    assert unnamed.id in ids(claim(database))


def test_a_limit_of_none_lets_nothing_through(database: Database, pool: str) -> None:
    update_pool(database, pool, concurrency_limit=0)
    ask(database, deploy(database, pool=pool))
    assert claim(database) == []


@pytest.mark.parametrize("limit", [3, None])
def test_many_claimants_share_the_runs_and_keep_the_limit(
    database: Database, pool: str, store_url: str, limit: int | None
) -> None:
    update_pool(database, pool, concurrency_limit=limit)
    asked = several(database, deploy(database, pool=pool), 12)
    others = [Database(current_settings().database_url) for _ in range(4)]
    claimed: list[str] = []
    while len(claimed) < len(asked):
        works = [lambda mine=mine, pid=pid: claim(mine, 4, of(pid=pid)) for pid, mine in enumerate(others, 1)]
        found = [run for each in at_once(*works) for run in each]
        assert found
        assert limit is None or len(found) <= limit
        claimed += ids(found)
        holders = {run.id: (run.pid, run.fence) for run in runs(database)}
        assert all(holders[run.id][1] == 1 for run in found)
        finish(database, *found)
    for other in others:
        other.close()
    assert sorted(claimed) == sorted(ids(asked)), "each was claimed once"


def test_many_claimants_keep_the_limit_of_a_deployment(database: Database, pool: str, store_url: str) -> None:
    several(database, deploy(database, pool=pool, concurrency_limit=2), 8)
    others = [Database(current_settings().database_url) for _ in range(4)]
    found = at_once(*(lambda mine=mine, pid=pid: claim(mine, 4, of(pid=pid)) for pid, mine in enumerate(others, 1)))
    for other in others:
        other.close()
    assert sum(map(len, found)) == 2


@pytest.mark.parametrize(
    ("collision", "has_consequence"), [("ENQUEUE", False), ("CANCEL_NEW", True), ("CANCEL_PREVIOUS", True)]
)
def test_a_collision_is_told_where_it_has_a_consequence(
    database: Database, pool: str, collision: str, has_consequence: bool
) -> None:
    saved = deploy(database, pool=pool, concurrency_limit=1, collision=collision)
    other = deploy(database, name="other", pool=pool, collision=collision)
    first, second, later = (ask(database, saved, due) for due in (MIDNIGHT, MIDNIGHT + 1, NOW + 1))
    ask(database, other, NOW + 1)
    assert collisions(database, of(), NOW) == [], "nothing is executed yet"
    assert ids(claim(database)) == [first.id]
    expected = [(second.id, saved.id, collision, "report")] if has_consequence else []
    assert [tuple(row) for row in collisions(database, of(), NOW)] == expected
    assert active_runs_of(database, saved.id) == [first.id]
    finish(database, first)
    assert collisions(database, of(), NOW) == []
    assert later.id not in ids(claim(database))


def test_only_one_claim_succeeds_and_an_older_fence_cannot_take_over(database: Database, pool: str) -> None:
    ask(database, deploy(database, pool=pool))
    (claimed,) = claim(database)
    assert claim(database, claimant=of(pid=2)) == []
    child = process(17)
    assert not take_over(database, claimed.id, claimed.fence - 1, child)
    assert not take_over(database, claimed.id, claimed.fence + 1, child)
    assert take_over(database, claimed.id, claimed.fence, child)
    assert runs(database)[0].pid == 17
    finish(database, claimed)
    assert not take_over(database, claimed.id, claimed.fence, child), "it has ended"


def test_a_run_that_is_handed_back_is_for_another_claim(database: Database, pool: str) -> None:
    ask(database, deploy(database, pool=pool, concurrency_limit=1))
    (claimed,) = claim(database)
    assert hand_back(database, claimed)
    (row,) = runs(database)
    assert (row.state_name, row.pid, row.lease) == ("Scheduled", None, None)
    assert not take_over(database, claimed.id, claimed.fence, process(17)), "whoever handed it back has lost it"
    (again,) = claim(database, claimant=of(pid=2))
    assert (again.id, runs(database)[0].pid) == (claimed.id, 2)
    assert again.fence > claimed.fence
    assert not hand_back(database, claimed)
    assert runs(database)[0].pid == 2


def test_what_has_begun_is_not_handed_back(database: Database, pool: str) -> None:
    ask(database, deploy(database, pool=pool))
    (claimed,) = claim(database)
    with database.write() as connection:
        connection.execute(flow_run.update().values(state_type="RUNNING", state_name="Running"))
    assert not hand_back(database, claimed)
    assert runs(database)[0].state_name == "Running"


def test_asking_twice_with_one_key_makes_one_run(database: Database, pool: str) -> None:
    saved, other = deploy(database, pool=pool), deploy(database, name="other", pool=pool)
    first = ask(database, saved, idempotency_key="2026-03-02")
    again = ask(database, saved, MIDNIGHT + 5, idempotency_key="2026-03-02")
    assert again == first
    assert ask(database, saved, idempotency_key="2026-03-03").id != first.id
    assert ask(database, other, idempotency_key="2026-03-02").id != first.id
    assert ask(database, saved).id != ask(database, saved).id
    assert len(runs(database)) == 5
    finish(database, first)
    assert ask(database, saved, idempotency_key="2026-03-02").id == first.id


def test_asking_at_once_with_one_key_makes_one_run(database: Database, pool: str) -> None:
    saved = deploy(database, pool=pool)
    found = at_once(*[lambda: ask(database, saved, idempotency_key="key").id] * 4)
    assert len(set(found)) == 1
    assert len(runs(database)) == 1


def test_a_run_of_a_deployment_says_what_it_is(database: Database, pool: str) -> None:
    saved = deploy(database, pool=pool, tags=("nightly",))
    asked = ask(database, saved, name="first", tags=("by-hand",))
    found = queued_run(database, asked.id)
    assert (found.name, found.flow, found.version, found.tags) == ("first", "report", 1, ("by-hand", "nightly"))
    assert (found.pool, found.restarts, found.due) == (pool, 0, MIDNIGHT)
