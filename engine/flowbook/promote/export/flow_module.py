"""A flow that a notebook defines as a module: the cells that it needs, in their order, and the flow."""

from __future__ import annotations

import ast

from flowbook.cells.cell_lines import cell_line
from flowbook.cells.scopes import awaits
from flowbook.errors import NotebookError
from flowbook.promote.cells import Role
from flowbook.promote.export.module_text import Module, module_text
from flowbook.promote.export.prelude import Prelude, imports_of
from flowbook.promote.export.python_cells import PythonCell, python_cell
from flowbook.promote.export.words import Words
from flowbook.promote.notebook import CellMistake
from flowbook.promote.reading import Reading

_TIMES = ("date", "datetime", "time", "timedelta")
_INDENT = "    "


def flow_module(title: str, reading: Reading) -> Module:
    """The module of the flow that was asked for. Raises NotebookError for what cannot be written as plain Python."""
    flow = reading.flow
    assert flow is not None
    cells = [python_cell(known) for known in reading.slice_]
    prelude, words = imports_of(cells), Words(cells)
    parts, notes, is_async = list[list[str]](), list[str](), isinstance(flow.function, ast.AsyncFunctionDef)
    for cell in cells:
        notes += cell.notes
        if cell.known.role is Role.FLOW:
            is_async = is_async or (cell.known is flow.cell and _is_async(cell))
            parts.append(_flow_cell(cell, words))
        else:
            parts.append(_plain_cell(cell, prelude))
            notes += _notes_of_task(cell)
    call = f"{flow.variable}()"
    if is_async:
        call = f"{words.module('asyncio')}.run({call})"
    text = module_text(title, prelude, parts, words=words, cells=cells, call=call)
    return Module(text=text, flow=flow.variable, notes=tuple(notes))


def _plain_cell(cell: PythonCell, prelude: Prelude) -> list[str]:
    lines: list[str] = []
    for piece in cell.pieces:
        if piece in prelude or (piece is cell.shown and isinstance(piece.node, ast.Expr) and _is_name(piece.node)):
            continue
        if awaits(piece.node):
            raise CellMistake(
                cell.known.cell,
                piece.node.lineno,
                "`await` stands outside of a function, where a module cannot have it; move it into the flow.",
            )
        lines += [*([""] if lines and piece.lead else []), *piece.lines()]
    return lines


def _is_name(node: ast.Expr) -> bool:
    return isinstance(node.value, ast.Name | ast.Attribute)


def _notes_of_task(cell: PythonCell) -> list[str]:
    known = cell.known
    if known.role is not Role.TASK:
        return []
    line = cell_line(known.cell.source)
    if line is not None and line.said.map:
        raise CellMistake(
            known.cell,
            1,
            "the flow needs what this task makes with --map, which a module has no place for: map in the flow.",
        )
    return [f"{known.cell.title.capitalize()} is a task in the notebook, and plain statements in the module."]


def _is_async(cell: PythonCell) -> bool:
    return any(awaits(piece.node) for piece in cell.pieces)


def _flow_cell(cell: PythonCell, words: Words) -> list[str]:
    """``%%flow`` as a function that returns the last value of the cell."""
    line = cell_line(cell.known.cell.source)
    assert line is not None
    if line.name is None or not cell.pieces:
        raise NotebookError(f"{cell.known.cell.title.capitalize()} is a flow without a name or without code.")
    said, name = line.said, line.name
    params = ast.unparse(_arguments(cell, str(said.params), words))
    options = [f'name="{name}"']
    options += [f"retries={said.retries}"] if said.retries else []
    options += [f"timeout_seconds={said.timeout:g}"] if said.timeout is not None else []
    define = "async def" if _is_async(cell) else "def"
    lines = [f"@{words.api('flow')}({', '.join(options)})", f"{define} {name.replace('-', '_')}({params}):"]
    for piece in cell.pieces[:-1]:
        lines += piece.lines(_INDENT)
    last = cell.pieces[-1]
    match last.node:
        case ast.Expr():
            return [*lines, *last.lines(_INDENT, text=f"return {last.text}")]
        case ast.Assign(targets=[ast.Name(id=variable)]):
            return [*lines, *last.lines(_INDENT), f"{_INDENT}return {variable}"]
    return [*lines, *last.lines(_INDENT)]


def _arguments(cell: PythonCell, params: str, words: Words) -> ast.arguments:
    try:
        function = ast.parse(f"def _({params}): ...").body[0]
    except SyntaxError as error:
        raise CellMistake(
            cell.known.cell, 1, f"--params {params!r} is not a list of parameters: {error.msg}."
        ) from None
    assert isinstance(function, ast.FunctionDef)
    for node in ast.walk(function.args):
        if isinstance(node, ast.Name) and node.id in _TIMES:
            words.api(node.id, "datetime")
    return function.args
