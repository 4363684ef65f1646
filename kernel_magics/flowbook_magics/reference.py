"""The page about the magics, made of their grammar: ``python -m flowbook_magics.reference > docs/magics.md``."""

from __future__ import annotations

import sys

from flowbook.cells.grammar import Command
from flowbook_magics import commands

_HEAD = """# The magics

`%load_ext flowbook` brings them. A magic with two `%` stands on the first line of its cell, where `#| task` does the
same as `%%task`. Values with spaces are quoted, as in a shell; `$name` and `{name}` in a value are looked up in the
notebook. Tab completes verbs, options, and the names of tasks, flows, runs and deployments; `--help` and `?` show what
stands here.
"""


def page() -> str:
    """The whole page, as Markdown."""
    rows = [f"| [`{each.name}`](#{_anchor(each)}) | {each.summary} |" for each in commands.ALL]
    table = "\n".join(["| magic | what it does |", "|---|---|", *rows])
    return "\n".join([_HEAD, table, *(_section(each) for each in commands.ALL)])


def _section(command: Command) -> str:
    """What the help of one magic, or of one of its verbs, says."""
    parts = [f"\n## `{command.name}`", command.summary, f"```\n{command.usage()}\n```"]
    if command.options:
        rows = [f"| `{_cell(option.shown)}` | {_cell(option.help)} |" for option in command.options]
        parts.append("\n".join(["| option | what it says |", "|---|---|", *rows]))
    if command.example:
        parts.append(f"Example: `{command.example}`")
    return "\n\n".join(parts) + ("\n" if command is commands.ALL[-1] else "")


def _anchor(command: Command) -> str:
    """What GitHub makes of the heading."""
    return command.name.replace("%", "").replace(" ", "-")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
