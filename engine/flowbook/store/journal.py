"""The writer: one thread that commits events in groups.

Threads that record may be interrupted anywhere. So they tell the writer by means that are one step to an interrupt (a
queue and locks in C): a `threading.Event` that was interrupted half-way would keep its lock, and everybody waiting.

Recording an event is an append to a queue. The thread takes what has gathered within about 20 ms, or at once when
somebody waits for it, and commits it together with the rows that it changes. One fsync then serves hundreds of events.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from queue import Empty, SimpleQueue
from random import SystemRandom
from typing import TYPE_CHECKING

from flowbook.core.events import Event
from flowbook.errors import StoreError
from flowbook.store.failures import is_passing, reason_of
from flowbook.store.fencing import Claims
from flowbook.store.rows import Batch

if TYPE_CHECKING:
    from flowbook.store.database import Database
    from flowbook.store.results import ResultRecord

_GATHER = 0.02  # seconds
_BATCH = 1000  # events per transaction
_FULL = 50_000  # events in the queue, before those who record more must wait
_RETRIES = 5  # of a group, while the database is locked or its server restarts


class Journal:
    """Keeps events in `database`. All methods may be called from any thread."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.claims = Claims()
        self.pending_results: dict[str, ResultRecord] = {}
        """Stored results by key that are not committed yet."""
        self._queue: deque[Event | ResultRecord | _Flush] = deque()
        self._bell: SimpleQueue[bool] = SimpleQueue()  # rung to wake the writer; with True, to hurry it
        self._asleep = True
        self._closed = False
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._write_forever, name="flowbook-writer", daemon=True)
        self._thread.start()

    def append_result(self, record: ResultRecord) -> None:
        """Record a stored result, with the events that follow or before them; it is found at once."""
        self.pending_results[record.key] = record
        self.append(record)

    def append(self, event: Event | ResultRecord) -> None:
        """Record `event`; it is durable after the next `flush`, or some 20 ms later by itself."""
        self._queue.append(event)
        if self._asleep:
            self._bell.put(False)
        if len(self._queue) > _FULL:
            self.flush()

    def flush(self) -> None:
        """Return when everything appended so far is committed; raises StoreError if it cannot be."""
        flush = _Flush()
        self._queue.append(flush)
        self._bell.put(True)
        flush.done.acquire()
        if flush.error is not None:
            raise StoreError(
                f"The record could not be written: {reason_of(flush.error)}. What ran since then is not in the history."
            ) from flush.error

    def close(self) -> None:
        """Commit what is left and end the thread."""
        self.flush()
        self._closed = True
        self._bell.put(True)
        self._thread.join()

    def _write_forever(self) -> None:
        while not self._closed:
            self._asleep = True
            hurry = False if self._queue else self._bell.get()
            self._asleep = False
            self._gather(hurry)
            for _ in range(-(-len(self._queue) // _BATCH)):  # what comes meanwhile gathers for the next group
                self._commit(*self._take())

    def _gather(self, hurry: bool) -> None:
        """Let events come together for a while, unless somebody waits for them."""
        until = time.monotonic() + _GATHER
        while not hurry and (left := until - time.monotonic()) > 0:
            try:
                hurry = self._bell.get(timeout=left)
            except Empty:
                return

    def _take(self) -> tuple[list[Event | ResultRecord], list[_Flush]]:
        events: list[Event | ResultRecord] = []
        flushes: list[_Flush] = []
        while self._queue and len(events) < _BATCH:
            item = self._queue.popleft()
            if isinstance(item, _Flush):
                flushes.append(item)
            else:
                events.append(item)
        return events, flushes

    def _commit(self, events: list[Event | ResultRecord], flushes: list[_Flush]) -> None:
        if events:
            try:
                self._write(events)
            except Exception as failure:
                self._failure = failure
        for flush in flushes:
            # Also what failed earlier, when nobody waited: whoever flushes next must know.
            flush.error, self._failure = self._failure, None
            flush.done.release()

    def _write(self, events: list[Event | ResultRecord]) -> None:
        batch = Batch(events)
        try:
            batch = self._write_batch(batch, events)
        finally:
            for record in batch.results.records:
                if self.pending_results.get(record.key) is record:
                    del self.pending_results[record.key]
        batch.results.remove_replaced()
        self.claims.release(batch.ended)

    def _write_batch(self, batch: Batch, events: list[Event | ResultRecord]) -> Batch:
        """Write the batch without the events of runs that another process has; returns what was written."""
        from sqlalchemy.exc import DBAPIError

        trial = 0
        while True:
            try:
                with self.database.write() as connection:
                    lost = self.claims.lost_among(connection, batch.flow_run_ids, batch.new_flows)
                    if lost:
                        batch = Batch(event for event in events if getattr(event, "flow_run_id", None) not in lost)
                    batch.write(connection)
                self.claims.give_up(lost)
                return batch
            except DBAPIError as error:  # nothing was written, see `Postgres.write`
                if trial == _RETRIES or not is_passing(error):
                    raise
                time.sleep(SystemRandom().uniform(0.05, 0.2) * 2**trial)
                trial += 1


class _Flush:
    """A mark in the queue, and who waits for it."""

    def __init__(self) -> None:
        self.done = threading.Lock()  # released when it is done
        self.done.acquire()
        self.error: Exception | None = None
