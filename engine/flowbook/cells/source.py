"""A cell as it was typed, turned into Python with the same line numbers.

IPython's own syntax (magics, ``!shell``, ``obj?``) is replaced in place by Python that reads the same names. Code that
is valid Python is never touched: each of IPython's forms is a syntax error where Python expects a statement.
The outcome is for reading, not for running.
"""

from __future__ import annotations

import ast
import re
import warnings
from contextlib import suppress
from dataclasses import dataclass, field

from flowbook.cells import magics

__all__ = ["TypedCell", "parse_cell", "to_python"]

_FILE = "<cell>"
_SILENT = ("ignore", None, Warning, re.compile(_FILE), 0)
_STRING_OR_BRACKET = re.compile(
    r"""\#.*|'''|\"\"\"|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[()\[\]{}]|\\$""",
)
_CLOSERS = {quote: re.compile(rf"(?:\\.|[^\\])*?{quote}", re.DOTALL) for quote in ("'''", '"""')}
_ESCAPES = ("%", "!", "?", ",", ";", "/")
_ASSIGNED = re.compile(r"""^(\s*)([\w.,\s\[\]"'*]+?)\s*=\s*(%(?=\w)|!)(.*)$""", re.DOTALL)
_HELP = re.compile(r"^\s*(?:[\w., ]+=\s*)?%{0,2}[\w.*\[\]\"']+\?{1,2}\s*;?\s*(?:\#.*)?$")
_HELP_FIRST = re.compile(r"^\s*\?{1,2}")
_TASK_MAGICS = frozenset({"task", "flow"})


@dataclass(kw_only=True, slots=True)
class TypedCell:
    """The Python of a cell and what its magics do besides running code."""

    python: str = ""
    effects: magics.MagicEffects = field(default_factory=magics.MagicEffects)
    foreign: list[str] = field(default_factory=list)
    """What was typed in place of Python: magics, shell commands, the bodies of foreign cell magics."""
    shifts: dict[int, int] = field(default_factory=dict)
    """Line number -> how many columns the code stood further right as typed."""


def to_python(source: str) -> str:
    """Turn a cell as typed into parseable Python with the same line numbers.

    Raises SyntaxError, positioned in the cell as typed, when it is neither Python nor IPython.
    """
    return parse_cell(source)[1].python


def parse_cell(source: str) -> tuple[ast.Module, TypedCell]:
    """Parse a cell as typed; raises SyntaxError with line, column and text of the cell as typed."""
    try:
        return _syntax_tree(source), TypedCell(python=source)
    except SyntaxError as plain_error:
        typed = _Translator(source).translate()
        try:
            return _syntax_tree(typed.python), typed
        except SyntaxError as error:
            return _as_automagic(source) or _raise_as_typed(source, typed, error, plain_error)


def _as_automagic(source: str) -> tuple[ast.Module, TypedCell] | None:
    """IPython takes a cell of one line such as ``pip install x`` for a magic without its %."""
    line = source.strip()
    name, _, rest = line.partition(" ")
    if "\n" in line or name not in magics.AUTOMAGIC or rest.lstrip().startswith(("=", "(", ",")):
        return None
    typed = _Translator(source.replace(line, "%" + line)).translate()
    return _syntax_tree(typed.python), typed


_TRIES = 99
"""In Python 3.11 trees that are made in several threads at a time disturb each other (SystemError: recursion depth
mismatch), and other code parses, too."""


def _syntax_tree(source: str) -> ast.Module:
    """The tree of Python code, without warnings about it (``"\\d"``): those are for who runs it. Raises SyntaxError.

    `warnings.catch_warnings` changes the whole process, and cells are read while tasks run in other threads.
    """
    if warnings.filters[:1] != [_SILENT]:
        warnings.filterwarnings("ignore", module=_FILE)
    for _ in range(_TRIES):
        with suppress(SystemError):
            return ast.parse(source, _FILE)
    return ast.parse(source, _FILE)


def _raise_as_typed(
    source: str, typed: TypedCell, error: SyntaxError, plain_error: SyntaxError
) -> tuple[ast.Module, TypedCell]:
    lines = source.splitlines()
    number = error.lineno or 1
    text = lines[number - 1] if number <= len(lines) else ""
    shift = typed.shifts.get(number, 0)
    offset = (error.offset or 0) + shift
    end_offset = (error.end_offset or 0) + (shift if error.end_lineno == number else 0)
    if typed.python == source:
        raise plain_error
    raise SyntaxError(error.msg, (_FILE, number, offset, text, error.end_lineno, end_offset)) from None


class _Translator:
    """Goes through the physical lines; only a line where a statement may begin can be a magic."""

    def __init__(self, source: str) -> None:
        self.lines = source.split("\n")
        self.typed = TypedCell()
        self.open_quote = ""
        self.depth = 0
        self.continued = False

    def translate(self) -> TypedCell:
        start = self._cell_magics()
        index = start
        while index < len(self.lines):
            if not (self.open_quote or self.depth or self.continued):
                index += self._translate_statement(index)
            else:
                self._scan(self.lines[index])
                index += 1
        self.typed.python = "\n".join(self.lines)
        return self.typed

    def _cell_magics(self) -> int:
        """Replace the ``%%magic`` lines on top; the number of the first line of the body."""
        for index, line in enumerate(self.lines):
            stripped = line.strip()
            if not stripped or stripped.startswith("#"):
                continue
            if not stripped.startswith("%%"):
                return index
            name, _, rest = stripped[2:].partition(" ")
            if name in _TASK_MAGICS:
                self.lines[index] = ""
                continue
            is_code, replacement = magics.cell_magic(name, rest.strip(), self.typed.effects)
            self.lines[index] = replacement
            self.typed.foreign.append(stripped)
            if not is_code:
                self.typed.foreign += self.lines[index + 1 :]
                self.lines[index + 1 :] = [""] * (len(self.lines) - index - 1)
                return len(self.lines)
        return len(self.lines)

    def _translate_statement(self, index: int) -> int:
        """Translate the statement that begins here if it is IPython's; the number of lines taken."""
        line = self.lines[index]
        stripped = line.lstrip()
        if stripped.startswith(_ESCAPES):
            return self._replace(index, line[: len(line) - len(stripped)], "")
        if "?" in line and _HELP.match(line):
            return self._replace(index, line[: len(line) - len(stripped)], "")
        if "=" in line and (match := _ASSIGNED.match(line)):
            return self._replace(index, match[1], f"{match[2].strip()} = ", match.start(3))
        self._scan(line)
        return 1

    def _replace(self, index: int, indent: str, target: str, start: int | None = None) -> int:
        text, count = self.lines[index], 1
        while text.endswith("\\") and index + count < len(self.lines):
            text = text[:-1] + " " + self.lines[index + count]
            self.lines[index + count] = ""
            count += 1
        typed = text[len(indent) if start is None else start :].rstrip()
        self.typed.foreign.append(typed)
        if _HELP_FIRST.match(typed) or _HELP.match(text):
            code = "0" if target else "pass"
        else:
            code = magics.line_magic(typed, self.typed.effects, assigned=bool(target))
        self.lines[index] = f"{indent}{target}{code}"
        self.typed.shifts[index + 1] = max(text.rfind(code) - self.lines[index].rfind(code), 0)
        return count

    def _scan(self, line: str) -> None:
        """Follow strings and brackets through one physical line."""
        position, self.continued = 0, False
        while position < len(line):
            if self.open_quote:
                match = _CLOSERS[self.open_quote].match(line, position)
                if match is None:
                    return
                self.open_quote = ""
            else:
                match = _STRING_OR_BRACKET.search(line, position)
                if match is None:
                    return
                self._enter(match[0])
            position = match.end()

    def _enter(self, token: str) -> None:
        if token in _CLOSERS:
            self.open_quote = token
        elif token in "([{":
            self.depth += 1
        elif token in ")]}":
            self.depth = max(self.depth - 1, 0)
        elif token == "\\":
            self.continued = True
