"""Calls that ask a person, and paths that are there on one machine only."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from flowbook.promote.cells import KnownCell, with_imports
from flowbook.promote.checks.certainty import cell_with_certainty, dotted_path
from flowbook.promote.checks.finding import Finding, Severity, in_cell
from flowbook.promote.checks.magic_lines import magic_lines

_PARAMETER = "Make the answer a parameter, or read it from a file or an environment variable."
_NO_DEBUGGER = "Take it out, and look at a failed run in its executed notebook instead."

#: What is called -> what to do instead. The kernel of an unattended run refuses to ask, so these fail there.
_ASKING = {
    **dict.fromkeys(("input", "click.prompt", "click.confirm", "typer.prompt", "typer.confirm"), _PARAMETER),
    "getpass.getpass": "Read the secret from an environment variable.",
    **dict.fromkeys(("breakpoint", "code.interact", "IPython.embed"), _NO_DEBUGGER),
    **{
        f"{debugger}.{function}": _NO_DEBUGGER
        for debugger in ("pdb", "ipdb", "pudb", "IPython.core.debugger")
        for function in ("set_trace", "run", "runcall", "pm", "post_mortem")
    },
}
_SILENT = frozenset(f"sys.stdin.{method}" for method in ("read", "readline", "readlines"))

_HOME = re.compile(r"(?:/home/|/Users/|[A-Za-z]:[\\/]Users[\\/])[^\\/\s'\"]+[\\/]")


def call_findings(cells: Sequence[KnownCell], used: Collection[str]) -> Iterator[Finding]:
    """Whatever waits for a person, and paths in a home folder. Functions that are not `used` are not called."""
    own = frozenset[str]().union(*(known.analysis.writes - known.analysis.imports.keys() for known in cells))
    for known, imports in with_imports(cells):
        for node, certain in cell_with_certainty(known, used):
            if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in own):
                yield from _asking(known, node, imports, certain)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_at_home(node.value):
                yield _at_home(known, node.lineno, node.value)
        for number, text in magic_lines(known):
            words = (word.strip("'\"!") for word in text.split())
            yield from (_at_home(known, number, word) for word in words if _is_at_home(word))


def _asking(known: KnownCell, call: ast.Call, imports: Mapping[str, str], certain: bool) -> Iterator[Finding]:
    path = dotted_path(call.func, imports)
    if path in _ASKING:
        severity = Severity.ERROR if certain else Severity.WARNING
        why = f"{path}() has nobody to ask in an unattended run, and fails there."
        yield in_cell(severity, known.cell, call.lineno, why, _ASKING[path])
    elif path in _SILENT:
        why = f"{path}() reads nothing in an unattended run, which has no standard input."
        yield in_cell(Severity.WARNING, known.cell, call.lineno, why, _PARAMETER)


def _is_at_home(text: str) -> bool:
    return _is_at_own_home(text) or bool(_HOME.match(text))


def _is_at_own_home(text: str) -> bool:
    home = str(Path.home())
    return len(home) > 1 and text.startswith((home + "/", home + "\\"))


def _at_home(known: KnownCell, line: int, path: str) -> Finding:
    whose = "your own" if _is_at_own_home(path) else "somebody's"
    shown = path if len(path) <= 80 else path[:80] + "…"
    return in_cell(
        Severity.WARNING,
        known.cell,
        line,
        f"{shown!r} is a path of {whose} home folder, which other users and machines do not have.",
        "Use a path relative to the notebook's folder, or a parameter.",
    )
