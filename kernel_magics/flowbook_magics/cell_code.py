"""A cell compiled to code that runs in a namespace of its own."""

from __future__ import annotations
import __future__

import ast
import inspect
from collections.abc import Callable, MutableMapping
from contextlib import closing
from dataclasses import dataclass
from functools import reduce
from operator import or_
from types import CodeType
from typing import Any

from flowbook_magics.awaiting import CellLoop
from flowbook_magics.functions import global_reads, mentioned
from flowbook_magics.namespace import CellNamespace

_FUTURES = reduce(or_, (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names))


@dataclass(frozen=True, kw_only=True, slots=True)
class CellCode:
    """The compiled body of a cell; `last` is the expression at its end, whose value is shown, if there is one."""

    body: CodeType
    last: CodeType | None
    is_empty: bool
    """Whether it has no statement at all."""

    def run(self, namespace: CellNamespace, show: Callable[[Any], None], loop: CellLoop | None = None) -> None:
        """Execute the cell in `namespace`: within `loop`, or else, if it awaits, in one of its own."""
        if loop is None and any(code.co_flags & inspect.CO_COROUTINE for code in self._codes()):
            with closing(CellLoop()) as own:
                self.run(namespace, show, own)
            return
        variables = namespace.variables(self.body.co_names)
        _execute(self.body, namespace.names, variables, loop)
        if self.last is not None:
            value = _execute(self.last, namespace.names, variables, loop)
            if value is not None:
                show(value)

    def names(self) -> frozenset[str]:
        """The names that the code looks up outside of its functions' own ones."""
        return frozenset().union(*map(global_reads, self._codes()))

    def mentions(self) -> frozenset[str]:
        """The names in the code, of attributes and modules as well."""
        return frozenset().union(*map(mentioned, self._codes()))

    def uses_ipython(self) -> bool:
        """Whether a magic, a shell command or ``get_ipython`` stands in it."""
        return "get_ipython" in self.mentions()

    def _codes(self) -> list[CodeType]:
        return [self.body] if self.last is None else [self.body, self.last]


def compile_cell(shell: Any, typed: str, first: int) -> CellCode:
    """Compile a cell as it was typed, from its line `first` (0 is the first) on; raises SyntaxError with its lines.

    The code is known to the shell under the whole cell, so tracebacks show the cell's lines under its number.
    """
    lines = typed.splitlines(keepends=True)
    while first < len(lines) and not lines[first].strip():
        first += 1
    head = "".join(line if line.lstrip().startswith("#") else f"# {line}" for line in lines[:first])
    body = "".join(lines[first:])
    python = body if _is_one_line_of_python(body) else shell.transform_cell(body)
    transformed = head + python
    name = shell.compile.get_code_name(typed, transformed, 0)
    name = shell.compile.cache(transformed, _number(shell, name), raw_code=typed)
    tree = shell.transform_ast(ast.parse(transformed, filename=name))
    is_empty, last = not tree.body, None
    quiet = shell.displayhook.semicolon_at_end_of_expression(python)
    if tree.body and isinstance(tree.body[-1], ast.Expr) and not quiet:
        last = tree.body.pop().value
    return CellCode(
        is_empty=is_empty,
        body=compile_code(shell, tree, name),
        last=compile_code(shell, ast.Expression(last), name) if last is not None else None,
    )


def compile_code(shell: Any, tree: ast.Module | ast.Expression, filename: str) -> CodeType:
    """Compile as the shell compiles a cell: with top-level await and the ``__future__`` imports of its cells."""
    mode = "eval" if isinstance(tree, ast.Expression) else "exec"
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | (shell.compile.flags & _FUTURES)
    return compile(tree, filename, mode, flags=flags, dont_inherit=True)  # type: ignore[no-any-return]


def _is_one_line_of_python(body: str) -> bool:
    """Such a cell is not the shell's to rewrite: it takes ``config["x"] = 1`` for its magic ``%config`` while the
    notebook has no such name, and a task's inputs need not be there yet."""
    try:
        return body.count("\n") <= 1 and bool(ast.parse(body).body)
    except SyntaxError:
        return False


def _number(shell: Any, name: str) -> int:
    """The number of the cell being executed: of its own code if this has the same name, else of the last one."""
    known: dict[str, int] = getattr(shell.compile, "_filename_map", {})
    return known.get(name) or next(reversed(known.values()), shell.execution_count)


def _execute(code: CodeType, names: dict[str, Any], variables: MutableMapping[str, Any], loop: CellLoop | None) -> Any:
    if loop is not None and not code.co_flags & inspect.CO_COROUTINE:
        return loop.run(_within_loop(code, names, variables))
    value = eval(code, names, variables)  # noqa: S307 - executing the user's cell is what this is for
    return value if loop is None else loop.run(value)


async def _within_loop(code: CodeType, names: dict[str, Any], variables: MutableMapping[str, Any]) -> Any:
    return _execute(code, names, variables, None)
