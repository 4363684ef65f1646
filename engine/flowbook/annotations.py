"""Marks on the arguments of task calls: `unmapped`, `allow_failure`, `quote`."""

from flowbook.core.annotations import allow_failure, quote, unmapped

__all__ = ["allow_failure", "quote", "unmapped"]
