"""A cell as plain Python, cut into the statements of its top level as they were typed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass

from flowbook.cells.cell_lines import marked_line
from flowbook.cells.source import parse_cell
from flowbook.promote.cells import KnownCell, Role
from flowbook.promote.notebook import CellMistake, CodeCell

_ONLY_IN_NOTEBOOKS = frozenset(
    "load_ext reload_ext unload_ext matplotlib config autoreload "
    "flow tasks runs logs deploy schedule pip conda mamba uv".split()
)
"""Magics that set the notebook up, or are about its runs: a module does without."""
_INSTALLS = re.compile(r"[%!]{0,2}\s*(?:python3? -m )?(?:pip|conda|mamba|uv)\b")
_COMMAND = "subprocess.run("
_FLAGS = {
    "dynamic": "it looks names up by their text (exec, eval, globals…), and a task has its own names",
    "history": "it uses In, Out or _, which are IPython's",
    "ipython": "it uses get_ipython()",
    "run": "it uses %run",
}
_OF_A_THREAD = frozenset({"decimal", "numpy.options"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A statement at the top level of a cell. `lead` are the comments and empty lines above it."""

    node: ast.stmt
    text: str
    lead: tuple[str, ...] = ()
    comment: str = ""
    """What stands behind it on its last line."""
    silent: bool = False
    """It ends with a semicolon, so that IPython does not show its value."""

    def lines(self, indent: str = "", *, text: str | None = None, lead: bool = True) -> list[str]:
        """Its lines, each with `indent` in front unless it begins inside a string; `text` is instead of its own."""
        said = self.text if text is None else text
        held = _inside_strings(said)
        written = [
            line if number in held or not line else indent + line for number, line in enumerate(said.split("\n"))
        ]
        if self.comment:
            written[-1] += f"  {self.comment}"
        above = [(indent + line.strip()).rstrip() for line in self.lead] if lead else []
        return [*above, *written]


@dataclass(frozen=True, kw_only=True, slots=True)
class PythonCell:
    """A cell as plain Python."""

    known: KnownCell
    pieces: tuple[Piece, ...]
    tail: tuple[str, ...] = ()
    """Comments below the last statement."""
    notes: tuple[str, ...] = ()
    """What was left out."""
    runs_commands: bool = False
    """It has shell commands, for which it needs `subprocess`."""

    @property
    def shown(self) -> Piece | None:
        """The last statement, if the notebook shows its value."""
        if not self.pieces:
            return None
        last = self.pieces[-1]
        if last.text.startswith(_COMMAND) and self.runs_commands:
            return None
        is_text = isinstance(last.node, ast.Expr) and isinstance(last.node.value, ast.Constant)
        return last if isinstance(last.node, ast.Expr) and not last.silent and not is_text else None


def python_cell(known: KnownCell) -> PythonCell:
    """The cell as plain Python. Raises CellMistake for what only IPython understands."""
    _refuse_flags(known)
    lines = known.cell.source.replace("\r\n", "\n").split("\n")
    if (marked := marked_line(known.cell.source)) is not None:
        lines[marked.number] = ""
    plain, notes = _without_magics(known.cell, lines)
    pieces, tail = _cut(plain)
    runs = any(line.lstrip().startswith("!") and _COMMAND in text for line, text in zip(lines, plain, strict=True))
    return PythonCell(known=known, pieces=tuple(pieces), tail=tuple(tail), notes=tuple(notes), runs_commands=runs)


def _refuse_flags(known: KnownCell) -> None:
    for flag, why in _FLAGS.items():
        if flag in known.analysis.flags:
            raise CellMistake(known.cell, None, f"cannot be exported: {why}. Write it without, or delete the cell.")
    changed = known.analysis.resources - known.analysis.resource_reads
    if known.role is Role.TASK and changed & _OF_A_THREAD:
        why = "what it sets (np.seterr, np.set_printoptions, decimal) would hold in its own thread only"
        raise CellMistake(known.cell, None, f"cannot be exported: {why}. Set it in a cell without %%task.")


def _without_magics(cell: CodeCell, lines: list[str]) -> tuple[list[str], list[str]]:
    """The lines without what only IPython understands, and what to say about what was left out."""
    python = parse_cell("\n".join(lines))[1].python.split("\n")
    plain, notes, continued = list(lines), list[str](), False
    for number, (typed, read) in enumerate(zip(lines, python, strict=True)):
        if typed == read:
            continued = False
            continue
        if not continued:
            plain[number] = _translated(cell, number + 1, typed, read)
            if _INSTALLS.match(typed.strip()):
                notes.append(
                    f"{cell.title.capitalize()}: `{typed.strip()}` was left out; install that where the module runs."
                )
        else:
            plain[number] = ""
        continued = typed.rstrip().endswith("\\")
    return plain, notes


def _translated(cell: CodeCell, number: int, typed: str, read: str) -> str:
    """A line of IPython's as Python: nothing for what only sets the notebook up. Raises CellMistake for others."""
    text = typed.strip()
    indent = typed[: len(typed) - len(typed.lstrip())]
    name = text.lstrip("%").partition(" ")[0]
    if _INSTALLS.match(text) or (text.startswith("%") and name in _ONLY_IN_NOTEBOOKS):
        return f"{indent}pass" if indent else ""
    if re.fullmatch(r"%%time\b.*", text) or re.match(r"(?:[\w, ]+=\s*)?%time\s", text):
        return read
    if text.startswith("!") and not text.startswith("!!") and not re.search(r"[${}\\]", text):
        return f"{indent}{_COMMAND}{text[1:].strip()!r}, shell=True, check=False)"
    raise CellMistake(
        cell, number, f"`{text}` is IPython's and has no exact equal in Python; write it in Python, or take it out."
    )


def _cut(lines: list[str]) -> tuple[list[Piece], list[str]]:
    """The statements, and the comments below the last one."""
    pieces, above = list[Piece](), 0
    for node in ast.parse("\n".join(lines)).body:
        begin = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
        end = node.end_lineno or begin
        last = lines[end - 1].encode()
        first_column = node.col_offset if begin == node.lineno else 0
        taken = [*lines[begin - 1 : end]]
        taken[-1] = last[: node.end_col_offset].decode()
        taken[0] = taken[0].encode()[first_column:].decode()
        rest = last[node.end_col_offset or 0 :].decode().strip()
        behind = rest.lstrip("; \t")
        pieces.append(
            Piece(
                node=node,
                text="\n".join(taken),
                lead=tuple(_trimmed(lines[above : begin - 1])),
                comment=behind if behind.startswith("#") else "",
                silent=rest.startswith(";"),
            )
        )
        above = end
    return pieces, [line for line in lines[above:] if line.strip()]


def _trimmed(lines: list[str]) -> Iterable[str]:
    """The lines without empty ones at both ends."""
    text = "\n".join(line.rstrip() for line in lines).strip("\n")
    return text.split("\n") if text else ()


def _inside_strings(text: str) -> set[int]:
    """The numbers, from 0, of the lines that begin inside a string: an indent would change its value."""
    held: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)):
            held.update(range(node.lineno, node.end_lineno or node.lineno))
    return held
