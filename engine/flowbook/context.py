"""What surrounds a run: the tags that it gets, and the run itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flowbook.run.current import current_tags
from flowbook.run.hooks import tags_of

__all__ = ["tags"]


@contextmanager
def tags(*new_tags: str) -> Iterator[set[str]]:
    """Have the task and flow runs that begin inside of the block carry these tags, besides those around it."""
    token = current_tags.set(current_tags.get() | tags_of(new_tags))
    try:
        yield set(current_tags.get())
    finally:
        current_tags.reset(token)
