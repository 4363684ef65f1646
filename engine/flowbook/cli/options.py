"""Options that several commands have, and how their answers are printed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

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


def pool_option(command: F) -> F:
    """``--pool NAME``."""
    return click.option("--pool", default="default", show_default=True, help="The work pool.")(command)


def version_number(_context: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    """The number of a deployment's version, written as ``3`` or, as messages call it, ``v3``; raises BadParameter."""
    digits = (text or "").removeprefix("v")
    if text is not None and not (digits.isascii() and digits.isdigit() and int(digits)):
        raise click.BadParameter(f"{text!r} is not a version; write its number, as 3 or v3.")
    return int(digits) if digits else None


def pairs(texts: Sequence[str], option: str, example: str) -> dict[str, str]:
    """The names and values of texts ``NAME=VALUE``; raises BadParameter."""
    found = {}
    for text in texts:
        name, is_there, value = text.partition("=")
        if not is_there or not name:
            raise click.BadParameter(f"{text!r} is not {example}.", param_hint=f"'{option}'")
        if name in found:
            raise click.BadParameter(f"{name} is given twice; keep one.", param_hint=f"'{option}'")
        found[name] = value
    return found


def json_object(text: str | None) -> dict[str, Any]:
    """The value of ``--params JSON``; empty for None. Raises BadParameter."""
    if text is None:
        return {}
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise click.BadParameter(
            f"it is not JSON: {error.msg} at character {error.pos + 1}.", param_hint="--params"
        ) from None
    if not isinstance(value, dict):
        raise click.BadParameter('it must be an object, such as {"day": "2026-01-01"}.', param_hint="--params")
    return value


def instant(text: str, option: str, zone: tzinfo | None = None) -> datetime:
    """An ISO time as an aware datetime: without an offset it is in `zone`, or in that of this machine."""
    from datetime import datetime

    try:
        said = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not a time; write it as 2026-01-31 or 2026-01-31T07:00.", param_hint=f"'{option}'"
        ) from None
    if said.tzinfo is None:
        return said.replace(tzinfo=zone) if zone is not None else said.astimezone()
    return said


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
