"""Where the protocol, its drivers and the store meet: how a call of a task or a flow becomes a run.

The public decorators (:mod:`flowbook.tasks`, :mod:`flowbook.flows`) hand over *work*, arguments and the run they are
called in; everything about recording and executing is decided here.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowbook.core.annotations import allow_failure
from flowbook.core.jsonable import to_json_value
from flowbook.core.names import name_of_run
from flowbook.core.states import State, cancelled
from flowbook.run import inline, logs
from flowbook.run.blocking import notice_interrupt
from flowbook.run.current import current, current_tags, speaker
from flowbook.run.execution import Execution, flowless
from flowbook.run.flow_execution import Claimed, FlowExecution
from flowbook.run.future import Future, replace_futures
from flowbook.run.ids import new_id
from flowbook.run.outcomes import result_of
from flowbook.run.planning import Plan, handed_out
from flowbook.run.pool import ThreadPool
from flowbook.run.recorder import Recorder
from flowbook.run.requests import Watcher
from flowbook.run.runner import Runner
from flowbook.run.stopping import drive_here, drive_task_here
from flowbook.run.task_execution import TaskExecution
from flowbook.run.turns import Turns
from flowbook.run.work import Slots, Work
from flowbook.settings import Settings, current_settings
from flowbook.store.processes import this_process

if TYPE_CHECKING:
    from flowbook.core.view import RunView
    from flowbook.run.slots import Slots as SlotsOfStore
    from flowbook.store.database import Database
    from flowbook.store.journal import Journal
    from flowbook.store.requests import RunRequests


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """What executing needs, once per process and database."""

    settings: Settings
    database: Database
    journal: Journal
    recorder: Recorder
    slots: SlotsOfStore
    background: Runner
    requests: RunRequests
    watcher: Watcher


_TAKEN_FOR_DEAD = (
    "This process was taken for dead, so the run is not its any more: it was stopped, asleep, or cut off from the "
    "database for too long."
)

_engines: dict[str, Engine] = {}
_opening = threading.Lock()


def engine() -> Engine:
    """The engine for the database that the settings name; opened on first use."""
    settings = current_settings()
    found = _engines.get(settings.database_url)
    if found is not None:
        return found
    with _opening:
        return _engines.get(settings.database_url) or _open(settings)


def _open(settings: Settings) -> Engine:
    from flowbook.run.slots import Slots as SlotsOfStore
    from flowbook.store.database import Database
    from flowbook.store.journal import Journal
    from flowbook.store.leases import DatabaseSlots
    from flowbook.store.requests import RunRequests

    database = Database(settings.database_url)
    journal = Journal(database)
    requests = RunRequests(database)
    watcher = Watcher(requests, beat=lambda: journal.claims.renew(database))
    journal.claims.lost = lambda flow_run_id: _lose(watcher, flow_run_id)
    opened = Engine(
        settings=settings,
        database=database,
        journal=journal,
        recorder=Recorder(journal),
        slots=SlotsOfStore(DatabaseSlots(database)),
        background=inline.started(lambda: ThreadPool(settings.task_workers)),
        requests=requests,
        watcher=watcher,
    )
    logs.install(settings.logging_level)
    _engines[settings.database_url] = opened
    return opened


def _lose(watcher: Watcher, flow_run_id: str) -> None:
    """End a flow run that is not ours any more. What it records from now on is not written."""
    run = watcher.find(flow_run_id)
    if run is not None:
        run.cancel(_TAKEN_FOR_DEAD)


def close_engines() -> None:
    """Finish what runs outside of flows, commit everything and let go of all databases.

    Called at exit; tests call it between homes.
    """
    for database_url in list(_engines):
        close_engine(database_url)


def close_engine(database_url: str) -> None:
    """As `close_engines`, for one database; nothing if it is not open."""
    opened = _engines.get(database_url)
    if opened is None:
        return
    try:
        opened.background.close()
    except BaseException as error:  # whoever presses Ctrl-C does not want to wait
        opened.background.close(error)
    for run in list(flowless):
        if run.iteration is not None and run.recorder is opened.recorder:  # a generator that nobody took to its end
            run.iteration.leave()
            run.end_as(cancelled("Not run to its end: the process ended before it."))
    del _engines[database_url]
    opened.watcher.close()
    opened.requests.close()
    opened.slots.close()
    opened.journal.close()
    opened.database.close()


def _forget_after_fork() -> None:
    """A forked child has neither the writer's thread nor a right to the parent's connections."""
    global _opening
    _opening = threading.Lock()
    _engines.clear()


atexit.register(close_engines)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)


def current_flow() -> FlowExecution | None:
    """The flow run that the calling code is part of."""
    run = current.get()
    return run.flow if isinstance(run, TaskExecution) else run if isinstance(run, FlowExecution) else None


def current_plan() -> Plan | None:
    """The plan that the calling code draws, also in threads which that has started: nothing is to run there."""
    run = speaker()
    return run if isinstance(run, Plan) else None


def draw_flow(work: Work, parameters: Mapping[str, Any]) -> RunView:
    """The graph of what a flow run with these parameters would run. Raises UsageError if that depends on a result."""
    logs.install(current_settings().logging_level)
    return Plan(work, parameters).draw()


def new_task_run(
    work: Work,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    wait_for: Sequence[Any] = (),
    map_index: int | None = None,
    mapped_by: str | None = None,
    mapped_from: Sequence[str] = (),
    flow: FlowExecution | None = None,
    name: str | None = None,
    outside: bool = False,
) -> TaskExecution:
    """A task run in the current flow run (in `flow`; in none, if `outside`), recorded with the runs it takes from.

    `mapped_by` is the id of the task run that runs once per element, of which this is one.
    """
    notice_interrupt()
    flow = current_plan() or (None if outside else flow or current_flow())
    if flow is not None:
        flow.check_goes_on()
        flow.producers.release()
    upstream, awaits = find_upstream((*args, *kwargs.values(), *wait_for), flow)
    shown = name or work.name
    tags = work.tags | current_tags.get()
    return TaskExecution(
        new_id(),
        flow.task_run_name(shown) if flow else shown,
        work,
        args,
        kwargs,
        flow.recorder if flow else engine().recorder,
        flow=flow,
        upstream=tuple(dict.fromkeys((*upstream, *mapped_from))),
        wait_for=tuple(wait_for),
        awaits=tuple(awaits),
        map_index=map_index,
        mapped_by=mapped_by,
        tags=tags,
        limits=_limits_of(work, flow, tags),
        process=None if flow else this_process().as_text(),
    )


def _limits_of(
    work: Work, flow: FlowExecution | None, tags: frozenset[str]
) -> tuple[tuple[Slots, tuple[str, ...], int], ...]:
    """The concurrency limits that a task run may be under, and how many slots it takes.

    They are those of its flow run, its own, and those of its tags.
    """
    if isinstance(flow, Plan):
        return ()
    limits: list[tuple[Slots, tuple[str, ...], int]] = []
    if flow is not None and flow.limits is not None:
        limits.append((flow.limits, (work.name,), 1))
    if work.limit is not None:
        limits.append((engine().slots, work.limit[:1], work.limit[1]))
    if tags:
        limits.append((engine().slots, tuple(sorted(tags)), 1))
    return tuple(limits)


def producers_of(values: Iterable[Any]) -> list[str]:
    """The ids of the runs that returned `values` themselves, not their members; a future stands for its result."""
    flow = current_flow()
    found = [
        value.task_run_id if isinstance(value, Future) else flow.producers.of(value) if flow is not None else None
        for value in values
    ]
    return [run_id for run_id in found if run_id is not None]


def resolve_parameters(parameters: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[str]]:
    """A flow's parameters with futures replaced by their results, and the ids of the runs that they come from."""
    upstream, futures = find_upstream(tuple(parameters.values()), current_flow())
    if futures:
        parameters = {name: replace_futures(value, result_of) for name, value in parameters.items()}
    return parameters, upstream


def find_upstream(values: Sequence[Any], flow: FlowExecution | None) -> tuple[list[str], list[Future[Any]]]:
    """The ids of the runs that `values` come from (futures, or results passed on as they are), and the futures."""
    ids: list[str] = []
    futures: list[Future[Any]] = []

    def found(value: Future[Any] | State | allow_failure[Any]) -> Any:
        if isinstance(value, allow_failure):
            replace_futures(value.value, found)
        elif isinstance(value, Future):
            futures.append(value)
            ids.append(value.task_run_id)
        return value

    for value in values:
        replace_futures(value, found)
        if flow is not None:
            ids.extend(flow.producers.of_parts(value))
    return ids, futures


def await_all(wait_for: Iterable[Any]) -> None:
    """Wait for the futures in `wait_for`. Raises UpstreamTaskError for one that did not complete."""
    replace_futures(list(wait_for), result_of)


def run_task(run: TaskExecution) -> State:
    """Execute a task run in the calling thread."""
    if isinstance(run.flow, Plan):
        return run.flow.take_down(run)
    state = inline.drive_task(run)
    if run.flow is None:
        run.recorder.flush()
    return state


async def run_task_async(run: TaskExecution) -> State:
    """Execute a task run on the running event loop."""
    if isinstance(run.flow, Plan):
        return run.flow.take_down(run)
    from flowbook.run import aio
    from flowbook.run.heartbeat import beating

    if run.flow is not None:
        return await aio.drive_task(run)
    with beating():
        state = await aio.drive_task(run)
    run.recorder.flush()
    return state


def values_of(begin: Callable[[], Execution], answer: Callable[[State], Any], *, is_async: bool) -> Any:
    """A generator, or async generator, that executes the run of a generator function as its values are taken.

    `begin` gives the run as the first value is asked for; `answer` makes of its final state what is returned or raised.
    """
    if current_plan() is not None:
        drawn = begin()
        assert isinstance(drawn, TaskExecution)
        return handed_out(run_task(drawn).result(), is_async=is_async, is_generator=True)
    if is_async:
        from flowbook.run import async_generators

        return async_generators.iterate(begin, answer)
    from flowbook.run import generators

    return generators.iterate(begin, answer)


def submit_task(run: TaskExecution) -> Future[Any]:
    """Have the flow run's runner execute a task run; returns its future at once."""
    runner: Runner = run.flow.runner if run.flow else engine().background
    future = run.future
    awaits, run.awaits = run.awaits, ()  # which need not be kept alive until the run ends
    runner.submit(run, awaits)
    return future


def new_flow_run(
    work: Work,
    kwargs: Mapping[str, Any],
    runner: Runner,
    *,
    name: str | None = None,
    flow_run_id: str | None = None,
    claimed: Claimed | None = None,
    trigger: str = "call",
    upstream: Sequence[str] = (),
    limits: Slots | None = None,
) -> FlowExecution:
    """A flow run, inside the current one if there is one; its id may be chosen beforehand.

    A `claimed` run is in the store already, and this process has it.
    """
    parent = current_flow()
    opened = engine()
    recorder = parent.recorder if parent else opened.recorder
    run_id = flow_run_id or new_id()
    name = name or name_of_run(run_id)
    tags = current_tags.get() | (claimed.tags if claimed else frozenset())
    run = FlowExecution(run_id, name, work, kwargs, recorder, runner=runner, parent=parent, tags=tags, limits=limits)
    if claimed is not None:
        run.shown_in, run.is_retried = claimed.parent_id, claimed.is_retried
        run.recovery = run_id if claimed.begins_anew else None
    opened.journal.claims.hold(run_id, claimed.fence if claimed else 0)
    process = this_process()
    recorder.emit(
        "flow-run",
        run_id,
        None,
        {
            "name": name,
            "flow": work.name,
            "parameters": to_json_value(kwargs),
            "trigger": "parent" if parent else trigger,
            "host": process.host,
            "pid": process.pid,
            "pid_started": process.started,
            **({"known": True} if claimed else {}),
            **({"parent": parent.id} if parent else {}),
            **({"tags": sorted(run.tags)} if run.tags else {}),
        },
    )
    if parent is not None:
        run.upstream = upstream
        node = {"name": parent.task_run_name(work.name), "key": work.key, "flow": True}
        if parent.recovery is not None:
            run.recovery, run.is_retried = f"{parent.recovery}/{node['name']}", parent.is_retried
        recorder.emit("task-run", parent.id, run_id, {**node, "upstream": list(upstream)} if upstream else node)
    return run


def attach_to_flow_run(flow_run_id: str, work: Work, runner: Runner, *, claimed: Claimed) -> FlowExecution:
    """A flow run that another process has claimed and executes, so that this one can add task runs to it."""
    opened = engine()
    opened.journal.claims.hold(flow_run_id, claimed.fence)
    run = FlowExecution(flow_run_id, work.name, work, {}, opened.recorder, runner=runner)
    run.recovery, run.is_retried = flow_run_id if claimed.begins_anew else None, claimed.is_retried
    return run


def run_flow(run: FlowExecution) -> State:
    """Execute a flow run in the calling thread; returns once its final state is committed."""
    with _ended_if_struck(run):
        begin_flow(run)
        return committed(run, drive_here(run, engine().watcher))


async def run_flow_async(run: FlowExecution, *, stop: Callable[[BaseException], None] | None = None) -> State:
    """Execute a flow run on the running event loop; returns once its final state is committed.

    If somebody asks for it to be cancelled, `stop` is called on the loop, and has to end it with that error; without
    it the asyncio task is cancelled.
    """
    with _ended_if_struck(run):
        begin_flow(run)
        return committed(run, await drive_task_here(run, engine().watcher, stop))


@contextmanager
def _ended_if_struck(run: FlowExecution) -> Iterator[None]:
    """A run that is broken into before its driver has begun must not stay Pending."""
    try:
        yield
    except BaseException as error:
        run.break_off(error)
        raise


def committed(run: FlowExecution, state: State) -> State:
    """The final state of a run, once it is durable. A run that was lost has not ended as it did here."""
    if run.parent is None:
        run.recorder.flush()
    return cancelled(_TAKEN_FOR_DEAD) if engine().journal.claims.is_lost(run.id) else state


def begin_flow(run: FlowExecution, *, in_turns: bool = False) -> None:
    """Say that the flow run begins; one of a generator function is executed in turns."""
    if in_turns:
        run.turns = Turns(run, engine().watcher)
    if run.parent is None:
        logs.announce(run, "Created flow run %r for flow %r", run.name, run.work.name)
    else:
        logs.announce(run, "Created subflow run %r for flow %r", run.name, run.work.name)


__all__ = [
    "Claimed",
    "Engine",
    "attach_to_flow_run",
    "await_all",
    "close_engine",
    "close_engines",
    "committed",
    "current_flow",
    "current_plan",
    "draw_flow",
    "engine",
    "find_upstream",
    "new_flow_run",
    "new_task_run",
    "producers_of",
    "resolve_parameters",
    "run_flow",
    "run_flow_async",
    "run_task",
    "run_task_async",
    "submit_task",
    "values_of",
]
