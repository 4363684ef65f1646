"""Concurrency limits in the database, and their slots among processes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from tests.waiting import CUT_SHORT, WITHIN, until

from flowbook import flow, task
from flowbook.concurrency import asyncio as coroutines
from flowbook.concurrency.sync import (
    AcquireConcurrencySlotTimeoutError,
    ConcurrencySlotAcquisitionError,
    concurrency,
    rate_limit,
)
from flowbook.core.slots import Answer, Answers, Ask, Exchange, Renewal, Return, Want
from flowbook.engine import engine
from flowbook.errors import NotFound, UsageError
from flowbook.run.slots import Slots
from flowbook.store.database import Database
from flowbook.store.leases import DatabaseSlots
from flowbook.store.limits import (
    LimitUse,
    all_limits,
    create_limit,
    delete_limit,
    reset_limit,
    update_limit,
    use_of_limit,
)
from flowbook.store.processes import Process, process_of, this_process
from flowbook.task_runners import ThreadPoolTaskRunner

Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def database(store_url: str) -> Database:
    return engine().database


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a Python process that runs some code on the test's home; it is killed at the end of the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(code: str) -> subprocess.Popen[str]:
        code = "import sys, time\nfrom flowbook.concurrency.sync import concurrency, rate_limit\n" + textwrap.dedent(
            code
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


HOLDER = """
with concurrency("a"):
    print("inside", flush=True)
    sys.stdin.readline()
"""


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


_ids = (f"{number:032x}" for number in count(1))


class Peer:
    """A process that asks, as the store sees it. By default one of another machine."""

    def __init__(self, database: Database, clock: Clock, process: Process | None = None) -> None:
        self.process = process or Process(host="elsewhere", pid=next(_pids), started=1.0)
        self.store = DatabaseSlots(database, process=self.process, clock=clock)
        self.queue = next(_ids)

    def ask(self, *names: str, n: int = 1, occupy: int = 1, duration: float = 60, **options: Any) -> list[str]:
        """Ask for n leases; returns the ids of those that were granted."""
        wants = tuple(Want(id=next(_ids), occupy=occupy, duration=duration) for _ in range(n))
        asked = Ask(queue=self.queue, names=names, wants=wants, **{"waited": 0.0, **options})
        self.answer: Answer = self.tell(asks=(asked,)).answers[0]
        return [want.id for want in wants[: self.answer.granted]]

    def tell(self, **what: Any) -> Answers:
        return self.store.exchange(Exchange(**what))

    def give_back(self, *ids: str) -> None:
        self.tell(returns=tuple(Return(id=one, names=("a",), occupy=1) for one in ids))


_pids = count(1000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def peer(database: Database, clock: Clock) -> Callable[..., Peer]:
    return lambda process=None: Peer(database, clock, process)


# --- limits -----------------------------------------------------------------------------------------------------------


def test_limits_are_made_changed_and_deleted(database: Database) -> None:
    create_limit(database, "b", 2)
    create_limit(database, "a", 5, decay=0.5, active=False)
    assert list(all_limits(database)) == ["a", "b"]
    with pytest.raises(UsageError, match=r"There is a concurrency limit 'b' already\. Change it with: .* update b"):
        create_limit(database, "b", 3)
    changed = update_limit(database, "a", slots=7, active=True)
    assert (changed.slots, changed.decay, changed.active) == (7, 0.5, True)
    delete_limit(database, "a")
    assert list(all_limits(database)) == ["b"]
    with pytest.raises(NotFound, match=r"There is no concurrency limit 'bb'\. Did you mean 'b'\?"):
        update_limit(database, "bb", slots=1)


@pytest.mark.parametrize(
    ("name", "slots", "decay"),
    [("a", -1, 0.0), ("a", 2**31, 0.0), ("", 1, 0.0), ("a\n", 1, 0.0), ("a", 1, -1.0), ("a", 1, float("inf"))],
)
def test_values_that_cannot_be_meant_are_refused(database: Database, name: str, slots: int, decay: float) -> None:
    with pytest.raises(UsageError):
        create_limit(database, name, slots, decay=decay)
    assert all_limits(database) == {}


# --- leases -----------------------------------------------------------------------------------------------------------


def test_leases_are_granted_as_long_as_there_are_slots(database: Database, peer: Callable[..., Peer]) -> None:
    create_limit(database, "a", 3)
    one, two = peer(), peer()
    assert len(one.ask("a", n=2)) == 2
    first = two.ask("a", n=2)
    assert len(first) == 1
    assert one.ask("a") == []
    two.give_back(*first)
    assert len(one.ask("a")) == 1
    assert use_of_limit(database, "a").in_use == 3


def test_leases_of_several_limits_are_granted_together(database: Database, peer: Callable[..., Peer]) -> None:
    create_limit(database, "a", 1)
    create_limit(database, "b", 1)
    one, two = peer(), peer()
    assert one.ask("a", "b")
    assert two.ask("b") == []
    assert use_of_limit(database, "a").in_use == use_of_limit(database, "b").in_use == 1


def test_a_lease_is_over_when_it_was_not_renewed(database: Database, peer: Callable[..., Peer], clock: Clock) -> None:
    create_limit(database, "a", 1)
    one, two = peer(), peer()
    (lease,) = one.ask("a", duration=60)
    for _ in range(5):
        clock.now += 50
        assert two.ask("a") == []
        answers = one.tell(renewals=(Renewal(id=lease, duration=60, run_id=None),))
        assert answers.lost == frozenset()
    clock.now += 61
    assert len(two.ask("a")) == 1
    answers = one.tell(renewals=(Renewal(id=lease, duration=60, run_id=None),))
    assert answers.lost == {lease}


def test_the_lease_of_an_ended_process_of_this_machine_is_over_at_once(
    database: Database, peer: Callable[..., Peer]
) -> None:
    create_limit(database, "a", 1)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    one, two = peer(process_of(child.pid)), peer(this_process())
    assert one.ask("a")
    assert two.ask("a") == []
    child.kill()
    child.communicate()
    assert two.ask("a", known=True)


def test_a_living_process_of_this_machine_keeps_its_lease_unless_it_is_stopped(
    database: Database, peer: Callable[..., Peer], clock: Clock
) -> None:
    """As after a laptop has slept: all processes still use what they hold, and have had no chance to renew it."""
    create_limit(database, "a", 1)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    one, two = peer(process_of(child.pid)), peer(this_process())
    assert one.ask("a", duration=60)
    os.kill(child.pid, signal.SIGSTOP)
    os.waitpid(child.pid, os.WUNTRACED)
    assert two.ask("a") == []
    os.kill(child.pid, signal.SIGCONT)
    os.waitpid(child.pid, os.WCONTINUED)
    clock.now += 3600
    assert two.ask("a") == []
    os.kill(child.pid, signal.SIGSTOP)
    os.waitpid(child.pid, os.WUNTRACED)
    assert two.ask("a")
    child.kill()
    child.communicate()


def test_who_asks_again_in_vain_writes_nothing(database: Database, peer: Callable[..., Peer]) -> None:
    create_limit(database, "a", 1)
    one, two = peer(), peer()
    assert one.ask("a")
    assert two.ask("a") == []
    with statements(database) as said:
        assert two.ask("a", known=True, waited=0.3) == []
    assert [words.split()[0] for words in said if words != "BEGIN"] == ["SELECT", "SELECT"]


def test_whoever_has_waited_for_long_goes_first(database: Database, peer: Callable[..., Peer], clock: Clock) -> None:
    create_limit(database, "a", 1)
    greedy, patient = peer(), peer()
    (lease,) = greedy.ask("a", n=1)
    assert patient.ask("a") == []
    clock.now += 5
    greedy.give_back(lease)
    assert greedy.ask("a") == []
    assert greedy.answer.yielded
    assert patient.ask("a", known=True, waited=5.0)


def test_a_process_that_has_gone_is_not_waited_for(database: Database, peer: Callable[..., Peer], clock: Clock) -> None:
    create_limit(database, "a", 1)
    greedy, gone = peer(), peer()
    (lease,) = greedy.ask("a")
    assert gone.ask("a") == []
    clock.now += 31
    greedy.give_back(lease)
    assert greedy.ask("a")


def test_what_was_reset_is_lost_to_its_holder(database: Database, peer: Callable[..., Peer]) -> None:
    create_limit(database, "a", 2)
    one, two = peer(), peer()
    lease, _ = one.ask("a", n=2)
    assert reset_limit(database, "a") == 2
    assert two.ask("a")
    assert one.tell(renewals=(Renewal(id=lease, duration=60, run_id=None),)).lost == {lease}


def test_a_limit_that_is_deleted_or_inactive_lets_everybody_in(database: Database, peer: Callable[..., Peer]) -> None:
    create_limit(database, "a", 0)
    create_limit(database, "b", 0)
    one = peer()
    assert one.ask("a", "b") == []
    delete_limit(database, "a")
    assert one.ask("a", "b", known=True) == []
    update_limit(database, "b", active=False)
    assert len(one.ask("a", "b", n=10, known=True)) == 10
    assert use_of_limit(database, "b").holders == ()


def test_slots_of_a_rate_limit_come_back_with_time(database: Database, peer: Callable[..., Peer], clock: Clock) -> None:
    create_limit(database, "a", 4, decay=2)
    one, two = peer(), peer()
    assert len(one.ask("a", n=10, rate=True)) == 4
    assert two.ask("a", rate=True) == []
    assert two.answer.retry_in == pytest.approx(0.5)
    clock.now += 0.5
    assert len(two.ask("a", n=10, rate=True)) == 1
    assert one.ask("a", rate=True) == []
    clock.now += 1.2
    assert len(one.ask("a", n=10, rate=True)) == 2
    clock.now += 0.3
    assert len(two.ask("a", n=10, rate=True)) == 1
    clock.now += 3600
    assert len(two.ask("a", n=10, rate=True)) == 4


def test_slots_of_a_rate_limit_that_were_not_used_are_there_again(
    database: Database, peer: Callable[..., Peer]
) -> None:
    create_limit(database, "a", 2, decay=0.001)
    one = peer()
    first, _ = one.ask("a", n=2, rate=True)
    assert one.ask("a", rate=True) == []
    one.tell(returns=(Return(id=first, names=("a",), occupy=1, rate=True),))
    assert one.ask("a", rate=True)


def test_a_clock_that_is_set_back_takes_no_slots(database: Database, peer: Callable[..., Peer], clock: Clock) -> None:
    create_limit(database, "a", 2, decay=1)
    one = peer()
    assert one.ask("a", rate=True)
    clock.now -= 3600
    assert one.ask("a", rate=True)
    assert one.ask("a", rate=True) == []


def use(database: Database, name: str = "a") -> LimitUse:
    return use_of_limit(database, name)


# --- in code of users -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """The SQL statements sent inside."""
    said: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def test_a_missing_limit_limits_nothing_and_costs_no_query(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    create_limit(database, "other", 1)
    name = f"missing-{database.engine.name}"  # each name is warned of once
    logging.getLogger("flowbook").addHandler(caplog.handler)
    with concurrency(name), concurrency(name):
        pass
    with statements(database) as said:
        for _ in range(100):
            with concurrency(name):
                pass
            rate_limit(name)
    assert said == []
    logging.getLogger("flowbook").removeHandler(caplog.handler)
    assert [record.message for record in caplog.records] == [
        f"There is no concurrency limit {name!r}. Make it with: flowbook concurrency-limit create {name} 5. "
        "Until then nothing is limited by it."
    ]


def test_a_limit_made_in_this_process_is_known_at_once(database: Database) -> None:
    with concurrency("a"):
        pass
    create_limit(database, "a", 1)
    with concurrency("a"), pytest.raises(AcquireConcurrencySlotTimeoutError), concurrency("a", timeout_seconds=0):
        pass
    delete_limit(database, "a")
    with concurrency("a"), concurrency("a"):
        pass


def test_a_limit_made_elsewhere_is_known_within_five_seconds(database: Database) -> None:
    now = 0.0
    desk = Slots(DatabaseSlots(database), clock=lambda: now)
    assert desk.request(["a"]) is None
    with database.write() as connection:
        connection.exec_driver_sql("INSERT INTO concurrency_limit (name, slots, created) VALUES ('a', 0, 0)")
    assert desk.request(["a"]) is None
    now = 5.0
    with statements(database) as said:
        request = desk.request(["a"])
        assert request is not None
        desk.request(["b"])
        assert len([words for words in said if "FROM concurrency_limit" in words and "WHERE" not in words]) == 1
    desk.close()


def test_strict_asks_for_the_limit_to_exist(database: Database) -> None:
    said = "There is no concurrency limit 'a b'. Make it with: flowbook concurrency-limit create 'a b' 5"
    with pytest.raises(ConcurrencySlotAcquisitionError) as raised, concurrency("a b", strict=True):
        pass
    assert str(raised.value) == said
    with pytest.raises(ConcurrencySlotAcquisitionError):
        rate_limit(["a b"], strict=True)
    create_limit(database, "a b", 1, active=False)
    with concurrency("a b", strict=True), concurrency("a b", strict=True):
        pass


def test_more_than_the_limit_is_an_error_at_once(database: Database) -> None:
    create_limit(database, "a", 2)
    with pytest.raises(ConcurrencySlotAcquisitionError, match="has 2"), concurrency("a", occupy=3):
        pass
    with concurrency("a", occupy=2):
        assert use(database).in_use == 2
    with pytest.raises(UsageError, match="occupy is 0"), concurrency("a", occupy=0):
        pass
    with pytest.raises(UsageError, match=r"lease_duration is 0\.5"), concurrency("a", lease_duration=0.5):
        pass


def test_a_limit_without_slots_lets_nobody_in_until_it_has_some(database: Database) -> None:
    create_limit(database, "a", 0)
    entered: list[str] = []

    def enter() -> None:
        with concurrency("a"):
            entered.append("in")

    thread = threading.Thread(target=enter)
    thread.start()
    until(lambda: [one.waiting for one in use(database).holders] == [True])
    assert entered == []
    update_limit(database, "a", slots=1)
    thread.join(WITHIN)
    assert entered == ["in"]


def test_a_timeout_is_a_timeout_error(database: Database) -> None:
    create_limit(database, "a", 1)
    with concurrency("a"):
        said = r"no room for 1 slot of 'a'.*flowbook concurrency-limit inspect a"
        with pytest.raises(TimeoutError, match=said), concurrency(["a"], timeout_seconds=0.1):
            pass
    until(lambda: use(database).holders == ())


def test_a_rate_limit_waits_for_its_turn(database: Database) -> None:
    create_limit(database, "a", 1, decay=20)
    began = time.monotonic()
    for _ in range(5):
        rate_limit("a")
    assert 0.2 <= time.monotonic() - began + 0.001 < CUT_SHORT
    create_limit(database, "b", 1)
    with pytest.raises(ConcurrencySlotAcquisitionError, match=r"'b' has no slot decay.*update b --slot-decay"):
        rate_limit("b")
    create_limit(database, "slow", 1, decay=0.001)
    rate_limit("slow", timeout_seconds=0)
    with pytest.raises(TimeoutError):
        rate_limit("slow", timeout_seconds=0.05)


def test_a_slot_says_which_run_holds_it(database: Database) -> None:
    create_limit(database, "a", 1)

    @task
    def look() -> list[str | None]:
        with concurrency("a"):
            return [holder.run_id for holder in use(database).holders]

    state: Any = look(return_state=True)  # type: ignore[call-arg]
    with database.read() as connection:
        (run_id,) = connection.exec_driver_sql("SELECT id FROM task_run").scalars()
    assert state.result() == [run_id]


def test_a_limit_limits_the_tasks_with_its_name_as_a_tag(database: Database) -> None:
    create_limit(database, "a", 2)
    inside: set[int] = set()
    most: list[int] = []

    @task(tags=["a", "unlimited"])
    def load(n: int) -> int:
        inside.add(n)
        most.append(len(inside))
        time.sleep(0.005)
        inside.remove(n)
        return n

    @flow(task_runner=ThreadPoolTaskRunner(8))
    def report() -> Any:
        with statements(database) as said:
            results = load.map(range(50)).result()
        taken = [words for words in said if words.startswith("INSERT INTO concurrency_lease")]
        assert len(taken) < 10, "slots are handed on"
        return results

    assert report() == list(range(50))
    assert max(most) == 2
    until(lambda: use(database).holders == ())


def test_a_flow_limits_its_tasks_by_name() -> None:
    inside: set[int] = set()
    most: list[int] = []

    @task
    def load(n: int) -> None:
        inside.add(n)
        most.append(len(inside))
        time.sleep(0.005)
        inside.remove(n)

    @flow(task_runner=ThreadPoolTaskRunner(8), concurrency_limit={"load": 3})
    def report() -> None:
        load.map(range(30)).wait()

    report()
    assert (len(most), max(most)) == (30, 3)


def test_a_task_that_waits_does_not_count_against_its_pool(database: Database) -> None:
    create_limit(database, "a", 1)
    go_on = threading.Event()

    @task
    def limited() -> str:
        with concurrency("a"):
            return "limited"

    @task
    def free() -> None:
        go_on.set()

    @flow(task_runner=ThreadPoolTaskRunner(1))
    def report() -> Any:
        with concurrency("a"):
            waiting = limited.submit()
            until(lambda: any(one.waiting for one in use(database).holders))
            free.submit()
            assert go_on.wait(WITHIN)
        return waiting.result()

    assert report() == "limited"


def test_an_interrupt_ends_the_wait_and_leaves_nothing_behind(database: Database) -> None:
    create_limit(database, "a", 1)
    with concurrency("a"):
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt), concurrency("a"):
            pass
        until(lambda: [one.waiting for one in use(database).holders] == [False])
    until(lambda: use(database).holders == ())


def test_an_interrupt_ends_the_wait_of_the_tasks_of_a_flow(database: Database) -> None:
    create_limit(database, "a", 1)

    @task
    def limited() -> None:
        with concurrency("a"):
            pass

    @flow(task_runner=ThreadPoolTaskRunner(2))
    def report() -> None:
        limited.submit().result()

    with concurrency("a"):
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            report()
        until(lambda: [one.waiting for one in use(database).holders] == [False])


def test_coroutines_wait_without_holding_the_loop(database: Database) -> None:
    create_limit(database, "a", 1)
    order: list[str] = []

    async def work(name: str) -> None:
        async with coroutines.concurrency("a"):
            order.append(f"{name} in")
            await asyncio.sleep(0.02)
            order.append(f"{name} out")

    async def main() -> None:
        await asyncio.gather(*(work(name) for name in "abc"))

    asyncio.run(main())
    assert order == [f"{name} {way}" for name in "abc" for way in ("in", "out")]


def test_a_cancelled_coroutine_leaves_nothing_behind(database: Database) -> None:
    create_limit(database, "a", 1)

    async def work() -> None:
        async with coroutines.concurrency("a"):
            await asyncio.sleep(60)

    async def main() -> None:
        inside, waiting = asyncio.create_task(work()), asyncio.create_task(work())
        await asyncio.sleep(0.1)
        for cancelled in (waiting, inside):
            cancelled.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await cancelled
        async with coroutines.concurrency("a", timeout_seconds=WITHIN):
            with pytest.raises(AcquireConcurrencySlotTimeoutError):
                async with coroutines.concurrency("a", timeout_seconds=0.05):
                    pass

    asyncio.run(main())
    until(lambda: use(database).holders == ())


def test_a_coroutine_cancelled_as_its_slot_arrives_leaves_nothing_behind(database: Database) -> None:
    create_limit(database, "a", 1)

    async def work() -> None:
        async with coroutines.concurrency("a"):
            await asyncio.sleep(60)

    async def main() -> None:
        held = engine().slots.request(["a"])
        assert held is not None
        await asyncio.to_thread(held.result, WITHIN)
        for _ in range(50):
            waiting = asyncio.create_task(work())
            await asyncio.sleep(0)
            held.cancel()  # the slot is handed to the coroutine now, which has not heard of it
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiting
            held = engine().slots.request(["a"], timeout=WITHIN)
            assert held is not None
            await asyncio.to_thread(held.result, WITHIN)
        held.cancel()

    asyncio.run(main())
    until(lambda: use(database).holders == ())


def test_coroutines_and_a_rate_limit(database: Database) -> None:
    create_limit(database, "a", 1, decay=20)

    async def main() -> float:
        began = time.monotonic()
        await asyncio.gather(*(coroutines.rate_limit("a") for _ in range(5)))
        return time.monotonic() - began

    assert 0.2 <= asyncio.run(main()) + 0.001 < CUT_SHORT


@pytest.mark.slow
def test_a_lease_is_renewed_while_it_is_held(database: Database) -> None:
    create_limit(database, "a", 1)

    def expires() -> float:
        with database.read() as connection:
            return float(connection.exec_driver_sql("SELECT expires FROM concurrency_lease").scalar_one())

    with concurrency("a", lease_duration=1):
        first = expires()
        until(lambda: expires() > first + 0.5)


# --- among processes --------------------------------------------------------------------------------------------------


def rounds(log: Path, number: int) -> str:
    return f"""
    import os
    log = os.open({str(log)!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for _ in range({number}):
        with concurrency("a"):
            os.write(log, b"+")
            time.sleep(0.005)
            os.write(log, b"-")
    """


@pytest.mark.slow
def test_many_processes_never_hold_more_than_the_limit(database: Database, start: Start, tmp_path: Path) -> None:
    create_limit(database, "a", 2)
    log = tmp_path / "log"
    processes = [start(rounds(log, 20)) for _ in range(8)]
    assert [process.wait(100) for process in processes] == [0] * 8
    inside = most = 0
    for sign in log.read_text():
        inside += 1 if sign == "+" else -1
        most = max(most, inside)
    assert (len(log.read_text()), inside, most) == (320, 0, 2)
    assert use(database).holders == (), "processes that end return what they hold"


@pytest.mark.slow
def test_the_slots_of_a_killed_process_are_free_at_once(database: Database, start: Start) -> None:
    create_limit(database, "a", 1)
    holder = start(HOLDER)
    assert line_of(holder) == "inside"
    waited: list[float] = []

    def wait() -> None:
        with concurrency("a"):
            waited.append(time.monotonic())

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: any(one.waiting for one in use(database).holders))
    killed = time.monotonic()
    holder.kill()
    holder.wait()
    thread.join(WITHIN)
    assert waited[0] - killed < CUT_SHORT, "its lease would last five minutes"


@pytest.mark.slow
def test_another_process_has_its_turn_while_hundreds_wait_here(database: Database) -> None:
    create_limit(database, "a", 1)
    other_process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    other = Slots(DatabaseSlots(database, process=process_of(other_process.pid)))
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            with concurrency("a"):
                time.sleep(0.005)

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        request = other.request(["a"])
        assert request is not None
        request.result(CUT_SHORT)
        request.cancel()
    stop.set()
    for thread in threads:
        thread.join()
    other.close()
    other_process.communicate()


@pytest.mark.slow
def test_a_slot_that_another_process_gives_back_is_noticed_soon(database: Database, start: Start) -> None:
    create_limit(database, "a", 1)
    holder = start(HOLDER)
    assert line_of(holder) == "inside"
    request = engine().slots.request(["a"])
    assert request is not None
    with contextlib.suppress(TimeoutError):
        request.result(0.3)
    assert holder.stdin is not None
    holder.stdin.write("leave\n")
    holder.stdin.flush()
    request.result(CUT_SHORT)
    request.cancel()


@pytest.mark.slow
def test_importing_loads_nothing_heavy() -> None:
    code = "import flowbook.concurrency.sync, sys; print(*{'sqlalchemy', 'psutil', 'asyncio'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
