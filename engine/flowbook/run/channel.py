"""Messages between two processes over a socket.

A message is a few parts of bytes: a pickle, and the large buffers that it refers to (PEP 574), which are sent as they
lie in memory and received where they stay.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress

Part = bytes | bytearray | memoryview

_COUNT = struct.Struct("!I")
_SIZE = struct.Struct("!Q")
_JOINED = 1 << 16  # bytes: smaller parts are sent in one go with the sizes
_channels: weakref.WeakSet[Channel] = weakref.WeakSet()


class Channel:
    """One end of the line. Any thread may send, one may receive."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._sending = threading.Lock()
        _channels.add(self)

    def send(self, parts: Sequence[Part]) -> None:
        """Send a message; raises OSError when the other end is gone."""
        sizes = [memoryview(part).nbytes for part in parts]
        pending = bytearray(_COUNT.pack(len(parts)))
        for size in sizes:
            pending += _SIZE.pack(size)
        with self._sending:
            for part, size in zip(parts, sizes, strict=True):
                if len(pending) + size <= _JOINED:
                    pending += part
                    continue
                self._socket.sendall(pending)
                pending = bytearray()
                self._socket.sendall(part)
            if pending:
                self._socket.sendall(pending)

    def receive(self) -> list[bytearray]:
        """The next message; raises EOFError when the other end is gone."""
        (count,) = _COUNT.unpack(self._receive(_COUNT.size))
        sizes = [_SIZE.unpack(self._receive(_SIZE.size))[0] for _ in range(count)]
        return [self._receive(size) for size in sizes]

    def end(self) -> None:
        """Tell the other end that nothing more comes, which may still send."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def break_off(self) -> None:
        """End whatever is being sent or received."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the line."""
        self._socket.close()

    def _receive(self, size: int) -> bytearray:
        part = bytearray(size)
        rest = memoryview(part)
        while rest:
            try:
                received = self._socket.recv_into(rest)
            except OSError as error:
                raise EOFError(str(error)) from error
            if not received:
                raise EOFError("The other end is gone.")
            rest = rest[received:]
        return part


def _close_after_fork() -> None:
    """A forked child must not hold the line open: its end tells that a process has ended."""
    for channel in list(_channels):
        channel.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_after_fork)
