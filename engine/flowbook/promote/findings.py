"""What will probably go wrong in an unattended run, said when the notebook is promoted."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flowbook.promote.cells import KnownCell, Role, parsed

#: Names that IPython itself provides.
_PROVIDED = frozenset({"display", "get_ipython", "In", "Out", "exit", "quit", "_", "__", "___", "__name__", "__file__"})


def findings(cells: Sequence[KnownCell], manifest: Mapping[str, Any]) -> list[str]:
    """One sentence for each finding, with the cell and the line where that says more."""
    chosen = set(manifest["slice"])
    relevant = [known for known in cells if not chosen or known.cell.index in chosen]
    parameters = {each["name"] for each in manifest["schema"]}
    return [
        *_undefined(relevant, parameters),
        *(said for known in relevant for said in _in_cell(known)),
        *_environment(manifest["environment"]),
    ]


def _undefined(cells: Sequence[KnownCell], parameters: set[str]) -> Iterator[str]:
    """Hidden state: a name that was there when the author ran the cell, and that no cell defines."""
    bound = set(_PROVIDED) | parameters
    for known in cells:
        bound |= known.analysis.writes | ({known.name} if known.name else set())
    if any(known.analysis.star_imports for known in cells):
        return
    for known in cells:
        for name in sorted(known.analysis.reads - bound):
            yield f"{known.cell.title.capitalize()} uses {name!r}, which no cell defines."


def _in_cell(known: KnownCell) -> Iterator[str]:
    title = known.cell.title.capitalize()
    for number, line in enumerate(known.cell.source.splitlines(), 1):
        said = line.strip()
        if said.startswith(("%matplotlib widget", "%matplotlib qt", "%matplotlib notebook")):
            yield f"{title}, line {number}: `{said}` needs a screen; an unattended run needs `%matplotlib inline`."
        elif said.startswith(("%pip install", "!pip install", "%conda install")):
            yield f"{title}, line {number}: `{said}` installs at each run; put it into the environment instead."
    if known.role is Role.MAGIC:
        return
    home = str(Path.home())
    for node in ast.walk(parsed(known.cell.source)):
        match node:
            case ast.Call(func=ast.Name(id="input")):
                yield f"{title}, line {node.lineno}: input() has nobody to ask in an unattended run, and fails there."
            case ast.Constant(value=str() as text) if len(home) > 1 and text.startswith(home + "/"):
                yield f"{title}, line {node.lineno}: {text!r} is a path of your own home folder."


def _environment(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        if name not in os.environ:
            yield f"The environment variable {name} is read, and is not set here."
