"""How many examples a property is tried with."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("few", max_examples=15)  # for `make test-fast`


def examples(number: int) -> int:
    """`number`, or a part of it where pytest runs with ``--hypothesis-profile few``."""
    return max(10, number * settings().max_examples // 100)
