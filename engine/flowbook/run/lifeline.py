"""Ending with another process, however that went.

The other process holds one end of a pipe, which is closed with it. ``FLOWBOOK_LIFELINE`` has the number of the other
end, and that process.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress

_VARIABLE = "FLOWBOOK_LIFELINE"


def lifeline_to(descriptor: int, process: int | None = None) -> dict[str, str]:
    """What a process has in its environment that ends with `process`, by default this one, which holds the pipe."""
    return {_VARIABLE: f"{descriptor} {process or os.getpid()}"}


def when_cut(call: Callable[[int], None]) -> None:
    """Have `call` called in another thread, with the process at the other end, when that is gone.

    Nothing happens if there is no such process.
    """
    descriptor, _, process = os.environ.pop(_VARIABLE, "").partition(" ")
    if not descriptor.isdigit() or not process.isdigit():
        return

    def watch() -> None:
        with suppress(OSError):
            while os.read(int(descriptor), 1):  # nobody writes to it
                pass
        call(int(process))

    threading.Thread(target=watch, name="flowbook-lifeline", daemon=True).start()
