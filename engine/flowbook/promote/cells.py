"""What a code cell is to flowbook: a task cell, a flow cell, the parameters, only magics, or plain code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from flowbook.cells import Analysis, analyze_cells, declare
from flowbook.cells.cell_lines import CellLine, cell_line, marked_line
from flowbook.cells.grammar import HelpWanted
from flowbook.cells.source import parse_cell
from flowbook.errors import CellError, NotebookError, UsageError
from flowbook.promote.notebook import CellMistake, CodeCell

_PARAMETERS = re.compile(r"^#\s*(?:tag:\s*)?parameters\s*$", re.IGNORECASE)
_NOT_PYTHON = re.compile(r"^\s*%%(\w+)")
_LOADS = re.compile(r"^\s*%(?:load_ext|reload_ext|matplotlib|autoreload|config)\b", re.MULTILINE)

_OURS = re.compile(r"^\s*%(?:re)?load_ext\s+flowbook\b", re.MULTILINE)


class Role(StrEnum):
    """What a cell is for."""

    TASK = "task"
    FLOW = "flow"
    PARAMETERS = "parameters"
    PRELUDE = "prelude"
    MAGIC = "magic"
    PLAIN = "plain"


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownCell:
    """A code cell, its role and what it does.

    `name`, `after` and `params` are what the ``%%task`` or ``%%flow`` line says.
    """

    cell: CodeCell
    role: Role
    analysis: Analysis
    name: str | None = None
    after: tuple[str, ...] = ()
    params: str = ""

    @property
    def id(self) -> str:
        """How the graph of cells knows it, so that its messages read well."""
        return str(self.cell.number)


def understand(cells: list[CodeCell]) -> list[KnownCell]:
    """All code cells of a Python notebook with their roles; raises NotebookError naming cell and line."""
    try:
        analyses = _analyses(cells)
        known = [_understood(cell, analyses[index], analyses[:index]) for index, cell in enumerate(cells)]
    except CellMistake as error:
        others = sum(each.cell != error.cell for each in mistakes_in(cells))
        raise CellMistake(error.cell, error.line, error.why, others=others) from None
    parameters = [index for index, each in enumerate(known) if each.role is Role.PARAMETERS]
    for index in parameters[1:]:  # as in papermill, the first one counts
        known[index] = replace(known[index], role=Role.PLAIN)
    return known


def with_imports(cells: Iterable[KnownCell]) -> Iterator[tuple[KnownCell, Mapping[str, str]]]:
    """Each cell with what names mean in it that are imported there or above: name -> dotted path, until the next."""
    imports: dict[str, str] = {}
    for known in cells:
        imports.update(known.analysis.imports)
        yield known, imports


def mistakes_in(cells: list[CodeCell]) -> list[CellMistake]:
    """Every cell of a Python notebook that cannot be read by itself: its Python, or its ``%%task`` line."""
    found = []
    for cell in cells:
        mistake = _unreadable(cell)
        try:
            _line(cell)
        except CellMistake as error:
            mistake = error
        if mistake is not None:
            found.append(mistake)
    return found


def loads_extensions(cell: CodeCell) -> bool:
    """Whether other cells may need it for what its magics set up."""
    return bool(_LOADS.search(cell.source))


def loads_flowbook(cell: CodeCell) -> bool:
    """Whether the cell brings flowbook's magics into the notebook."""
    return bool(_OURS.search(cell.source))


def is_parameters(cell: CodeCell) -> bool:
    """Whether the cell is marked as the one with the parameters."""
    return "parameters" in cell.tags or bool(_PARAMETERS.match(_first_line(cell.source)))


def _understood(cell: CodeCell, analysis: Analysis, earlier: Sequence[Analysis]) -> KnownCell:
    line = _line(cell)
    if line is None:
        return KnownCell(cell=cell, role=_role(cell, analysis), analysis=analysis)
    role = Role(line.kind)
    after = tuple(line.said.after) if role is Role.TASK else ()
    if role is Role.TASK:
        analysis = _declared(cell, line, analysis, earlier)
    params = str(line.said.params) if role is Role.FLOW else ""
    return KnownCell(cell=cell, role=role, analysis=analysis, name=line.name, after=after, params=params)


def _declared(cell: CodeCell, line: CellLine, analysis: Analysis, earlier: Sequence[Analysis]) -> Analysis:
    said = line.said.values
    try:
        return declare(analysis, cell.title, reads=said["in"], writes=said["out"], over=said["map"], earlier=earlier)
    except CellError as error:
        raise NotebookError(str(error)) from None


def _line(cell: CodeCell) -> CellLine | None:
    """What the ``%%task`` or ``%%flow`` line of the cell says."""
    try:
        return cell_line(cell.source)
    except (UsageError, HelpWanted) as error:
        marked = marked_line(cell.source)
        number = marked.number + 1 if marked else 1
        said = "--help asks for help, and does nothing in a run." if isinstance(error, HelpWanted) else str(error)
        raise CellMistake(cell, number, said) from None


def _role(cell: CodeCell, analysis: Analysis) -> Role:
    if is_parameters(cell):
        return Role.PARAMETERS
    if all(not line.strip() or line.lstrip().startswith(("%", "#")) for line in cell.source.splitlines()):
        # ``%%bash`` and its like do something; ``%load_ext`` only prepares.
        return Role.PLAIN if _NOT_PYTHON.match(cell.source) else Role.MAGIC
    return Role.PRELUDE if analysis.is_prelude else Role.PLAIN


def _analyses(cells: list[CodeCell]) -> tuple[Analysis, ...]:
    try:
        return _analyzed(tuple(cell.source for cell in cells))
    except (SyntaxError, ValueError, RecursionError) as error:
        raise _blamed(cells, error) from None


@lru_cache(maxsize=2)  # a notebook that is called is checked, and then executed
def _analyzed(sources: tuple[str, ...]) -> tuple[Analysis, ...]:
    return analyze_cells(sources)


def _blamed(cells: list[CodeCell], error: Exception) -> NotebookError:
    """The error, told with the cell that it is about: the first one that cannot be analysed by itself."""
    for cell in cells:
        if (mistake := _unreadable(cell)) is not None:
            return mistake
    return NotebookError(f"The cells cannot be read as Python: {error}.")


def _unreadable(cell: CodeCell) -> CellMistake | None:
    """Why a cell by itself cannot be read as Python; None if it can."""
    try:
        analyze_cells([cell.source])
    except SyntaxError as found:
        text = (found.text or "").strip()
        shown = f": {text}" if text else ""
        return CellMistake(cell, found.lineno or 1, f"{found.msg}{shown}")
    except (ValueError, RecursionError) as found:
        return CellMistake(cell, None, f"cannot be read as Python: {found}.")
    return None


def _first_line(source: str) -> str:
    return next((line.strip() for line in source.splitlines() if line.strip()), "")


@lru_cache(maxsize=512)  # each check looks at all cells
def parsed(source: str) -> ast.Module:
    """The syntax tree of a cell as typed, magics replaced, to be read only; raises SyntaxError."""
    return parse_cell(source)[0]
