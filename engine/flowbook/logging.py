"""The logger of the current run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from flowbook.errors import MissingContextError
from flowbook.run.current import speaker
from flowbook.run.logs import logger_of

__all__ = ["disable_run_logger", "get_run_logger"]

_run_loggers = [logging.getLogger("flowbook.flow_runs"), logging.getLogger("flowbook.task_runs")]


def get_run_logger() -> logging.LoggerAdapter[logging.Logger]:
    """The logger of the task run or flow run that the calling code is part of.

    Its records are shown, and kept with the run. Raises MissingContextError outside of any run, unless the loggers of
    runs are disabled.
    """
    run = speaker()
    if run is None:
        if all(logger.disabled for logger in _run_loggers):
            return logging.LoggerAdapter(_run_loggers[0], {})
        raise MissingContextError(
            "get_run_logger() was called outside of a flow or task run; call it inside one, or use logging.getLogger()."
        )
    return logger_of(run)


@contextmanager
def disable_run_logger() -> Iterator[None]:
    """Inside, runs log nothing, and `get_run_logger` works outside of runs too: for tests of a task's bare function."""
    before = [logger.disabled for logger in _run_loggers]
    for logger in _run_loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, disabled in zip(_run_loggers, before, strict=True):
            logger.disabled = disabled
