"""Magics and shell commands that need a screen or a person, and those that install packages."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from flowbook.cells.source import parse_cell
from flowbook.promote.cells import KnownCell
from flowbook.promote.checks.finding import Finding, Severity, in_cell

_NO_DEBUGGER = "Take it out, and look at a failed run in its executed notebook instead."

#: A magic -> how bad it is, why, and what to do.
_RULES: tuple[tuple[re.Pattern[str], Severity, str, str], ...] = (
    (
        re.compile(r"%matplotlib\s+(?:widget|ipympl|notebook|nbagg|qt\d?|tk|gtk\d?|wx|osx)\b"),
        Severity.WARNING,
        "needs a screen or a browser, which an unattended run does not have.",
        "Use `%matplotlib inline`.",
    ),
    (
        re.compile(r"%gui\s+\w"),
        Severity.WARNING,
        "needs a screen, which an unattended run does not have.",
        "Take it out.",
    ),
    (
        re.compile(r"%?%debug\s+\S|%%debug$"),
        Severity.ERROR,
        "has nobody to ask in an unattended run, and fails there.",
        _NO_DEBUGGER,
    ),
    (
        re.compile(r"%debug$|%pdb\b(?!\s+(?:off|0)\b)"),
        Severity.WARNING,
        "has nobody to ask in an unattended run.",
        _NO_DEBUGGER,
    ),
)

_INSTALL = re.compile(
    r"[!%]*\s*(?:\S*python[\d.]*|\{\s*sys\.executable\s*\}|\"\{sys\.executable\}\")?\s*(?:-m\s+)?"
    r"(?P<tool>uv\s+pip|pip3?|conda|mamba)\s+install\s+(?P<rest>.*)"
)
_TAKES_VALUE = frozenset(
    "-r --requirement -c --constraint -e --editable -i --index-url --extra-index-url -f --find-links -t --target "
    "--channel -n --name -p --prefix --python".split()
)
_SHELL_CELL = re.compile(r"%%(?:bash|sh|script|system|sx|cmd|!)")


def magic_lines(known: KnownCell) -> list[tuple[int, str]]:
    """The lines of a cell that are magics or shell commands, those in ``%%bash`` too, with their numbers from 1."""
    python = parse_cell(known.cell.source)[1].python.split("\n")
    lines = known.cell.source.split("\n")
    # What stands below another cell magic, as ``%%html`` or ``%%writefile``, is text.
    first = next((line.strip() for line in lines if line.strip()), "")
    is_text = first.startswith("%%") and not _SHELL_CELL.match(first)
    return [
        (number, typed.strip())
        for number, (typed, read) in enumerate(zip(lines, python, strict=True), 1)
        if typed != read and not (is_text and not typed.lstrip().startswith(("%", "!")))
    ]


def magic_findings(cells: Sequence[KnownCell]) -> Iterator[Finding]:
    """Magics that need a screen or a person, and installations."""
    for known in cells:
        for number, text in magic_lines(known):
            for pattern, severity, why, fix in _RULES:
                if pattern.match(text):
                    yield in_cell(severity, known.cell, number, f"`{text}` {why}", fix)
            if match := _INSTALL.match(text):
                why = f"`{text}` installs at each run{_whatever_is_newest(match)}."
                fix = "Put it into the environment of the kernel instead, before the notebook runs."
                yield in_cell(Severity.WARNING, known.cell, number, why, fix)


def installs(known: KnownCell) -> bool:
    """Whether the cell installs packages by a magic or a shell command."""
    return any(_INSTALL.match(text) for _, text in magic_lines(known))


def _whatever_is_newest(match: re.Match[str]) -> str:
    separator = "=" if match["tool"] in ("conda", "mamba") else "=="
    loose = [name for name in _requirements(match["rest"]) if separator not in name and not _is_place(name)]
    return f", and takes whatever version of {', '.join(loose)} is the newest then" if loose else ""


def _requirements(line: str) -> Iterator[str]:
    try:
        words = iter(shlex.split(line, comments=True))
    except ValueError:
        return
    for word in words:
        if word in _TAKES_VALUE:
            next(words, None)
        elif word in ("&&", ";", "|", "||", ">"):
            return
        elif not word.startswith("-"):
            yield word


def _is_place(requirement: str) -> bool:
    """Whether it is a file, a folder or an address rather than a name."""
    return requirement.startswith((".", "/", "~")) or "@" in requirement or "://" in requirement
