"""Homes in which a picture was drawn before: Graphviz is compiled there, which takes seconds in a new one."""

from __future__ import annotations

import getpass
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

import pytest


def drawn_in(home: Path) -> Path:
    """`home` with a compiled Graphviz in it. It is a link to the one of all tests: not to be written to."""
    compiled = _compiled()
    kept = home / "cache" / compiled.name
    for folder in (home, kept.parent):
        folder.mkdir(mode=0o700, exist_ok=True)
    if not kept.exists():
        try:
            os.link(compiled, kept)
        except OSError:  # another file system
            shutil.copy2(compiled, kept)
    return home


@cache
def _compiled() -> Path:
    from flowbook.visualize import graphviz_wasm, module_cache

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOWBOOK_HOME", str(Path(tempfile.gettempdir()) / f"flowbook-tests-of-{getpass.getuser()}"))
        kept = module_cache.cache_file()
        if module_cache._read(kept) is None:
            graphviz_wasm.Graphviz()
        return kept
