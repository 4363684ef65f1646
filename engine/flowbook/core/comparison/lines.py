"""How two texts differ, line by line. What is only a time or an address in memory is no difference."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from flowbook.core.comparison.records import TextChange
from flowbook.core.plain import shorten, without_ansi

_MOST_COMPARED = 1000  # lines of each text, from the first that differs
_MOST_KEPT = 200  # lines of the diff
_CONTEXT = 2
_LONGEST = 1000  # columns of a line

_VOLATILE = re.compile(
    r"(?<=\bat )0x[0-9a-fA-F]{6,}\b"  # where an object lies
    r"|^(?:CPU times|Wall time): .*|^.* per loop \(mean ± std\. dev\. .*"  # %time and %timeit
    r"|(?<![\d.])\d+(?:\.\d+)?%\|.*\[[\d:]+<[^\]]*\]|\[[\d:]+<[^\]]*\]"  # progress bars of tqdm
)


def steady(line: str) -> str:
    """The line without what differs between any two runs."""
    return _VOLATILE.sub("…", line)


def text_change(before: str, after: str) -> TextChange | None:
    """How two texts differ; None if they do not."""
    old, new = without_ansi(before).splitlines(), without_ansi(after).splitlines()
    old_keys, new_keys = [steady(line) for line in old], [steady(line) for line in new]
    if old_keys == new_keys:
        return None
    head = _alike(old_keys, new_keys)
    tail = _alike(old_keys[head:][::-1], new_keys[head:][::-1])
    start = max(0, head - _CONTEXT)
    old, new = (text[start : len(text) - max(0, tail - _CONTEXT)] for text in (old, new))
    unseen = max(0, len(old) - _MOST_COMPARED) + max(0, len(new) - _MOST_COMPARED)
    old, new = old[:_MOST_COMPARED], new[:_MOST_COMPARED]
    lines = _unified(old, new, start)
    return TextChange(lines=tuple(lines[:_MOST_KEPT]), left_out=max(0, len(lines) - _MOST_KEPT) + unseen)


def _unified(old: list[str], new: list[str], start: int) -> list[str]:
    """The lines of the diff of two parts of texts that begin behind `start` lines."""
    lines: list[str] = []
    old_keys, new_keys = [steady(line) for line in old], [steady(line) for line in new]
    for group in SequenceMatcher(None, old_keys, new_keys, autojunk=False).get_grouped_opcodes(_CONTEXT):
        lines.append(_where(group, start))
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                lines += _lead(" ", new[j1:j2])
            else:
                lines += _lead("-", old[i1:i2]) + _lead("+", new[j1:j2])
    return lines


def _alike(before: list[str], after: list[str]) -> int:
    """With how many equal lines both begin."""
    pairs = enumerate(zip(before, after, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(before), len(after)))


def _lead(sign: str, lines: list[str]) -> list[str]:
    return [sign + shorten(line.expandtabs(), _LONGEST) for line in lines]


def _where(group: list[tuple[str, int, int, int, int]], start: int) -> str:
    """The line that says which lines of both texts follow, as a unified diff does."""
    _, i1, _, j1, _ = group[0]
    _, _, i2, _, j2 = group[-1]
    return f"@@ -{start + i1 + 1},{i2 - i1} +{start + j1 + 1},{j2 - j1} @@"
