"""Examining a home folder and its database. Nothing is written, and what cannot be opened is a finding."""

from __future__ import annotations

from collections.abc import Sequence

from flowbook.errors import FlowbookError
from flowbook.store import doctor_database, doctor_folders, doctor_home
from flowbook.store.failures import reason_of
from flowbook.store.findings import Check, Finding, Level, Subject, problem

#: In the order in which they are shown.
CHECKS: tuple[Check, ...] = (
    doctor_home.check_home,
    doctor_home.check_private_files,
    doctor_home.check_file_system,
    doctor_home.check_free_space,
    doctor_home.check_key,
    doctor_home.check_temporary_files,
    doctor_database.check_sqlite,
    doctor_database.check_schema,
    doctor_database.check_integrity,
    doctor_database.check_log,
    doctor_database.check_runs,
    doctor_database.check_results,
    doctor_folders.check_run_folders,
)


def examine(subject: Subject, checks: Sequence[Check] = CHECKS) -> list[Finding]:
    """What each check finds. One that raises has found a problem; several that raise the same are told as one."""
    found: list[Finding] = []
    for check in checks:
        finding = _done(check, subject)
        if finding is None or (finding.level == Level.PROBLEM and finding.found in (other.found for other in found)):
            continue
        found.append(finding)
    return found


def _done(check: Check, subject: Subject) -> Finding | None:
    title = check.__name__.removeprefix("check_").replace("_", " ").capitalize()
    try:
        return check(subject)
    except FlowbookError as error:  # which says what to do
        return Finding(title=title, level=Level.PROBLEM, found=str(error))
    except Exception as error:
        return problem(title, f"It could not be checked: {reason_of(error)}.", "See to the other problems first.")
