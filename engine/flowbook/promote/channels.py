"""The channels to a kernel, and hearing what comes from them.

The sockets of pyzmq for asyncio make two futures for each message, which costs more than all else that a small cell
does here. So whatever has arrived is taken from the plain sockets beneath, whenever the loop finds one readable.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from hmac import compare_digest
from typing import Any

import zmq
from jupyter_client.adapter import adapt
from jupyter_client.asynchronous.client import AsyncKernelClient

_log = logging.getLogger("flowbook")
_AT_ONCE = 100  # messages, before others on the loop have their turn

Message = dict[str, Any]


class Channels(AsyncKernelClient):
    """The channels to a kernel. What it tells of itself to show that it is ready is kept, and not asked for again."""

    language_info: Mapping[str, Any] | None = None

    def _handle_kernel_info_reply(self, msg: Message) -> None:
        super()._handle_kernel_info_reply(msg)
        self.language_info = msg["content"].get("language_info")


def _read(session: Any, frames: Sequence[bytes]) -> Message:
    """A message as `Session.deserialize` gives it, which takes most of its time to look for times in each text.

    Of these only that of the message itself is used: it says when a cell began and ended. Raises ValueError.
    """
    signature, *parts = frames
    if session.auth is not None and not compare_digest(session.sign(parts[:4]), signature):
        raise ValueError("its signature is not that of the kernel")
    header, parent, metadata, content = map(session.unpack, parts[:4])
    if "date" in header:
        header["date"] = datetime.fromisoformat(header["date"])
    message: Message = adapt(
        {
            "header": header,
            "msg_id": header["msg_id"],
            "msg_type": header["msg_type"],
            "parent_header": parent,
            "metadata": metadata,
            "content": content,
            "buffers": [memoryview(part) for part in parts[4:]],
        }
    )
    return message


class Hearing:
    """Gives each message of a channel to `heard`, on the loop that is running, until it is closed."""

    def __init__(self, channel: Any, heard: Callable[[Message], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket: zmq.Socket[bytes] = zmq.Socket.shadow(channel.socket.underlying)
        self._session = channel.session
        self._heard = heard
        self._descriptor = int(self._socket.getsockopt(zmq.FD))
        self._loop.add_reader(self._descriptor, self.take)  # in the place of pyzmq's own
        self.take()

    def take(self) -> None:
        """Take what has arrived. The loop tells of new messages, but not of those that a send has come upon."""
        for _ in range(_AT_ONCE):
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.ZMQError:  # there is no other, or the socket is closed
                return
            try:
                message = _read(self._session, self._session.feed_identities(parts)[1])
            except Exception as error:
                _log.warning("A message of the kernel could not be read: %r", error)
            else:
                self._heard(message)
        self._loop.call_soon(self.take)

    def close(self) -> None:
        """Hear no more."""
        self._loop.remove_reader(self._descriptor)
