"""The tasks of two runs, beside each other: how they ended and how long they took."""

from __future__ import annotations

import re
from collections import Counter

from flowbook.core.boxes import MANY, Box, face, title_of
from flowbook.core.comparison.lines import steady
from flowbook.core.comparison.records import TaskFace, TaskPair
from flowbook.core.view import NodeView, RunView

_CELL = re.compile(r"(cell \d+) · ")

#: What identifies a task in a run: its name, and which one of this name it is.
_Key = tuple[str, int]


def task_pairs(before: RunView, after: RunView) -> list[TaskPair]:
    """The tasks of both runs by their names. Of what runs many times, or once per element, all runs are one task.

    A cell is found by what it is about, and then by its number, which changes when one is put in before it.
    """
    many = {title for view in (before, after) for title, n in _titles(view).items() if n >= MANY}
    old, new = _faces(before, many), _faces(after, many)
    partner = {key: key for key in new if key in old}
    numbers = {found[1]: key for key, (name, _) in old.items() if key not in partner and (found := _CELL.match(name))}
    for key, (name, _) in new.items():
        if key not in partner and (found := _CELL.match(name)) and found[1] in numbers:
            partner[key] = numbers[found[1]]
    gone = old.keys() - {*partner.values()}
    pairs = [_pair(name, old[partner[key]][1] if key in partner else None, now) for key, (name, now) in new.items()]
    return pairs + [_pair(name, was, None) for key, (name, was) in old.items() if key in gone]


def _pair(name: str, before: TaskFace | None, after: TaskFace | None) -> TaskPair:
    return TaskPair(name=name, before=before, after=after, is_changed=_end(before) != _end(after))


def _end(shown: TaskFace | None) -> tuple[str, str, str]:
    """What must be equal: how it ended and, of a failure, with what message."""
    if shown is None:
        return ("", "", "")
    failed = shown.look in ("failed", "crashed")
    return shown.look, shown.note, steady(shown.message or "") if failed else ""


def _titles(view: RunView) -> Counter[str]:
    return Counter(title_of(node.name) for node in view.nodes.values() if node.mapped_by is None)


def _faces(view: RunView, many: set[str]) -> dict[_Key, tuple[str, TaskFace]]:
    groups: dict[str, list[NodeView]] = {}
    for node in view.nodes.values():
        mapping = view.nodes.get(node.mapped_by or "")
        title = title_of(node.name)
        groups.setdefault(mapping.id if mapping else title if title in many else node.id, []).append(node)
    found: dict[_Key, tuple[str, TaskFace]] = {}
    seen: Counter[str] = Counter()
    for group, nodes in groups.items():
        name = group if group in many else view.nodes[group].name
        label = _CELL.sub("", name)
        found[label, seen[label]] = (name, _face(name, nodes, view))
        seen[label] += 1
    return found


def _face(name: str, nodes: list[NodeView], view: RunView) -> TaskFace:
    shown = face(Box(key="", name=name, members=tuple(node.id for node in nodes)), view)
    note = shown.note if shown.counts else ""
    return TaskFace(look=shown.look, duration=shown.duration(), message=shown.message, note=note)
