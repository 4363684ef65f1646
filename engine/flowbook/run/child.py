"""A process that executes tasks for another one: ``python -m flowbook.run.child``, started by `flowbook.run.processes`.

Its main thread carries out one order after the other, so that signals reach the code of the user. Another thread reads:
it notices at once when the flow's process is gone, and then ends this one, whatever that does.
"""

from __future__ import annotations

import contextvars
import faulthandler
import logging
import os
import queue
import signal
import socket
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

from flowbook.run.channel import Channel, Part
from flowbook.run.pickles import pack, unpack
from flowbook.run.remote import Logged, begun, execute, failure, read_order
from flowbook.run.timeouts import StopThread

_LONGEST_EXIT = 5.0  # seconds from the end of the flow's process to the end of this one, when nothing runs


class Child:
    """What this process does. A signal that strikes while it sends takes effect when the message is complete."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._orders: queue.SimpleQueue[list[bytearray] | None] = queue.SimpleQueue()
        self._busy = False
        self._stopped = False
        self._sending = False
        self._deferred: type[BaseException] | None = None

    def serve(self) -> None:
        """Carry out orders until there are no more, or a signal has ended one."""
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGTERM, self._on_signal)
        threading.Thread(target=self._read, name="flowbook-reader", daemon=True).start()
        setup = self._orders.get()
        if setup is not None:
            self._set_up(unpack(setup))
        while not self._stopped and (parts := self._orders.get()) is not None:
            self.send(self._carried_out(parts))

    def _carried_out(self, parts: Sequence[Part]) -> Sequence[Part]:
        """The outcome of an order."""
        self._busy = True
        try:
            order = read_order(parts)
            del parts
            self.send(begun())
            return contextvars.Context().run(execute, order, self.send)
        except BaseException as error:  # also a signal that struck beside the code of the user
            return failure(error)
        finally:
            self._busy = False

    def send(self, parts: Sequence[Part]) -> None:
        """Send a message to the flow's process, from any thread."""
        if threading.current_thread() is not threading.main_thread():
            self._try_to_send(parts)
            return
        self._sending = True
        try:
            self._try_to_send(parts)
        finally:
            self._sending = False
        if self._deferred is not None:
            error, self._deferred = self._deferred, None
            raise error

    def _try_to_send(self, parts: Sequence[Part]) -> None:
        with suppress(OSError):  # nobody listens: then the other thread ends this process
            self._channel.send(parts)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self._stopped = True
        error = SystemExit if not self._busy else KeyboardInterrupt if number == signal.SIGINT else StopThread
        if self._sending:
            self._deferred = error
        else:
            raise error

    def _read(self) -> None:
        with suppress(EOFError):
            while True:
                self._orders.put(self._channel.receive())
        if not self._busy and self._orders.empty():
            self._orders.put(None)
            time.sleep(_LONGEST_EXIT)
        _die()

    def _set_up(self, setup: Mapping[str, Any]) -> None:
        """Be as the flow's process is."""
        sys.path[:] = setup["path"]
        sys.argv[:] = setup["argv"]
        if setup["PYTHONPATH"] is None:
            os.environ.pop("PYTHONPATH", None)
        else:
            os.environ["PYTHONPATH"] = setup["PYTHONPATH"]
        warnings.filters[:] = setup["warnings"]  # type: ignore[index]  # it is a list
        warnings.simplefilter("default", append=True)  # what goes for the rest anyway: makes the others known
        for name, level in setup["levels"].items():
            logging.getLogger(name).setLevel(level)
        logging.getLogger().addHandler(_Forwarding(self))


class _Forwarding(logging.Handler):
    """Sends records of loggers that are none of flowbook's to the flow's process, whose handlers they are meant for."""

    def __init__(self, child: Child) -> None:
        super().__init__()
        self._child = child

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._child.send(_logged(record))
        except Exception:
            self.handleError(record)


def _logged(record: logging.LogRecord) -> list[Part]:
    attributes = {**vars(record), "msg": record.getMessage(), "args": None, "exc_info": None}
    if record.exc_info and not record.exc_text:
        attributes["exc_text"] = "".join(traceback.format_exception(*record.exc_info)).rstrip()
    try:
        return pack(Logged(attributes))
    except Exception:  # something that was given by `extra=`
        own = vars(logging.makeLogRecord({}))
        return pack(Logged({name: value if name in own else str(value) for name, value in attributes.items()}))


def _die() -> None:
    """End this process and those that it has started, at once."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


def main() -> None:
    """Serve the process that has started this one."""
    if sys.platform == "win32":
        end = socket.fromshare(sys.stdin.buffer.read())
    else:
        end = socket.socket(fileno=int(sys.argv[1]))
        end.set_inheritable(False)
    with suppress(Exception):  # where there is no standard error
        faulthandler.enable(all_threads=False)
    Child(Channel(end)).serve()


if __name__ == "__main__":
    main()
