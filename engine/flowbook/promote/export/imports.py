"""The imports on top of a module, in the order in which isort writes them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable


def sorted_imports(nodes: Iterable[ast.Import | ast.ImportFrom]) -> list[str]:
    """The lines of imports, each once: ``__future__``, the standard library, others; empty lines between."""
    plain: set[tuple[str, str | None]] = set()
    members: dict[str, set[tuple[str, str | None]]] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            plain.update((alias.name, alias.asname) for alias in node.names)
        else:
            module = "." * node.level + (node.module or "")
            members.setdefault(module, set()).update((alias.name, alias.asname) for alias in node.names)
    sections: dict[int, list[tuple[tuple[object, ...], str]]] = {}
    for name, asname in plain:
        line = f"import {name}" + (f" as {asname}" if asname else "")
        sections.setdefault(_section(name), []).append(((0, name.lower(), name, asname or ""), line))
    for module, names in members.items():
        for place, line in enumerate(_from(module, names)):
            sections.setdefault(_section(module), []).append(((1, module.lower(), module, place), line))
    written: list[str] = []
    for _, lines in sorted(sections.items()):
        written += ["", *(line for _, line in sorted(lines))]
    return written[1:]


def _section(module: str) -> int:
    top = module.partition(".")[0]
    if not top:
        return 3
    return 0 if top == "__future__" else 1 if top in sys.stdlib_module_names else 2


def _from(module: str, names: set[tuple[str, str | None]]) -> list[str]:
    together = sorted((name for name, asname in names if asname is None and name != "*"), key=_by_type)
    renamed = [f"from {module} import {name} as {asname}" for name, asname in sorted(names, key=str) if asname]
    lines = [f"from {module} import *"] if ("*", None) in names else []
    if together:
        line = f"from {module} import {', '.join(together)}"
        lines.append(line if len(line) <= 88 else _wrapped(module, together))
    return [*lines, *renamed]


def _wrapped(module: str, names: list[str]) -> str:
    return "\n".join([f"from {module} import (", *(f"    {name}," for name in names), ")"])


def _by_type(name: str) -> tuple[int, str, str]:
    """Constants, then classes, then the others."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, name.lower(), name
