"""Results that are kept between runs: signed files in the home folder, found by their cache key."""

from __future__ import annotations

import logging
from typing import Any

from flowbook import engine
from flowbook.core.protocol import Returned
from flowbook.errors import FlowbookError, MissingResult

__all__ = ["MissingResult", "result_cache"]

_log = logging.getLogger("flowbook.results")


class ResultCache:
    """The results of cached tasks. A result that cannot be kept or read is a warning, never a failed run."""

    def look_up(self, key: str) -> Returned | None:
        """The result kept under `key`, or None."""
        from flowbook.store import results

        opened = engine.engine()
        try:
            return results.load(opened.database, opened.settings.home, key)
        except FlowbookError as error:
            _log.warning("%s The task runs again.", error)
            return None

    def save(self, key: str, value: Any) -> None:
        """Keep `value` under `key`."""
        from flowbook.store import results

        opened = engine.engine()
        try:
            results.save(opened.database, opened.settings.home, key, value)
        except Exception as error:
            _log.warning("The result cannot be kept for later runs: %s", error)


result_cache = ResultCache()
