"""The text of a module: its head, imports, definitions, functions, and the call when it is run as a script."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flowbook.core.plain import one_line
from flowbook.promote.export.imports import sorted_imports
from flowbook.promote.export.prelude import Prelude
from flowbook.promote.export.python_cells import Piece, PythonCell
from flowbook.promote.export.words import Words

MARKER = "# Written by `%flow export`, which writes over this file as long as this line stands in it."


@dataclass(frozen=True, kw_only=True, slots=True)
class Module:
    """The text of a module. `notes` are sentences about what is not as in the notebook."""

    text: str
    flow: str
    tasks: int = 0
    notes: tuple[str, ...] = ()


def module_text(
    title: str,
    prelude: Prelude,
    parts: Iterable[Sequence[str]],
    *,
    words: Words,
    cells: Sequence[PythonCell],
    call: str,
) -> str:
    """The module: `parts` are the lines of what stands below the prelude, `call` is what running it does."""
    uses = words.imports.values()
    shell = [ast.Import(names=[ast.alias("subprocess")])] if any(cell.runs_commands for cell in cells) else []
    blocks = [[_docstring(title), "", MARKER]]
    if imports := sorted_imports([*prelude.imports, *uses, *shell]):
        blocks[0] += ["", *imports]
    for piece in prelude.guarded:
        blocks[0] += ["", *piece.lines()]
    if words.show:
        blocks.append(_SHOW.format(name=words.show).split("\n"))
    definitions = _definitions(prelude.definitions)
    if definitions and not words.show and _is_constant(prelude.definitions[0]):
        blocks[0] += ["", *definitions.pop(0)]
    blocks += definitions
    blocks += [list(part) for part in parts if part]
    blocks.append(['if __name__ == "__main__":', f"    {call}"])
    return _joined(blocks)


def _definitions(pieces: Iterable[Piece]) -> list[list[str]]:
    """A block for each function and class, and one for constants that follow each other."""
    blocks: list[list[str]] = []
    before = False
    for piece in pieces:
        if before and _is_constant(piece):
            blocks[-1] += piece.lines()
        else:
            blocks.append(piece.lines())
        before = _is_constant(piece)
    return blocks


def _is_constant(piece: Piece) -> bool:
    return isinstance(piece.node, ast.Assign | ast.AnnAssign)


def _joined(blocks: Iterable[Sequence[str]]) -> str:
    return "\n\n\n".join("\n".join(block).strip("\n") for block in blocks) + "\n"


def _docstring(title: str) -> str:
    plain = one_line(title).replace("\\", "/").replace('"', "'")
    return f'"""{plain}"""'


_SHOW = '''def {name}(value):
    """Print what the notebook shows below a cell: the value of its last line, if it has one."""
    if value is not None:
        print(value)'''
