"""A cell compiled to a function: from the names it reads to the names it writes."""

from __future__ import annotations

import ast
import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType
from typing import Any

from flowbook_magics.namespace import CellNamespace

_FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


@dataclass(frozen=True, kw_only=True, slots=True)
class CellCode:
    """The compiled body of a cell; `last` is the expression at its end, whose value is shown, if there is one."""

    body: CodeType
    last: CodeType | None

    def run(self, namespace: CellNamespace, show: Callable[[Any], None]) -> None:
        """Execute the cell in `namespace`."""
        _execute(self.body, namespace)
        if self.last is not None:
            value = _execute(self.last, namespace)
            if value is not None:
                show(value)


def compile_cell(shell: Any, source: str, body: str) -> CellCode:
    """Compile the `body` of the task cell that was typed as `source`; raises SyntaxError with the cell's own lines.

    The code is known to the shell under the whole cell, so tracebacks show the cell's lines under its number.
    """
    head = source[: len(source) - len(body)] if source.endswith(body) else "\n"
    transformed = "".join(f"# {line}" for line in head.splitlines(keepends=True)) + shell.transform_cell(body)
    name = shell.compile.cache(transformed, shell.execution_count, raw_code=source)
    tree = ast.parse(transformed, filename=name)
    last: ast.expr | None = None
    if tree.body and isinstance(tree.body[-1], ast.Expr) and not body.rstrip().endswith(";"):
        statement = tree.body.pop()
        assert isinstance(statement, ast.Expr)
        last = statement.value
    return CellCode(
        body=compile(tree, name, "exec", flags=_FLAGS),
        last=compile(ast.Expression(last), name, "eval", flags=_FLAGS) if last is not None else None,
    )


def written(namespace: CellNamespace, names: frozenset[str]) -> dict[str, Any]:
    """What a cell that ran in `namespace` has bound: the public names among `names` that hold something."""
    return {name: namespace[name] for name in names if not name.startswith("_") and dict.__contains__(namespace, name)}


def _execute(code: CodeType, namespace: CellNamespace) -> Any:
    value = eval(code, namespace)  # noqa: S307 - executing the user's cell is what this is for
    if code.co_flags & inspect.CO_COROUTINE:
        return _await(value)
    return value


def _await(coroutine: Any) -> Any:
    """The result of top-level awaits, in a thread of their own where this one already runs an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    box: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            box.append(asyncio.run(coroutine))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return box[0]
