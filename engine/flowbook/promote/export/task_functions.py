"""A step as the text of a task: a decorator with its options, and a function from what it takes to what it gives."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from flowbook.promote.export.python_cells import Piece
from flowbook.promote.export.steps import Step
from flowbook.promote.export.words import Words

INDENT = "    "


def task_text(step: Step, function: str, words: Words) -> list[str]:
    """The lines of the task."""
    taken = [*step.over, *(name for name in step.takes if name not in step.over)]
    unused = set(step.over.values()) - step.raw.reads - step.raw.builtins
    taken = [name for name in taken if name not in unused]
    define = "async def" if step.is_async else "def"
    inside = INDENT
    lines = [_decorator(step, function, words), f"{define} {function}({', '.join(taken)}):"]
    if step.globals:
        lines.append(f"{INDENT}global {', '.join(sorted(step.globals))}")
    if step.said is not None and step.said.limit is not None:
        name, slots = step.said.limit
        concurrency = words.api("concurrency", "flowbook.concurrency.sync")
        lines.append(f"{INDENT}with {concurrency}({_text(name)}, occupy={slots}):")
        inside = INDENT * 2
    body = statements(step, step.pieces, step.globals, inside, words)
    lines += body or [f"{inside}pass"]
    if returned := _returned(step.gives):
        lines.append(f"{INDENT}{returned}")
    return lines


def statements(step: Step, pieces: Iterable[Piece], globals_: frozenset[str], indent: str, words: Words) -> list[str]:
    """The lines of statements of a cell in a function; the value that the notebook shows is printed."""
    lines: list[str] = []
    for piece in pieces:
        text = _without_annotation(piece, globals_)
        if piece is step.cell.shown and not _is_nothing(piece):
            is_tuple = isinstance(piece.node, ast.Expr) and isinstance(piece.node.value, ast.Tuple)
            text = f"{words.showing()}(({piece.text}))" if is_tuple else f"{words.showing()}({piece.text})"
        lines += piece.lines(indent, text=text)
    return [*lines, *(f"{indent}{line.strip()}" for line in step.cell.tail)]


def _is_nothing(piece: Piece) -> bool:
    """Whether there is nothing to show: ``print`` and its like return None."""
    value = piece.node.value if isinstance(piece.node, ast.Expr) else None
    function = value.func if isinstance(value, ast.Call) else None
    return isinstance(function, ast.Name) and function.id in ("print", "display")


def _without_annotation(piece: Piece, globals_: frozenset[str]) -> str:
    """The text of a statement; a global variable cannot be annotated in a function."""
    node = piece.node
    if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id in globals_):
        return piece.text
    if node.value is None:
        return "pass"
    return f"{node.target.id} = {ast.get_source_segment(piece.text, ast.parse(piece.text).body[0].value)}"  # type: ignore[attr-defined]


def _returned(names: tuple[str, ...]) -> str:
    if not names:
        return ""
    if len(names) == 1:
        return f"return {names[0]}"
    return f"return {{{', '.join(f'{_text(name)}: {name}' for name in sorted(names))}}}"


def _decorator(step: Step, function: str, words: Words) -> str:
    task = words.api("task")
    options = ", ".join(f"{name}={value}" for name, value in _options(step, function, words).items())
    return f"@{task}({options})" if options else f"@{task}"


def _options(step: Step, function: str, words: Words) -> dict[str, str]:
    said = step.said
    options = {} if step.label == function else {"name": _text(step.label)}
    if said is None:
        return options
    if said.tags:
        options["tags"] = f"[{', '.join(_text(tag) for tag in said.tags)}]"
    if said.retries:
        options["retries"] = str(said.retries)
    if said.retry_delay == "exp":
        options["retry_delay_seconds"] = f"{words.api('exponential_backoff', 'flowbook.tasks')}(1)"
    elif said.retry_delay:
        options["retry_delay_seconds"] = _numbers(said.retry_delay)
    if said.jitter is not None:
        options["retry_jitter_factor"] = _number(said.jitter)
    if said.timeout is not None:
        options["timeout_seconds"] = _number(said.timeout)
    if said.cache != "off":
        source = words.api("TASK_SOURCE", "flowbook.cache_policies")
        inputs = f"{words.api('INPUTS', 'flowbook.cache_policies')} + " if said.cache == "inputs" else ""
        options["cache_policy"] = f"{inputs}{source}"
    if said.cache_for is not None:
        options["cache_expiration"] = _number(said.cache_for)
    if said.log_prints or said.no_log_prints:
        options["log_prints"] = str(bool(said.log_prints))
    return options


def _numbers(value: float | list[float]) -> str:
    return f"[{', '.join(map(_number, value))}]" if isinstance(value, list) else _number(value)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _text(value: str) -> str:
    """A text as a literal in double quotes, where that is possible."""
    plain = repr(value)
    return plain if '"' in value or "\\" in plain else f'"{value}"'
