"""``flowbook doctor``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from flowbook.cli.options import output_option, print_json

if TYPE_CHECKING:
    from flowbook.store.findings import Finding


@click.command(epilog="Example: flowbook doctor")
@output_option
def doctor(output: str) -> None:
    """Check the home folder and the database, and say what to do about what is wrong.

    Nothing is changed. Exits with 1 if there is a problem; warnings are none.
    """
    from flowbook.settings import current_settings
    from flowbook.store.doctor import examine
    from flowbook.store.findings import Level, Subject

    settings = current_settings()
    found = examine(Subject(home=settings.home, database_url=settings.database_url))
    if output == "json":
        print_json([asdict(finding) for finding in found])
    else:
        _print(found)
    sys.exit(1 if _count(found, Level.PROBLEM) else 0)


def _print(found: list[Finding]) -> None:
    from flowbook.core.plain import one_line
    from flowbook.store.findings import Level

    width = max(len(finding.title) for finding in found)
    for finding in found:
        click.echo(f"{finding.level:<7}  {finding.title:<{width}}  {one_line(finding.found)}")
        if finding.advice:
            click.echo(f"{'':<{width + 9}}  -> {one_line(finding.advice)}")
    bad = [
        f"{count} {level}{'s' * (count > 1)}"
        for level in (Level.PROBLEM, Level.WARNING)
        if (count := _count(found, level))
    ]
    click.echo(f"\n{' and '.join(bad)}." if bad else "\nAll is well.")


def _count(found: list[Finding], level: str) -> int:
    return sum(finding.level == level for finding in found)
