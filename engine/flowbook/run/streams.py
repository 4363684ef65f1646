"""What the code of a run prints while it runs for another process: caught line by line, and handed on at once.

``sys.stdout`` and ``sys.stderr`` are replaced as long as such a run is under way. Each run has streams of its own, so
several may print at the same time; what no run prints goes where it went before.
"""

from __future__ import annotations

import codecs
import io
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from flowbook.run.current import speaker
from flowbook.run.execution import Execution
from flowbook.run.flow_execution import FlowExecution

Say = Callable[[str, str], None]
"""Takes the name of a stream (``stdout``, ``stderr``) and a text."""

_NAMES = ("stdout", "stderr")
_streams: ContextVar[dict[str, io.TextIOWrapper] | None] = ContextVar("flowbook_streams", default=None)
_of_runs: dict[Execution, dict[str, io.TextIOWrapper]] = {}
_replacing = threading.Lock()


@contextmanager
def caught(runs: Iterable[Execution], say: Say) -> Iterator[None]:
    """Have `say` called with what the code inside prints, and what threads do that these runs have started."""
    own = {name: _stream(name, say) for name in _NAMES}
    with _replacing:
        if not _of_runs:
            for name in _NAMES:
                setattr(sys, name, _Routed(name, getattr(sys, name)))
        _of_runs.update(dict.fromkeys(runs, own))
    token = _streams.set(own)
    try:
        yield
    finally:
        _streams.reset(token)
        for stream in own.values():
            stream.flush()
        with _replacing:
            for run in runs:
                _of_runs.pop(run, None)
            if not _of_runs:
                for name in _NAMES:
                    current = getattr(sys, name)
                    if isinstance(current, _Routed):
                        setattr(sys, name, current.before)


class _Routed:
    """A standard stream, which is that of the run whose code uses it."""

    def __init__(self, name: str, before: Any) -> None:
        self.name = f"<{name}>"
        self.before = before
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        own = _streams.get() or _started_by(speaker())
        return getattr(own[self._name] if own else self.before, attribute)

    def __iter__(self) -> Iterator[str]:
        return iter(self.before)


def _started_by(run: Execution | None) -> dict[str, io.TextIOWrapper] | None:
    """The streams of the run that `run` is, or is a part of."""
    while run is not None and run not in _of_runs:
        run = run.parent if isinstance(run, FlowExecution) else getattr(run, "flow", None)
    return _of_runs.get(run) if run is not None else None


def _stream(name: str, say: Say) -> io.TextIOWrapper:
    # Without a buffer in between, which would say again what an interrupt has struck while it was said.
    said: Any = _Said(name, say)
    return io.TextIOWrapper(said, "utf-8", "backslashreplace", newline="\n", line_buffering=True)


class _Said(io.RawIOBase):
    """The end of a stream: what is written to it is said."""

    def __init__(self, name: str, say: Say) -> None:
        self._name = name
        self._say = say
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        text = self._decoder.decode(bytes(data))
        if text:
            self._say(self._name, text)
        return len(data)

    def fileno(self) -> int:
        """That of the process, for programs that it starts."""
        stream = getattr(sys, f"__{self._name}__")
        return int(stream.fileno())
