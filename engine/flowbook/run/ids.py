"""Ids of runs: 32 hexadecimal digits that sort by time of creation (the layout of UUID version 7, RFC 9562 §5.7)."""

from __future__ import annotations

import itertools
import os
import time


class _Source:
    """One per process: 48 random bits of the process and a 24-bit counter keep ids apart within a millisecond."""

    def __init__(self) -> None:
        self.process = os.urandom(6).hex()
        self.count = itertools.count(int.from_bytes(os.urandom(2)))


_source = _Source()


def _reset_after_fork() -> None:
    global _source
    _source = _Source()


os.register_at_fork(after_in_child=_reset_after_fork) if hasattr(os, "register_at_fork") else None


def new_id() -> str:
    """A new id, unique over processes and machines."""
    n = next(_source.count) & 0xFFFFFF
    return f"{time.time_ns() // 1_000_000:012x}7{n >> 12:03x}8{n & 0xFFF:03x}{_source.process}"
