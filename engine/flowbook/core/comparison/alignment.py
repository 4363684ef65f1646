"""Which members of two lists belong together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest

Places = list[tuple[int | None, int | None]]


def aligned(before: Sequence[Hashable], after: Sequence[Hashable]) -> Places:
    """The places of what belongs together, in order, with None where a list has nothing for it.

    Equal members do; between them, what stands in the same place was changed.
    """
    found: Places = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag in ("equal", "replace"):
            found += zip_longest(range(i1, i2), range(j1, j2))
        else:
            found += [(i, None) for i in range(i1, i2)] + [(None, j) for j in range(j1, j2)]
    return found
