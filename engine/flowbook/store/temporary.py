"""Temporary files in a home folder: those that are renamed when they are whole (:mod:`flowbook.store.files`)."""

from __future__ import annotations

import re

_NAME = re.compile(r"\..+\.[0-9a-f]{8}|\.module-.+|\.flowbook-backup-.+")


def is_temporary(name: str) -> bool:
    """Whether a file, or folder, of this name is one that is being written, or was when its process was killed."""
    return _NAME.fullmatch(name) is not None
