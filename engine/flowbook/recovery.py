"""What a run of a deployment has done is not done again when the run is begun anew, after a crash or on a retry.

Each completed task run of such a flow run leaves its result with the flow run, unless the task says otherwise
(``persist_result=False``, ``cache_policy=NO_CACHE``), or it cannot be pickled or compared, or is large. The next
execution of the same flow run takes it for the same call: the same task with the same code and arguments, the first
such call for the first, the second for the second. They go when the flow run has completed.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import IO, TYPE_CHECKING, Any

from flowbook import engine
from flowbook.core.storage import Found, Kept
from flowbook.results import ResultStore
from flowbook.serializers import PickleSerializer

if TYPE_CHECKING:
    from flowbook.run.execution import Execution

_log = logging.getLogger("flowbook.results")

#: Larger results are not kept (bytes): making the task run again is likely to be cheaper than keeping each.
MOST = 32 << 20


@dataclass(frozen=True, slots=True)
class RecoveryStorage:
    """The results of a task's runs in one flow run, for its next execution; only that one `reads` them.

    `code` gives what differs when the task does something else.
    """

    code: Callable[[], str]
    reads: bool

    def key(self, run: Any) -> str | None:
        """What the result of this run is stored under; None if its arguments cannot be compared."""
        from flowbook.cache_policies import fingerprint_of_inputs
        from flowbook.core.fingerprints import Incomparable

        try:
            call = f"{run.flow.recovery} {run.work.key} {self.code()} {fingerprint_of_inputs(dict(run.parameters))}"
        except (Incomparable, TypeError):
            return None
        number = next(run.flow.names.setdefault(f"recovery {call}", count()))
        return _store.hashed(f"{call} {number}")

    def look_up(self, key: str) -> Found | None:
        """What the execution before has made; None if it has not."""
        try:
            record = _store.record(key)
            return None if record is None else Found(_store.load(record))
        except Exception as error:
            _log.warning("%s The task runs again.", error)
            return None

    def save(self, key: str, value: Any, seconds: float, run: Execution) -> Kept:
        """Leave a result with the flow run, if it is small enough and can be pickled."""
        flow = getattr(run, "flow", None)
        root = str(flow.recovery).partition("/")[0] if flow is not None else None
        try:
            _store.put(key, value, seconds=seconds, task_key=run.work.key, flow_run_id=root)
        except TooLarge:
            pass
        except Exception as error:  # a lock, a connection, a generator: there are good reasons for such results
            _log.debug("The result of %s is not kept for a retry: %s: %s", run.title, type(error).__name__, error)
        return Kept(value)


def forget(flow_run_id: str) -> None:
    """Delete what was kept for a retry of this flow run; its output stays."""
    from flowbook.runtime.output import output_key
    from flowbook.store.results import delete_of_run

    opened = engine.engine()
    opened.journal.flush()
    delete_of_run(opened.database, opened.settings.home, flow_run_id, but=output_key(flow_run_id))


class TooLarge(Exception):
    """A value has more than `MOST` bytes when it is pickled."""


class Bounded(PickleSerializer):
    """Pickles up to `MOST` bytes. They are read by the one that they are named after."""

    def dump(self, value: Any, file: IO[bytes]) -> None:
        """Write a value to a file. Raises TooLarge."""
        super().dump(value, _Counting(file))  # type: ignore[arg-type]  # it is written to, and no more


class _Counting(io.RawIOBase):
    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self._left = MOST

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._left -= memoryview(data).nbytes
        if self._left < 0:
            raise TooLarge
        return self._file.write(data)


_store = ResultStore(serializer=Bounded())
