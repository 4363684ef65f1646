"""What a graph draws: one box per task run, or one box for a task that runs many times or once per element.

Every picture of a run (live, saved, in plain text) is made from these, so that all of them say the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from flowbook.core.view import WORDS, NodeView, RunView

#: So many runs of one task share a box: more would not fit into a view's height at a readable size.
MANY = 7
#: With more boxes than this also two runs of one task share a box.
MOST_BOXES = 300

_NUMBERED = re.compile(r"(?:-\d+|\[\d+\])$")
_UNDERWAY = ("retrying", "running", "paused", "waiting", "scheduled")
_ENDED_BADLY = ("failed", "crashed", "cancelled", "not-run")


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """One drawn node. `key` is ``n0``, ``n1``…, `upstream` holds keys, `members` the ids of its task runs."""

    key: str
    name: str
    members: tuple[str, ...]
    upstream: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Face:
    """What a box shows at one moment. Times are in seconds since the epoch.

    `note` is what stands beside the duration ("1 retry"), `counts` is empty unless it stands for many runs.
    """

    look: str
    note: str = ""
    message: str | None = None
    started: float | None = None
    ended: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def word(self) -> str:
        """The word beside the icon."""
        return WORDS[self.look]

    @property
    def lead(self) -> str:
        """The word in the small print of the box; empty where the icon and the duration say it all."""
        return "" if self.look in ("succeeded", "running", "waiting") or self.counts else self.word

    @property
    def total(self) -> int:
        """The number of task runs behind the box."""
        return sum(self.counts.values()) or 1

    @property
    def done(self) -> int:
        """How many of them have ended."""
        return sum(n for look, n in self.counts.items() if look not in _UNDERWAY)

    def duration(self, now: float | None = None) -> float | None:
        """Seconds from the first start to the last end, or to `now`; None before it has begun."""
        end = self.ended if self.ended is not None else now
        return None if self.started is None or end is None else max(0.0, end - self.started)


#: Boxes, each with what it shows at one moment.
Drawn = Sequence[tuple[Box, Face]]


def boxes(view: RunView) -> tuple[Box, ...]:
    """The boxes of a run, in the order in which their first task runs came to be."""
    tasks = {node.id: (node.key, title_of(node.name)) for node in view.nodes.values() if node.mapped_by is None}
    runs = Counter(tasks.values())
    alone = sum(n if n < MANY else 1 for n in runs.values())  # so many boxes there would be
    many = MANY if alone <= MOST_BOXES else 2
    shared = {task for task, n in runs.items() if n >= many}
    groups: dict[tuple[str, str, str], list[NodeView]] = {}
    for node in view.nodes.values():
        group = ("one", node.id, node.name)
        if node.mapped_by is not None and (mapping := view.nodes.get(node.mapped_by)) is not None:
            group = ("one", mapping.id, mapping.name)
        elif tasks.get(node.id) in shared:
            group = ("many", *tasks[node.id])
        groups.setdefault(group, []).append(node)
    key_of = {node.id: f"n{i}" for i, members in enumerate(groups.values()) for node in members}
    return tuple(
        Box(
            key=f"n{i}",
            name=group[2],
            members=tuple(node.id for node in members),
            upstream=_upstream(f"n{i}", members, key_of),
        )
        for i, (group, members) in enumerate(groups.items())
    )


def faces(view: RunView) -> Drawn:
    """The boxes of a run, each with what it shows: what all pictures of one moment have in common."""
    return [(box, face(box, view)) for box in boxes(view)]


def look_in(node: NodeView, view: RunView) -> str:
    """The key into WORDS for a node of a run: what still waits when the run has ended was not run."""
    over = view.state is not None and view.state.is_final()
    return "not-run" if over and node.look in ("waiting", "scheduled") else node.look


def looks(nodes: Iterable[NodeView], view: RunView) -> dict[str, int]:
    """How many of `nodes` look like what, in the order of WORDS, without the zeros."""
    tally = Counter(node.look for node in nodes)
    if view.state is not None and view.state.is_final():
        tally["not-run"] += tally.pop("waiting", 0) + tally.pop("scheduled", 0)
    return {look: tally[look] for look in WORDS if tally[look]}


def runs_of(box: Box, view: RunView) -> list[NodeView]:
    """The task runs that `box` stands for: its elements, if it is of a task run that runs once per element."""
    nodes = [view.nodes[member] for member in box.members]
    return [node for node in nodes if node.mapped_by is not None] or nodes


def face(box: Box, view: RunView) -> Face:
    """What `box` shows in `view`."""
    nodes = runs_of(box, view)
    mapping = view.nodes[box.members[0]]
    if nodes[0].mapped_by is not None and _failed_itself(mapping, nodes):
        nodes = [mapping]
    if len(nodes) == 1:
        return _face_of_one(nodes[0], view)
    counts = looks(nodes, view)
    look = _look_of_many(counts)
    starts = [node.started for node in nodes if node.started is not None]
    ends = [node.ended for node in nodes if node.ended is not None]
    bad = [node for node in nodes if node.look in ("failed", "crashed")]
    first = min(bad, key=lambda node: node.ended or 0.0, default=None)
    shown = Face(
        look=look,
        message=first.state.message if first is not None and first.state is not None else None,
        started=min(starts, default=None),
        ended=max(ends, default=None) if len(ends) == len(nodes) else view.ended,
        counts=counts,
    )
    trouble = [f"{counts[bad]} {WORDS[bad].lower()}" for bad in _ENDED_BADLY if bad in counts]
    note = " · ".join([f"{shown.done}/{shown.total}", *trouble[:1]])
    return replace(shown, note=note)


def retries(attempts: int) -> str:
    """``1 retry``, ``2 retries``; empty for a run that needed one attempt."""
    again = attempts - 1
    return "" if again < 1 else "1 retry" if again == 1 else f"{again} retries"


def _failed_itself(mapping: NodeView, elements: Iterable[NodeView]) -> bool:
    """Whether a task run that runs once per element failed though no element did: then its own message counts."""
    return mapping.look in ("failed", "crashed") and not any(node.look in _ENDED_BADLY for node in elements)


def _face_of_one(node: NodeView, view: RunView) -> Face:
    return Face(
        look=look_in(node, view),
        note="" if node.look == "retrying" else retries(node.attempts),
        message=node.state.message if node.state else None,
        started=node.started,
        ended=node.ended if node.ended is not None else view.ended,
    )


def _look_of_many(counts: Mapping[str, int]) -> str:
    """One look for many: trouble first, then what is under way, then how it ended."""
    for look in ("failed", "crashed", "retrying", "running", "paused"):
        if look in counts:
            return look
    ended = [look for look in counts if look not in _UNDERWAY]
    if len(ended) < len(counts):
        return "running" if ended else next(iter(counts))
    for look in ("cancelled", "not-run", "succeeded"):
        if look in counts:
            return look
    return "reused"


def _upstream(key: str, members: list[NodeView], key_of: Mapping[str, str]) -> tuple[str, ...]:
    """The boxes before this one, once each; an id that the view does not know is not drawn."""
    found = {key_of[source]: None for node in members for source in node.upstream if source in key_of}
    found.pop(key, None)
    return tuple(found)


def title_of(name: str) -> str:
    """The name that runs of one mapped task have in common: ``score`` of ``score-17`` and ``score[17]``."""
    return _NUMBERED.sub("", name) or name
