"""Options that several commands have, and how their answers are printed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def output_option(command: F) -> F:
    """``--output json`` for programs."""
    return click.option(
        "--output",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="How to print it: for people, or for programs.",
    )(command)


def param_option(command: F) -> F:
    """``--param k=v``, repeatable."""
    return click.option(
        "--param",
        "params",
        multiple=True,
        metavar="NAME=VALUE",
        help="A parameter; the value is read as the type that the notebook gives it. Repeatable.",
    )(command)


def print_json(value: Any) -> None:
    """`value` as indented JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_table(rows: Sequence[Mapping[str, str]], empty: str) -> None:
    """Rows as aligned columns, or the sentence `empty`."""
    from flowbook.core.plain import one_line, pad, text_width

    if not rows:
        click.echo(empty)
        return
    heads = list(rows[0])
    cells = [heads, *([one_line(str(row[head])) for head in heads] for row in rows)]
    widths = [max(text_width(line[column]) for line in cells) for column in range(len(heads))]
    for line in cells:
        click.echo("  ".join(pad(text, width) for text, width in zip(line, widths, strict=True)).rstrip())


def moment(seconds: float | None) -> str:
    """A time as a person here reads it; empty for None."""
    from datetime import UTC, datetime

    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
