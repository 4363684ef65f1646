"""``%%flow``: a cell's Python as the body of a flow."""

from __future__ import annotations

import ast
import keyword
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from types import FunctionType
from typing import Any

from flowbook.cells.grammar import Parsed
from flowbook.errors import CellError, UsageError
from flowbook.flows import Flow, FlowOptions
from flowbook_magics.cell_code import compile_code
from flowbook_magics.functions import rehomed

_TYPES = {"date": date, "datetime": datetime, "time": time, "timedelta": timedelta}
"""What parameters often are, known in ``--params`` whether imported or not."""


def flow_from_cell(shell: Any, name: str, body: str, line: Parsed) -> Flow[..., Any]:
    """The flow of a ``%%flow`` cell: a function of its parameters that runs the cell and returns its last value.

    The last value is that of the last expression, or of the last assignment to a single name.
    """
    if not body.strip():
        raise CellError(f"The flow cell {name!r} is empty; write below its first line which tasks to call.")
    variable = name.replace("-", "_")
    if not variable.isidentifier() or keyword.iskeyword(variable):
        raise UsageError(f"%%flow: {name!r} cannot be a variable; use letters, digits, - and _.")
    function = _compiled(shell, name, variable, body, line.params)
    options = FlowOptions(name=name, retries=line.retries, timeout_seconds=line.timeout)
    flow: Flow[..., Any] = Flow(function, options)
    shell.user_ns[variable] = flow
    return flow


def _compiled(shell: Any, name: str, variable: str, body: str, params: str) -> Callable[..., Any]:
    head = body[: len(body) - len(body.lstrip())].count("\n") + 1
    source = shell.transform_cell(body)
    filename = shell.compile.cache("\n" * head + source, shell.execution_count, raw_code=f"%%flow {name}\n{body}")
    try:
        statements = ast.parse("\n" * head + source, filename).body
        if not statements:
            raise CellError(f"The flow cell {name!r} is empty; write below its first line which tasks to call.")
        function = _function(variable, params, statements)
        code = compile_code(shell, ast.Module([function], []), filename)
    except SyntaxError as error:
        raise CellError(
            f"Flow {name!r}, line {error.lineno}: {error.msg}: `{(error.text or '').strip()}`. It was not registered."
        ) from None
    made: dict[str, Any] = {}
    try:
        exec(code, {**_TYPES, **shell.user_ns}, made)  # noqa: S102 - the user's own cell
    except NameError as error:
        raise UsageError(
            f"%%flow: --params is {params!r}, and {error}: import or define it in a cell before."
        ) from None
    defined: FunctionType = made[variable]
    return rehomed(defined, defined.__globals__, shell.user_ns)  # type: ignore[no-any-return]


def _function(variable: str, params: str, statements: list[ast.stmt]) -> ast.FunctionDef | ast.AsyncFunctionDef:
    """``def variable(params): statements``, which returns the last value."""
    try:
        header = ast.parse(f"def {variable}({params}): pass").body[0]
    except SyntaxError as error:
        raise UsageError(
            f"%%flow: --params is {params!r}, which is no list of parameters ({error.msg}); "
            "write it as day:date,limit:int=10."
        ) from None
    assert isinstance(header, ast.FunctionDef)
    body = [*statements[:-1], *_returning(statements[-1])]
    if any(isinstance(node, ast.Await) for statement in body for node in ast.walk(statement)):
        made: ast.FunctionDef | ast.AsyncFunctionDef = ast.AsyncFunctionDef(
            **{field: getattr(header, field) for field in header._fields}
        )
    else:
        made = header
    made.body = body
    return ast.fix_missing_locations(ast.copy_location(made, statements[0]))


def _returning(last: ast.stmt) -> list[ast.stmt]:
    if isinstance(last, ast.Expr):
        return [ast.copy_location(ast.Return(last.value), last)]
    if isinstance(last, ast.Assign) and len(last.targets) == 1 and isinstance(last.targets[0], ast.Name):
        returned = ast.Return(ast.Name(last.targets[0].id, ast.Load()))
        return [last, ast.copy_location(returned, last)]
    return [last]
