"""``flowbook check NOTEBOOK.ipynb...``."""

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
    from collections.abc import Mapping, Sequence

    from flowbook.promote.checks.finding import Finding


@click.command(epilog="Example: flowbook check report.ipynb --format github")
@click.argument("notebooks", nargs=-1, required=True, metavar="NOTEBOOK...")
@click.option("--flow", help="Which flow of the notebook, if it defines several.")
@planning_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="How to print it: for people, for programs (a list, if of several), or as annotations of a pull request.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings, too.")
def check(notebooks: tuple[str, ...], flow: str | None, form: str, strict: bool, **planning: Any) -> None:
    """Say what in notebooks will go wrong when they run unattended. Nothing is executed and nothing is stored.

    Exits with 1 if a run of one would certainly fail, and with 2 if a file is no notebook.
    """
    from flowbook.promote.checks.finding import Severity, listed

    said = {name: value for name, value in planning.items() if value is not None}
    found, unread = _findings(notebooks, flow, said)
    if form == "json":
        _print_facts(found, as_list=len(notebooks) > 1)
    elif form == "github":
        for name, findings in found.items():
            _annotate(name, findings)
    elif found:
        click.echo("\n\n".join(listed(findings, name) for name, findings in found.items()))
    for sentence in unread:
        click.echo(f"Error: {sentence}", err=True)
    wrong = (strict or each.severity is Severity.ERROR for findings in found.values() for each in findings)
    sys.exit(2 if unread else any(wrong))


def _findings(
    notebooks: Sequence[str], flow: str | None, planning: dict[str, Any]
) -> tuple[dict[str, Sequence[Finding]], list[str]]:
    """What was found in each notebook, and a sentence for each file that is none: that is no answer to the question."""
    from flowbook.promote.checks.checking import check_file

    found: dict[str, Sequence[Finding]] = {}
    unread = []
    for name in notebooks:
        try:
            found[name] = check_file(Path(name), flow=flow, planning=planning)
        except NotebookError as error:
            unread.append(" ".join(str(error).split("\n")))
    return found, unread


def _print_facts(found: Mapping[str, Sequence[Finding]], *, as_list: bool) -> None:
    facts = [{"notebook": name, "findings": [asdict(each) for each in findings]} for name, findings in found.items()]
    if as_list or facts:
        print_json(facts if as_list else facts[0])


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
