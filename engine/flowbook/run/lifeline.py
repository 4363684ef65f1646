"""Ending with another process, however that went.

The other process holds one end of a pipe, which is closed with it. ``FLOWBOOK_LIFELINE`` numbers the other end.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress

VARIABLE = "FLOWBOOK_LIFELINE"


def when_cut(call: Callable[[], None]) -> None:
    """Have `call` called in another thread when the process at the other end is gone; nothing if there is none."""
    lifeline = os.environ.pop(VARIABLE, "")
    if not lifeline.isdigit():
        return

    def watch() -> None:
        with suppress(OSError):
            while os.read(int(lifeline), 1):  # nobody writes to it
                pass
        call()

    threading.Thread(target=watch, name="flowbook-lifeline", daemon=True).start()
