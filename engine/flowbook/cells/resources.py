"""Shared resources keep notebook order among the cells that touch them.

Cells that only look at a resource need no order among themselves. ``files:?`` is some file: it may be any of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from flowbook.cells.effects import EVENT_LOOP

__all__ = ["ANY_FILE", "ELEMENTS", "ResourceTracker", "describe"]

ANY_FILE = "files:?"
ELEMENTS = "elements"
"""The resource of a mapped cell whose elements were seen to share files: they run one after the other."""
_PHRASES = {
    "cwd": "the working directory",
    "environ": "environment variables",
    ELEMENTS: "what its elements share",
    EVENT_LOOP: "the event loop",
    "files:?": "files",
    "modules": "reloaded modules",
    "numpy.random": "NumPy's random state",
    "packages": "installed packages",
    "pyplot": "pyplot's current figure",
    "random": "random state",
    "stdin": "the keyboard",
}


def describe(resource: str) -> str:
    """How a reason names a resource."""
    kind, _, name = resource.partition(":")
    phrase = {"files": f"the file {name}", "library": f"what {name} keeps"}.get(kind, resource)
    return _PHRASES.get(resource) or phrase


@dataclass(slots=True)
class _Use:
    changed_by: int | None = None
    looked_at_by: list[int] = field(default_factory=list)


class ResourceTracker:
    """Who has changed and who has looked at each resource so far."""

    def __init__(self) -> None:
        self._uses: dict[str, _Use] = {}

    def look(self, place: int, resource: str) -> Iterator[int]:
        """A cell looks at a resource; the cells that it must wait for."""
        waits_for = [use.changed_by for use in self._rivals(resource) if use.changed_by is not None]
        self._use(resource).looked_at_by.append(place)
        return iter(waits_for)

    def change(self, place: int, resource: str) -> Iterator[int]:
        """A cell changes a resource; the cells that it must wait for."""
        waits_for = []
        for use in self._rivals(resource):
            waits_for += use.looked_at_by
            if use.changed_by is not None:
                waits_for.append(use.changed_by)
        use = self._use(resource)
        use.changed_by = place
        use.looked_at_by = []
        return iter(waits_for)

    def is_known(self, resource: str) -> bool:
        """Whether a cell has touched exactly this one."""
        return resource in self._uses

    def files_called(self, names: Collection[str]) -> set[str]:
        """The files that cells have touched whose path is one of these, in whatever folder."""
        ends = tuple(f"/{name}" for name in names)
        return {each for each in self._uses if each.startswith("files:") and f"/{each[6:]}".endswith(ends)}

    def _use(self, resource: str) -> _Use:
        return self._uses.setdefault(resource, _Use())

    def _rivals(self, resource: str) -> Iterable[_Use]:
        """The uses of every resource that may be the same one."""
        if resource == ANY_FILE:
            return [use for name, use in self._uses.items() if name.startswith("files:")]
        names = (resource, ANY_FILE) if resource.startswith("files:") else (resource,)
        return [self._uses[name] for name in names if name in self._uses]
