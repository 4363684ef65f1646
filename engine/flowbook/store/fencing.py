"""Leases and fences: whoever executes a flow run says that it lives, and writes nothing once another one has the run.

A lease is renewed every `HEARTBEAT` seconds and lasts `LEASE`; a run that was never renewed counts from its beginning.
Every group of events is checked against the fences of the runs in it, in the transaction that writes it.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from flowbook.store.limits import shared_time

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from flowbook.store.database import Database

HEARTBEAT = 10.0
LEASE = 30.0


class Claims:
    """The flow runs that this process executes, by their fence. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}
        self._lock = threading.Lock()
        self.lost: Callable[[str], None] = lambda flow_run_id: None
        """Called with the id of a run that another process has taken, or that was given up for dead."""

    def hold(self, flow_run_id: str, fence: int) -> None:
        """This process executes the run from now on, under this fence."""
        with self._lock:
            self._held[flow_run_id] = fence

    def release(self, flow_run_ids: Iterable[str]) -> None:
        """These runs have ended, and that is written."""
        with self._lock:
            for run_id in flow_run_ids:
                self._held.pop(run_id, None)

    def is_lost(self, flow_run_id: str) -> bool:
        """Whether another process has taken the run, so that nothing more of it was written."""
        return self._held.get(flow_run_id) == _LOST

    def lost_among(self, connection: Connection, flow_run_ids: Iterable[str], new: Iterable[str]) -> set[str]:
        """Those of the runs whose fence is not ours any more, in the transaction that is about to write to them.

        `new` are runs that it is about to make.
        """
        from sqlalchemy import select

        from flowbook.store.schema import flow_run

        fresh = set(new)
        with self._lock:
            ours = {
                run_id: self._held[run_id] for run_id in flow_run_ids if run_id in self._held and run_id not in fresh
            }
        if not ours:
            return set()
        query = select(flow_run.c.id, flow_run.c.fence).where(flow_run.c.id.in_(ours))
        found = {row.id: row.fence for row in connection.execute(query)}
        return {run_id for run_id, fence in ours.items() if found.get(run_id) != fence}

    def give_up(self, flow_run_ids: Iterable[str]) -> None:
        """These runs are lost: whoever executes them is told, and they stay lost."""
        for run_id in flow_run_ids:
            with self._lock:
                known = self._held.get(run_id)
                if known is None or known == _LOST:
                    continue
                self._held[run_id] = _LOST
            self.lost(run_id)

    def renew(self, database: Database) -> None:
        """Say of all runs that this process executes that it does, and find out which it has lost."""
        from sqlalchemy import select, update

        from flowbook.store.schema import flow_run

        by_fence: dict[int, list[str]] = defaultdict(list)
        with self._lock:
            for run_id, fence in self._held.items():
                if fence != _LOST:
                    by_fence[fence].append(run_id)
        lost: list[str] = []
        for fence, run_ids in by_fence.items():
            mine = (flow_run.c.id.in_(run_ids), flow_run.c.fence == fence)
            with database.write() as connection:
                until = shared_time(connection) + LEASE
                if connection.execute(update(flow_run).where(*mine).values(lease=until)).rowcount == len(run_ids):
                    continue
                known = {
                    row.id: row.fence for row in connection.execute(select(flow_run).where(flow_run.c.id.in_(run_ids)))
                }
            lost += [run_id for run_id in run_ids if known.get(run_id, fence) != fence]
        self.give_up(lost)


_LOST = -1
