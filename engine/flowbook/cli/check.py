"""``flowbook check NOTEBOOK.ipynb``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowbook.cli.options import print_json
from flowbook.cli.planning import planning_options
from flowbook.errors import NotebookError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowbook.promote.checks import Finding


@click.command(epilog="Example: flowbook check report.ipynb --format github")
@click.argument("notebook", metavar="NOTEBOOK")
@click.option("--flow", help="Which flow of the notebook, if it defines several.")
@planning_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="How to print it: for people, for programs, or as annotations of a pull request.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings, too.")
def check(notebook: str, flow: str | None, form: str, strict: bool, **planning: Any) -> None:
    """Say what in a notebook will go wrong when it runs unattended. Nothing is executed and nothing is stored.

    Exits with 1 if a run would certainly fail, and with 2 if the file is no notebook.
    """
    from flowbook.promote.checks import Severity
    from flowbook.promote.checks.checking import check_file
    from flowbook.promote.checks.finding import listed

    said = {name: value for name, value in planning.items() if value is not None}
    try:
        found = check_file(Path(notebook), flow=flow, planning=said)
    except NotebookError as error:
        raise _NoNotebook(" ".join(str(error).split("\n"))) from None
    if form == "json":
        print_json({"notebook": notebook, "findings": [asdict(finding) for finding in found]})
    elif form == "github":
        _annotate(notebook, found)
    else:
        click.echo(listed(found, notebook))
    sys.exit(any(strict or finding.severity is Severity.ERROR for finding in found))


class _NoNotebook(click.ClickException):
    """There is nothing to check, which is no answer to the question."""

    exit_code = 2


def _annotate(notebook: str, found: Sequence[Finding]) -> None:
    """Print workflow commands of GitHub Actions, whose lines are those of the notebook's file."""
    from flowbook.promote.checks.places import SourceLines

    lines = SourceLines(Path(notebook).expanduser().read_text(encoding="utf-8-sig"))
    for finding in found:
        line = None if finding.cell is None else lines.line(finding.cell, finding.line or 1)
        properties = {"file": notebook, "line": line, "title": finding.where}
        said = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items() if value is not None)
        click.echo(f"::{finding.severity} {said}::{_message(f'{finding.why} {finding.fix}')}")


def _message(text: str) -> str:
    """`text` as ``escapeData`` of github.com/actions/toolkit (``packages/core/src/command.ts``) writes it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """`text` as ``escapeProperty`` of the same file writes it."""
    return _message(text).replace(":", "%3A").replace(",", "%2C")
