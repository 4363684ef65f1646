"""A worker that another process hosts: it stops when that process is gone, however it went.

The host holds one end of a pipe, which is closed with it. ``FLOWBOOK_LIFELINE`` is the number of the other end.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress

VARIABLE = "FLOWBOOK_LIFELINE"


def stop_with_host(stop: Callable[[], None]) -> None:
    """Have `stop` called in another thread when the host is gone; nothing if there is none."""
    lifeline = os.environ.pop(VARIABLE, "")
    if not lifeline.isdigit():
        return

    def watch() -> None:
        with suppress(OSError):
            while os.read(int(lifeline), 1):  # nobody writes to it
                pass
        stop()

    threading.Thread(target=watch, name="flowbook-lifeline", daemon=True).start()
