"""What schedules and workers take: how late runs are, what a scheduler costs at rest, what a run's process costs.

``python benchmarks/unattended.py [pickup|process|fires|rest|restart|killed|listing]``

Without a name all of them run, each in a process of its own and on a new home.
"""

from __future__ import annotations

import argparse
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from measuring import cost_of, cost_of_process, heading, new_home, row

from flowbook.engine import close_engines, engine
from flowbook.promote import request_run
from flowbook.run.ids import new_id
from flowbook.runs import recent_runs

WORKER = [sys.executable, "-m", "flowbook.cli", "worker", "start"]
SAMPLE = Path(__file__).parent / "unattended_flow.py"


def deployed(*schedules: dict[str, Any], name: str = "sample", since: float | None = None) -> None:
    """A deployment with these schedules, stored without reading any source."""
    from flowbook.store.deployments import save_version

    manifest = {"kind": "python", "parameters": {}, "schema": [], "settings": {}}
    save_version(
        engine().database, name=name, flow="sample", manifest=manifest, schedules=schedules, new_id=new_id, now=since
    )


@contextmanager
def worker(*options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that is ready."""
    process = subprocess.Popen([*WORKER, *options], stdout=subprocess.PIPE, env={**os.environ})
    assert process.stdout is not None
    process.stdout.readline()
    threading.Thread(target=process.stdout.read, daemon=True).start()
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def sample() -> None:
    """A deployment of a flow that does nothing."""
    code = "from unattended_flow import nothing; nothing.deploy('sample', print_next_steps=False)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=SAMPLE.parent, stdout=subprocess.DEVNULL)


def states(run_id: str) -> dict[str, float]:
    """When a run entered states of each type for the first time."""
    from flowbook.store.events import events_of

    events = events_of(engine().database, run_id)
    own = [event for event in events if event.kind == "state" and event.task_run_id is None]
    return {event.data["type"]: event.time for event in reversed(own)}


def pickup(count: int = 40) -> None:
    """From the time that a run is due to its claim by an idle worker, and to its beginning in its own process."""
    sample()
    ids = []
    with worker("--limit", "4"):
        for _ in range(count):
            ids.append(request_run("sample").id)
            time.sleep(random.uniform(0.9, 1.5))
        while any(run.ended is None for run in recent_runs(count)):
            time.sleep(0.2)
    claimed, begun = [], []
    for run_id in ids:
        entered = states(run_id)
        claimed.append(entered["PENDING"] - entered["SCHEDULED"])
        begun.append(entered["RUNNING"] - entered["SCHEDULED"])
    for title, times in (("claimed", claimed), ("running", begun)):
        row(f"a run that is due now is {title} after, p50 / p95", f"{_ms(times, 50)} / {_ms(times, 95)} ms")


def process(count: int = 10) -> None:
    """CPU of the process of a run, from its claim to its final state."""
    from flowbook.store.claiming import Claimant, claim_due
    from flowbook.store.processes import this_process

    sample()
    costs = []
    for _ in range(count):
        request_run("sample")
        (run,) = claim_due(engine().database, Claimant(process=this_process(), pool="default"), time.time() + 1, 1)
        costs.append(cost_of_process(sys.executable, "-m", "flowbook.promote.execute", run.id, str(run.fence)))
    assert all(run.state_type == "COMPLETED" for run in recent_runs())
    cpu = [cost.cpu for cost in costs]
    row(
        "a flow run without a task in a process of its own, CPU",
        f"{min(cpu):.2f} s (median {statistics.median(cpu):.2f})",
    )


def fires(count: int = 1000) -> None:
    """How late the runs of a thousand schedules are made that are due in the same second."""
    from flowbook.schedule.fires import make_due_runs
    from flowbook.schedule.loop import Loop

    due = int(time.time()) + 20
    moment = time.gmtime(due)
    cron = f"{moment.tm_sec} {moment.tm_min} {moment.tm_hour} * * *"
    for number in range(count):
        deployed({"cron": cron}, name=f"sample-{number}")
    make_due_runs(engine().database, time.time())
    stop = threading.Event()
    loop = Loop(engine().database, lambda _now: None, stop=stop)
    thread = threading.Thread(target=loop.run)
    thread.start()
    late = list(_visible(due, count))
    stop.set()
    loop.wake.set()
    thread.join()
    title = f"{count:,} fires in one second, from the second to the commit of the run, p50 / p99 / worst"
    row(title, f"{_ms(late, 50)} / {_ms(late, 99)} / {_ms(late, 100)} ms")


def _visible(due: int, count: int) -> Iterator[float]:
    """How long after `due` each of so many runs was there for others to see."""
    seen = 0
    with closing(sqlite3.connect(str(engine().database.url.database))) as connection:
        time.sleep(max(0.0, due - 0.5 - time.time()))
        while seen < count:
            (there,) = connection.execute("SELECT count(*) FROM flow_run").fetchone()
            now = time.time()
            yield from [now - due] * (there - seen)
            seen = there
            time.sleep(0.01)


def rest(count: int = 10_000, seconds: float = 20.0) -> None:
    """The CPU of a scheduler that has nothing to do, with ten thousand active deployments."""
    from flowbook.schedule.worker import Worker

    for number in range(count):
        deployed({"cron": f"{number % 60} 3 1 1 *"}, name=f"sample-{number}")
    made = Worker(limit=2, pool="default", said=lambda line: None)
    thread = threading.Thread(target=made.run)
    thread.start()
    time.sleep(5.0)
    cost = cost_of(lambda: time.sleep(seconds))
    made.stop()
    thread.join()
    row(f"a worker at rest, {count:,} active deployments", f"{cost.cpu / cost.wall:.2%} of a core")


def restart(count: int = 100) -> None:
    """From the start of a scheduler, after three days without one, to the moment that nothing is due."""
    from flowbook.schedule.fires import make_due_runs, next_due

    for number in range(count):
        deployed({"cron": "* * * * *"}, name=f"sample-{number}", since=time.time() - 3 * 86_400)
    cost = cost_of(lambda: make_due_runs(engine().database, time.time()))
    soonest = next_due(engine().database)
    assert soonest is not None
    assert soonest > time.time() - 60
    assert len(recent_runs(1000)) == count
    row(f"steady after three days down, {count} minutely schedules", f"{cost.wall:.2f} s ({cost.cpu:.2f} s of CPU)")


def killed(count: int = 5) -> None:
    """From kill -9 of a worker to its run being Crashed."""
    code = "from unattended_flow import sleeping; sleeping.deploy('sleeping', print_next_steps=False)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=SAMPLE.parent, stdout=subprocess.DEVNULL)
    took = []
    for _ in range(count):
        with worker() as process:
            asked = request_run("sleeping")
            while states(asked.id).get("RUNNING") is None:
                time.sleep(0.05)
            process.kill()
            began = time.time()
            while (crashed := states(asked.id).get("CRASHED")) is None:
                time.sleep(0.01)
            took.append(crashed - began)
    row("kill -9 of a worker to its run Crashed, median / worst", f"{_ms(took, 50)} / {_ms(took, 100)} ms")


def listing(runs: int = 100_000, tasks: int = 10) -> None:
    """`flowbook runs ls` on a hundred thousand runs with a million task runs, above the import of what it uses."""
    _fill(runs, tasks)
    close_engines()
    imports = "import flowbook.cli.runs, flowbook.engine, sqlalchemy.dialects.sqlite"
    bare = [cost_of_process(sys.executable, "-c", imports) for _ in range(5)]
    for command in (["runs", "ls"], ["runs", "ls", "--failed"]):
        costs = [cost_of_process(sys.executable, "-m", "flowbook.cli", *command) for _ in range(5)]
        cpu = min(cost.cpu for cost in costs) - min(cost.cpu for cost in bare)
        title = f"`flowbook {' '.join(command)}`, {runs:,} runs, {runs * tasks:,} task runs"
        row(f"{title}, above its imports", f"{cpu:.2f} s of CPU")


def _fill(runs: int, tasks: int) -> None:
    from sqlalchemy import insert

    from flowbook.store.schema import event, flow_run, task_run

    state = {"state_type": "COMPLETED", "state_name": "Completed", "state_message": None}
    for first in range(0, runs, 2000):
        flow_rows, task_rows, event_rows = [], [], []
        for number in range(first, min(runs, first + 2000)):
            began = 1.7e9 + number
            run_id = f"{number:032x}"
            said = state | ({"state_type": "FAILED", "state_name": "Failed"} if number % 50 == 0 else {})
            flow_rows.append(
                {"id": run_id, "name": f"run-{number}", "flow": "sample", "trigger": "call", "parameters": "{}", **said}
                | {"created": began, "started": began, "ended": began + 1}
            )
            event_rows.append({"time": began, "kind": "state", "flow_run_id": run_id, "data": "{}"})
            for index in range(tasks):
                times = {"created": began, "started": began, "ended": began + 1}
                task_rows.append(
                    {
                        "id": f"{number * tasks + index:032x}",
                        "flow_run_id": run_id,
                        "name": "t",
                        "key": "t",
                        **state,
                        **times,
                    }
                )
        with engine().database.write() as connection:
            connection.execute(insert(flow_run), flow_rows)
            connection.execute(insert(task_run), task_rows)
            connection.execute(insert(event), event_rows)


def _ms(times: list[float], percent: int) -> str:
    ordered = sorted(times)
    return f"{1000 * ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]:.0f}"


ALL = (pickup, process, fires, rest, restart, killed, listing)


def main() -> None:
    """Print the table, or one row of it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", nargs="?", choices=[one.__name__ for one in ALL])
    given = options.parse_args()
    if given.what is None:
        heading("Unattended")
        row("what", "measured")
        row("---", "---")
        for one in ALL:
            subprocess.run([sys.executable, __file__, one.__name__], check=True)
        return
    os.environ["FLOWBOOK_LOGGING_LEVEL"] = "ERROR"
    with new_home():
        globals()[given.what]()
        close_engines()


if __name__ == "__main__":
    main()
