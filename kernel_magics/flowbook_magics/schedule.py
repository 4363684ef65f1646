"""``%schedule``: when the deployments of this notebook run by themselves."""

from __future__ import annotations

from datetime import UTC, datetime

from flowbook import engine
from flowbook.cells.grammar import Parsed
from flowbook.errors import NotebookError, NotFound, UsageError, did_you_mean
from flowbook.schedules import describe, from_dict, next_fires
from flowbook.store.deployments import (
    Deployment,
    StoredSchedule,
    deployed_from,
    schedule_of,
    schedules_of,
    set_paused,
    set_schedule_active,
)
from flowbook_magics import commands
from flowbook_magics.deploy import listed
from flowbook_magics.session import notebook_path
from flowbook_magics.tables import Table, Text


def list_(said: Parsed) -> Table:
    """The schedules of the notebook's deployments."""
    now = datetime.now(UTC)
    rows = []
    for found in _deployments(said.name):
        for stored in schedules_of(engine.engine().database, found.id):
            fires = next_fires(from_dict(stored.spec), now, 1) if _makes_runs(found, stored) else []
            state = "deployment paused" if found.paused else "active" if stored.active else "paused"
            rows.append((found.name, _title(stored), _words(stored), state, listed(fires) or "-"))
    empty = "No schedule yet. `%deploy --schedule '0 7 * * 1-5'` gives this notebook one."
    return Table(("Deployment", "Schedule", "When", "State", "Next run"), rows, empty=empty)


def next_(said: Parsed) -> Text:
    """When the notebook's deployments run next."""
    now = datetime.now(UTC)
    fires = [
        (fire, found.name)
        for found in _deployments(said.name)
        for stored in schedules_of(engine.engine().database, found.id)
        if _makes_runs(found, stored)
        for fire in next_fires(from_dict(stored.spec), now, said.limit)
    ]
    fires.sort(key=lambda each: each[0].astimezone(UTC))
    return Text("\n".join(f"{listed([fire])}  {name}" for fire, name in fires[: said.limit]) or "No run is planned.")


def pause(said: Parsed) -> Text:
    """Make no more runs by one schedule, or by any."""
    return _set_active(said, active=False)


def resume(said: Parsed) -> Text:
    """Make runs by one schedule, or by all of them, again."""
    return _set_active(said, active=True)


def remove(said: Parsed) -> Text:
    """Take a schedule away."""
    from flowbook.promote.revising import remove_schedule

    found = _one(said.name)
    stored = schedule_of(engine.engine().database, found, said.words[0] if said.words else None)
    made = remove_schedule(f"{found.flow}/{found.name}", stored.id)
    coming = f"Next runs: {listed(made.next_fires)}" if made.next_fires else made.why_no_fires
    return Text(f"Took {_words(stored)} away from {made.name!r}, which is version {made.version} now.\n{coming}")


def _set_active(said: Parsed, *, active: bool) -> Text:
    database = engine.engine().database
    found = _one(said.name)
    what = repr(found.name)
    if said.words:
        stored = schedule_of(database, found, said.words[0])
        set_schedule_active(database, stored.id, active)
        what = f"the schedule {_title(stored)} of {found.name!r}"
    else:
        set_paused(database, found.id, not active)
    if not active:
        return Text(f"Paused {what}. `%schedule resume` goes on.")
    return Text(f"Resumed {what}.\n{next_(_said_for_next(found.name))}")


def _said_for_next(name: str) -> Parsed:
    """What ``%schedule next --name NAME`` says."""
    return Parsed((), {"name": name, "limit": 5})


def _deployments(name: str | None) -> list[Deployment]:
    """The deployments of this notebook, or the one of them that is called `name`."""
    path = notebook_path()
    if path is None:
        raise NotebookError(
            "%schedule does not know which file this notebook is: open it in JupyterLab, or use "
            "`flowbook deployment schedule` in a terminal."
        )
    mine = [found for found, _ in deployed_from(engine.engine().database, path)]
    if not mine:
        raise NotFound(f"{path.name} is no deployment yet. `%deploy` makes it one.")
    chosen = [found for found in mine if name in (None, found.name)]
    if not chosen:
        names = [found.name for found in mine]
        hint = did_you_mean(name or "", names)
        raise NotFound(f"{path.name} has no deployment {name!r}.{hint} It has {', '.join(map(repr, names))}.")
    return chosen


def _one(name: str | None) -> Deployment:
    found = _deployments(name)
    if len(found) > 1:
        names = ", ".join(repr(each.name) for each in found)
        raise UsageError(f"This notebook has the deployments {names}: say which one with --name.")
    return found[0]


def _makes_runs(found: Deployment, stored: StoredSchedule) -> bool:
    return stored.active and not found.paused


def _title(stored: StoredSchedule) -> str:
    return stored.slug or stored.id[:8]


def _words(stored: StoredSchedule) -> str:
    planned = from_dict(stored.spec)
    return f"{describe(planned)}, {planned.timezone}"


#: What the verbs of ``%schedule`` do.
ACTS = {
    commands.SCHEDULE_LIST: list_,
    commands.SCHEDULE_NEXT: next_,
    commands.SCHEDULE_PAUSE: pause,
    commands.SCHEDULE_RESUME: resume,
    commands.SCHEDULE_RM: remove,
}
