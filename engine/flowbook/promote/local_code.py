"""What a notebook needs from around it: modules beside it, environment variables, installed distributions."""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from flowbook.promote.lock import direct_url, name_and_version

_ENVIRON_CALLS = frozenset({"getenv", "environ.get", "environ.pop", "environ.setdefault"})


def local_imports(trees: Iterable[ast.Module], folder: Path, beside: Path | None = None) -> dict[str, str]:
    """The files beside the notebook that it imports, directly or not: path from `folder` -> SHA-256.

    `beside` is the folder that relative imports start in.
    """
    found: dict[str, str] = {}
    pending = [path for tree in trees for path in _imported_files(tree, folder, beside or folder)]
    while pending:
        path = pending.pop()
        name = path.relative_to(folder).as_posix()
        if name in found:
            continue
        content = path.read_bytes()
        found[name] = hashlib.sha256(content).hexdigest()
        try:
            tree = ast.parse(content)
        except (SyntaxError, ValueError):
            continue  # the import will say it better, when it runs
        pending.extend(_imported_files(tree, folder, path.parent))
    return dict(sorted(found.items()))


def changed_imports(recorded: dict[str, str], folder: Path) -> list[str]:
    """Those of the recorded files that are gone or different now."""
    changed = []
    for name, sha in recorded.items():
        try:
            same = hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha
        except OSError:
            same = False
        if not same:
            changed.append(name)
    return changed


def environment_names(trees: Iterable[ast.Module]) -> list[str]:
    """Names of the environment variables that are read as ``os.environ["X"]`` or ``os.getenv("X")``."""
    return sorted({name for tree in trees for node in ast.walk(tree) if (name := environment_variable(node))})


def installed() -> list[dict[str, Any]]:
    """The installed distributions: name, version, and whether they are editable."""
    found: dict[str, dict[str, Any]] = {}
    for each in distributions():
        name, number = name_and_version(each)
        if name:
            found.setdefault(name.lower(), {"name": name, "version": number, "editable": _is_editable(each)})
    return [found[name] for name in sorted(found)]


def _is_editable(distribution: Distribution) -> bool:
    return bool(direct_url(distribution).get("dir_info", {}).get("editable"))


def _imported_files(tree: ast.Module, folder: Path, beside: Path) -> Iterator[Path]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module_files(alias.name.split("."), folder)
        elif isinstance(node, ast.ImportFrom):
            start = folder
            if node.level:
                # As Python does, by names alone: a package may be a link to a folder elsewhere.
                start = Path(os.path.normpath(beside.joinpath(*[".."] * (node.level - 1))))
                if not start.is_relative_to(folder):
                    continue
            parts = (node.module or "").split(".") if node.module else []
            yield from _module_files(parts, start)
            for alias in node.names:
                yield from _module_files([*parts, alias.name], start)


def _module_files(parts: list[str], start: Path) -> Iterator[Path]:
    """``a.b`` is ``a/__init__.py`` with ``a/b.py`` or ``a/b/__init__.py``."""
    place = start
    for part in parts:
        for path in (place / f"{part}.py", place / part / "__init__.py"):
            if path.is_file():
                yield path
        place = place / part


def environment_variable(node: ast.AST) -> str | None:
    """The environment variable that a node reads or sets by its name."""
    match node:
        case ast.Subscript(value=value, slice=ast.Constant(value=str() as name)) if _dotted(value) == "environ":
            return name
        case ast.Call(func=func, args=[ast.Constant(value=str() as name), *_]) if _dotted(func) in _ENVIRON_CALLS:
            return name
    return None


def _dotted(node: ast.expr) -> str:
    """``environ.get`` for ``os.environ.get`` and for ``environ.get``."""
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return f"{before}.{node.attr}" if before and before != "os" else node.attr
    return node.id if isinstance(node, ast.Name) else ""
