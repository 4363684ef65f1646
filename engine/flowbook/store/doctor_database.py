"""Checks of the database. None of them writes."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from flowbook.core.sizes import size_text
from flowbook.store.checkpoint import FIXED_IN
from flowbook.store.doctor_home import may
from flowbook.store.failures import reason_of
from flowbook.store.findings import Finding, Subject, fine, problem, warning
from flowbook.store.looking import looking_at
from flowbook.store.processes import Process, is_gone
from flowbook.store.sqlite_file import OLDEST
from flowbook.store.urls import parse_url, shown, sqlite_file

if TYPE_CHECKING:
    from sqlalchemy import URL

_SMALL = 256 << 20  # bytes of a database whose indexes are checked too, which takes time
_LONG_LOG = 64 << 20  # bytes
_SHOWN = 3  # names of runs or files that stand in a sentence
_RESTORE = (
    "Put a backup in its place (`flowbook backup --help` says how), "
    "or move the file away to begin with an empty history."
)


def check_sqlite(subject: Subject) -> Finding | None:
    """The library is recent enough."""
    title, version = "SQLite", sqlite3.sqlite_version
    if parse_url(subject.database_url).get_backend_name() != "sqlite":
        return None
    if sqlite3.sqlite_version_info < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return problem(title, f"It is version {version}; flowbook needs {oldest}.", "Use a newer Python.")
    if sqlite3.sqlite_version_info < FIXED_IN:
        return fine(title, f"It is version {version}, older than 3.51.3, so one process at a time makes checkpoints.")
    return fine(title, f"It is version {version}.")


def check_schema(subject: Subject) -> Finding:
    """The database can be opened, and its tables are those of this flowbook."""
    title, url = "Database", parse_url(subject.database_url)
    file = sqlite_file(url)
    if file is not None and file.is_dir():
        return problem(title, f"{file} is a folder.", "Move it away, or set FLOWBOOK_HOME to another folder.")
    try:
        if _is_new(url):
            return fine(title, f"There is none yet; {shown(url)} is made when something runs.")
        revision = _revision(url)
    except Exception as error:
        advice = "Check its server and FLOWBOOK_DATABASE_URL." if file is None else _RESTORE
        return problem(title, f"{shown(url)} cannot be opened: {reason_of(error)}.", advice)
    if file is not None and not may(file, os.W_OK):
        return problem(title, f"{shown(url)} cannot be written to.", f"Run `chmod u+w {file}` as its owner.")
    from flowbook.store.schema import REVISION

    if revision == REVISION:
        return fine(title, f"{shown(url)} can be opened; its schema is {revision}.")
    if revision is None:
        return problem(
            title,
            f"{shown(url)} has tables, and none of flowbook's.",
            "Set FLOWBOOK_HOME or FLOWBOOK_DATABASE_URL to a database of its own for flowbook.",
        )
    if _is_known(revision):
        return fine(title, f"{shown(url)} has the older schema {revision}; it is upgraded when something runs.")
    return problem(title, f"{shown(url)} was written by a newer flowbook (schema {revision}).", "Upgrade flowbook.")


def check_integrity(subject: Subject) -> Finding | None:
    """SQLite finds no damage in the file."""
    title, url = "Integrity", parse_url(subject.database_url)
    file = sqlite_file(url)
    if file is None or not file.is_file():
        return None
    pragma = "integrity_check" if file.stat().st_size <= _SMALL else "quick_check"
    # Twice before it is called damaged: a process that opened the file meanwhile may have changed what was read.
    damage = _damage(url, pragma) and _damage(url, pragma)
    if damage is None:
        return fine(title, f"SQLite's {pragma} finds no damage.")
    return problem(title, f"{file} is damaged: {damage}.", _RESTORE)


def check_log(subject: Subject) -> Finding | None:
    """The write-ahead log is short."""
    title, file = "Write-ahead log", sqlite_file(parse_url(subject.database_url))
    if file is None:
        return None
    log = Path(f"{file}-wal")
    size = log.stat().st_size if log.is_file() else 0
    if size <= _LONG_LOG:
        return fine(title, f"It has {size_text(size)}." if size else "It is empty.")
    return warning(
        title,
        f"{log} has {size_text(size)}: somebody has been reading from the database for long.",
        "Close programs that have the database open; then it shrinks with the next runs.",
    )


def check_runs(subject: Subject) -> Finding | None:
    """No run is unfinished whose process has gone."""
    title, url = "Unfinished runs", parse_url(subject.database_url)
    if not _has_table(url, "flow_run"):
        return None
    from sqlalchemy import select

    from flowbook.store.schema import flow_run

    columns = (flow_run.c.number, flow_run.c.flow, flow_run.c.host, flow_run.c.pid, flow_run.c.pid_started)
    query = select(*columns).where(flow_run.c.ended.is_(None), flow_run.c.pid.is_not(None))
    with looking_at(url) as connection:
        rows = list(connection.execute(query.order_by(flow_run.c.number)))
    processes = [Process(host=row.host or "", pid=row.pid, started=row.pid_started or 0.0) for row in rows]
    gone = [f"{row.number} ({row.flow})" for row, process in zip(rows, processes, strict=True) if is_gone(process)]
    if not gone:
        return fine(title, f"{len(rows)}, each with a process that lives." if rows else "None.")
    return warning(
        title,
        f"{len(gone)} whose process has gone: {_some(gone)}.",
        "Run `flowbook runs ls`: it marks them as Crashed.",
    )


def check_results(subject: Subject) -> Finding | None:
    """Each result that the database knows has its file."""
    title, url = "Result files", parse_url(subject.database_url)
    if not _has_table(url, "result"):
        return None
    from sqlalchemy import select

    from flowbook.store.schema import result

    with looking_at(url) as connection:
        files = list(connection.scalars(select(result.c.file).where(result.c.file.is_not(None))))
    missing = [file for file in files if not (subject.home / file).is_file()]
    if not missing:
        return fine(title, f"All {len(files)} are there." if files else "None yet.")
    return warning(
        title,
        f"{len(missing)} of {len(files)} missing: {_some(missing)}.",
        "Put them back from a backup; else their tasks run again when their result is needed.",
    )


def _is_new(url: URL) -> bool:
    """Whether nothing was ever kept there."""
    from sqlalchemy import inspect

    file = sqlite_file(url)
    if file is not None and (not file.exists() or (file.is_file() and file.stat().st_size == 0)):
        return True
    with looking_at(url) as connection:
        return not inspect(connection).get_table_names()


def _has_table(url: URL, name: str) -> bool:
    from sqlalchemy import inspect
    from sqlalchemy.exc import DBAPIError

    try:
        with looking_at(url) as connection:
            return inspect(connection).has_table(name)
    except DBAPIError:  # which is another check's finding
        return False


def _revision(url: URL) -> str | None:
    from sqlalchemy import inspect, text

    with looking_at(url) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return str(connection.scalar(text("SELECT version_num FROM alembic_version")))


def _is_known(revision: str) -> bool:
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    from flowbook.store.migrate import alembic_config

    try:
        return ScriptDirectory.from_config(alembic_config()).get_revision(revision) is not None
    except CommandError:
        return False


def _damage(url: URL, pragma: str) -> str | None:
    from sqlalchemy.exc import DBAPIError

    try:
        with looking_at(url) as connection:
            said = list(connection.exec_driver_sql(f"PRAGMA {pragma}(1)").scalars())
    except DBAPIError as error:
        return reason_of(error)
    return None if said == ["ok"] else " ".join(str(said[0]).split()).rstrip(".")


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
