"""The logger of the current run."""

from __future__ import annotations

import logging

from flowbook.errors import MissingContextError
from flowbook.run.current import speaker
from flowbook.run.logs import logger_of

__all__ = ["get_run_logger"]


def get_run_logger() -> logging.LoggerAdapter[logging.Logger]:
    """The logger of the task run or flow run that the calling code is part of.

    Its records are shown, and kept with the run. Raises MissingContextError outside of any run.
    """
    run = speaker()
    if run is None:
        raise MissingContextError(
            "get_run_logger() was called outside of a flow or task run; call it inside one, or use logging.getLogger()."
        )
    return logger_of(run)
