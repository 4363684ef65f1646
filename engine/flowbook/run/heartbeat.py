"""An event loop in the main thread that sleeps until something happens does not notice a signal in every program.

`asyncio.run` sees to it that it does. The loop of a Jupyter kernel does not: there the stop button has no effect before
the loop wakes up for some other reason. While something of ours is awaited, it wakes up now and then.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_EVERY = 0.5  # seconds; what ends sooner costs nothing


@contextmanager
def beating() -> Iterator[None]:
    """While inside, the running event loop wakes up now and then, if it is the main thread's."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    next_beat: asyncio.TimerHandle

    def beat() -> None:
        nonlocal next_beat
        next_beat = loop.call_later(_EVERY, beat)

    next_beat = loop.call_later(_EVERY, beat)
    try:
        yield
    finally:
        next_beat.cancel()
