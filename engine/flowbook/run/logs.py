"""Logs and prints of runs: standard `logging` underneath, every record bound to the run that said it."""

from __future__ import annotations

import builtins
import functools
import io
import logging
import sys
import threading
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flowbook.core.jsonable import plain_text
from flowbook.run.blocking import notice_interrupt
from flowbook.run.current import speaker, start_of_thread

if TYPE_CHECKING:
    from flowbook.run.execution import Execution

_root = logging.getLogger("flowbook")
_plain_print = builtins.print
_logger = functools.cache(logging.getLogger)  # which takes a lock each time, see _Handler


def logger_of(run: Execution) -> logging.LoggerAdapter[logging.Logger]:
    """The logger of one run; its records carry the run, its id and its name."""
    return _RunLogger(_logger(run.logger), {"run": run, "run_id": run.id, "run_name": run.name})


class _RunLogger(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        notice_interrupt()
        return super().process(msg, kwargs)


def install(level: int) -> None:
    """Send flowbook's records from `level` up to the terminal and, those of runs, to the record. May be repeated."""
    if not any(isinstance(handler, _RunHandler) for handler in _root.handlers):
        _root.addHandler(_RunHandler())
        _root.addHandler(_TerminalHandler())
        _root.propagate = False
        builtins.print = _print
        threading.Thread.start = start_of_thread  # type: ignore[method-assign, assignment]
    _root.setLevel(level)


def quiet_terminal() -> None:
    """Let the terminal show only what no run says: in a process whose terminal is a file, runs have the record."""
    for handler in _root.handlers:
        if isinstance(handler, _TerminalHandler):
            handler.addFilter(
                lambda record: (
                    (getattr(record, "run", None) or speaker()) is None and not getattr(record, "recorded", False)
                )
            )


def hand_on() -> None:
    """Hand flowbook's records to the handlers of the root logger too, such as pytest's, unless there are such here."""
    _root.propagate = all(isinstance(handler, _Handler) for handler in _root.handlers)


@contextmanager
def as_before() -> Iterator[None]:
    """Have all that `install` and `hand_on` change as it was, once the block ends."""
    handlers, level, propagate = list(_root.handlers), _root.level, _root.propagate
    printing, starting = builtins.print, threading.Thread.start
    try:
        yield
    finally:
        for handler in list(_root.handlers):
            if isinstance(handler, _Handler) and handler not in handlers:
                _root.removeHandler(handler)
        _root.propagate = propagate
        _root.setLevel(level)
        builtins.print = printing
        threading.Thread.start = starting  # type: ignore[method-assign]


def say(run: Execution, message: str, *args: Any, always: bool = False) -> None:
    """Tell the terminal about `run`, unless it is quiet; the record knows it from the run's states already."""
    if (always or not run.work.quiet) and _root.isEnabledFor(logging.INFO):
        _logger(run.logger).info(message, *args, extra={"run": run, "recorded": True})


def announce(run: Execution, message: str, *args: Any) -> None:
    """Tell the terminal of `run` in the engine's name, as `say` does in the run's own."""
    if not run.work.quiet and _root.isEnabledFor(logging.INFO):
        _logger("flowbook.engine").info(message, *args, extra={"run": None, "recorded": True})


class _Handler(logging.Handler):
    """A handler whose `emit` needs no lock, and so takes none: Ctrl-C may strike before a lock is given back."""

    def handle(self, record: logging.LogRecord) -> bool:
        found = self.filter(record)
        if found:
            self.emit(record)
        return bool(found)


class _RunHandler(_Handler):
    """Makes a log event of each record that was said by a run."""

    def emit(self, record: logging.LogRecord) -> None:
        run: Execution | None = getattr(record, "run", None) or speaker()
        if run is None or getattr(record, "recorded", False):
            return
        try:
            message = record.getMessage()
            if record.exc_info:
                message += "\n" + logging.Formatter().formatException(record.exc_info)
            run.record_log({"level": record.levelname, "logger": record.name, "message": plain_text(message)})
        except Exception:
            self.handleError(record)


class _TerminalHandler(_Handler):
    """``15:42:01.412 | INFO    | Task run 'process' - Finished in state Completed()`` on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            run: Execution | None = getattr(record, "run", None) or (
                None if getattr(record, "recorded", False) else speaker()
            )
            who = run.title if run is not None else record.name
            clock = time.strftime("%H:%M:%S", time.localtime(record.created))
            line = f"{clock}.{int(record.msecs):03d} | {record.levelname:<7} | {who} - {record.getMessage()}\n"
            if record.exc_info:
                line += logging.Formatter().formatException(record.exc_info) + "\n"
            sys.stderr.write(line)
        except Exception:
            self.handleError(record)


def _print(*values: Any, sep: str | None = " ", end: str | None = "\n", file: Any = None, flush: bool = False) -> None:
    """`print`, but a line of its log in a run with ``log_prints``."""
    run = speaker()
    if run is None or file not in (None, sys.stdout):
        _plain_print(*values, sep=sep, end=end, file=file, flush=flush)
        return
    if not run.log_prints and not isinstance(sys.stdout, io.TextIOBase):
        _plain_print(*values, sep=sep, end=end, flush=flush)  # the user's own object may tell the pieces apart
        return
    text = (" " if sep is None else sep).join(map(str, values))
    if run.log_prints:
        logger_of(run).info("%s", text)
    else:  # in one piece, since other threads print, too
        _plain_print(text + ("\n" if end is None else end), end="", flush=flush)
