"""Checking a notebook without deploying it: what cannot be read at all is a finding as well."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook.core.durations import seconds
from flowbook.errors import FlowbookError, NotebookError
from flowbook.promote.cells import KnownCell, mistakes_in
from flowbook.promote.checks.data_reads import reads_of
from flowbook.promote.checks.finding import Finding, Severity, in_cell
from flowbook.promote.checks.findings import findings
from flowbook.promote.checks.magic_lines import magic_lines
from flowbook.promote.checks.runs import Ran
from flowbook.promote.notebook import CellMistake, code_cells, read_notebook
from flowbook.promote.options import planned_schedules
from flowbook.promote.reading import read

if TYPE_CHECKING:
    from nbformat import NotebookNode

_DEPLOY = re.compile(r"%deploy\b(.*)")
_PLANNING = {"--schedule": "cron", "--every": "interval", "--rrule": "rrule", "--tz": "timezone"}
_CORRECT = "Correct it."


def check_file(path: Path, **options: Any) -> list[Finding]:
    """As `check_notebook`, of the notebook in a file. Raises NotebookError if that is none that can be checked."""
    path = path.expanduser()
    notebook = read_notebook(path)
    if "orig_nbformat" in notebook.metadata:  # then its cells have other places than in the file
        raise NotebookError(f"{path} is in an old notebook format: open it in Jupyter and save it, which makes it 4.")
    return check_notebook(notebook, folder=path.absolute().parent, **options)


def check_notebook(
    notebook: NotebookNode,
    *,
    folder: Path,
    flow: str | None = None,
    planning: Mapping[str, Any] | None = None,
    ran: Mapping[str, Ran] | None = None,
    values: Mapping[str, Any] | None = None,
) -> list[Finding]:
    """What is found in a notebook in a `folder`, of which `flow` is meant, or its only one.

    `planning` are arguments of `planned_schedules`; `ran` is what a kernel knows of the cells, and `values` are
    those of their names in it.
    """
    found = [*_planned(planning or {})]
    try:
        reading = read(notebook, flow)
        in_cells = findings(reading, folder=folder, reads=reads_of(reading), ran=ran, values=values)
        return [*found, *_deploy_lines(reading.cells), *in_cells]
    except CellMistake as mistake:
        others = [each for each in mistakes_in(list(code_cells(notebook))) if each.cell != mistake.cell]
        mistakes = sorted([mistake, *others], key=lambda each: each.cell.index)
        return [
            *found,
            *(in_cell(Severity.ERROR, one.cell, one.line, _sentence(one.why), _CORRECT) for one in mistakes),
        ]
    except FlowbookError as error:
        return [*found, Finding(severity=Severity.ERROR, title="Notebook", why=_sentence(str(error)), fix=_CORRECT)]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")


def _planned(planning: Mapping[str, Any]) -> Iterator[Finding]:
    if why := _why_not(planning):
        yield Finding(severity=Severity.ERROR, title="Schedule", why=why, fix=_CORRECT)


def _deploy_lines(cells: Sequence[KnownCell]) -> Iterator[Finding]:
    """The schedules of ``%deploy`` lines. Values that are looked up in the notebook (``$zone``) are not known here."""
    for known in cells:
        for number, text in magic_lines(known):
            if (match := _DEPLOY.match(text)) and (why := _why_not(_said(match[1]))):
                yield in_cell(Severity.ERROR, known.cell, number, why, _CORRECT)


def _said(line: str) -> dict[str, Any]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return {}
    said: dict[str, Any] = {}
    for word, following in zip(words, [*words[1:], ""], strict=False):
        name, joined, value = word.partition("=")
        value = value if joined else following
        if name in _PLANNING:
            said[_PLANNING[name]] = value
            if set("{$") & set(value):
                return {}
    return said


def _why_not(planning: Mapping[str, Any]) -> str | None:
    """Why no schedule can be made of what is said; None if one can."""
    every = planning.get("interval")
    try:
        planned_schedules(**{**planning, **({"interval": seconds(every)} if isinstance(every, str) else {})})
    except ValueError as error:  # UsageError and InvalidSchedule are such, too
        return str(error) if isinstance(error, FlowbookError) else f"{every!r} is no length of time; {error}."
    return None
