"""Upgrades keep the data: one that is killed half-way leaves the old database, and the next start completes it."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from flowbook import flow
from flowbook.engine import close_engines, engine
from flowbook.runs import recent_runs
from flowbook.store import migrate
from flowbook.store.schema import REVISION

pytestmark = pytest.mark.slow

MIGRATION = f"""
import os, sys, time
import sqlalchemy as sa
from alembic import op

revision = "later"
down_revision = {REVISION!r}

def upgrade():
    op.create_table("later", sa.Column("id", sa.Integer, primary_key=True))
    op.add_column("event", sa.Column("later", sa.Text))
    op.execute("UPDATE event SET later = kind")
    with op.batch_alter_table("deployment", recreate="always") as batch:
        batch.add_column(sa.Column("later", sa.Text))
    if "--stop" in sys.argv:
        print("inside", flush=True)
        time.sleep(600)
"""

LATER_PROGRAM = """
import sys
from alembic.config import Config
from flowbook.runs import recent_runs
from flowbook.store import migrate, schema

def config():
    config = Config()
    config.set_main_option("script_location", sys.argv[1])
    return config

migrate.alembic_config, schema.REVISION = config, "later"
print(*sorted(run.parameters["n"] for run in recent_runs()), flush=True)
"""


@flow
def pipeline(n: int) -> int:
    return n


@pytest.fixture
def path(home: Path) -> Path:
    """A database of this program, with three runs and a deployment that has a version and a schedule."""
    for n in range(3):
        pipeline(n)
    with engine().database.write() as connection:
        for statement in (
            "INSERT INTO deployment (id, name, flow, version, created, updated) VALUES ('d', 'd', 'pipeline', 1, 0, 0)",
            "INSERT INTO deployment_version (deployment_id, version, created, manifest) VALUES ('d', 1, 0, '{}')",
            "INSERT INTO schedule (id, deployment_id, spec, since) VALUES ('s', 'd', '{}', 0)",
        ):
            connection.exec_driver_sql(statement)
    close_engines()
    return home / "flowbook.db"


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """The migrations of a later program: those of this one, and another one."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    source = Path(migrate.__file__).parent / "migrations"
    for script in source.rglob("*.py"):
        (folder / script.relative_to(source)).write_text(script.read_text())
    (folder / "versions" / "later.py").write_text(MIGRATION)
    return folder


def later_program(scripts: Path, *options: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", LATER_PROGRAM, str(scripts), *options]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def schema(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        return [
            sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
        ]


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_a_migration_that_is_killed_changes_nothing_and_the_next_start_completes_it(path: Path, scripts: Path) -> None:
    before = schema(path)
    victim = later_program(scripts, "--stop")
    assert victim.stdout is not None
    assert victim.stdout.readline() == "inside\n"
    victim.send_signal(signal.SIGKILL)
    victim.communicate()

    assert schema(path) == before
    assert rows(path, "SELECT version_num FROM alembic_version") == [(REVISION,)]
    pipeline(3)
    assert len(recent_runs()) == 4
    close_engines()

    said, wrong = later_program(scripts).communicate(timeout=60)
    assert (said, wrong) == ("0 1 2 3\n", "")
    assert rows(path, "SELECT version_num FROM alembic_version") == [("later",)]
    assert any("CREATE TABLE later" in sql for sql in schema(path))
    assert rows(path, "SELECT count(*) FROM event WHERE later IS NULL") == [(0,)]


def test_rows_that_refer_to_a_table_that_is_rebuilt_stay(path: Path, scripts: Path) -> None:
    _, wrong = later_program(scripts).communicate(timeout=60)
    assert wrong == ""
    for table in ("deployment", "deployment_version", "schedule"):
        assert rows(path, f"SELECT count(*) FROM {table}") == [(1,)], table


def test_processes_that_upgrade_at_the_same_time_all_succeed(path: Path, scripts: Path) -> None:
    programs = [later_program(scripts) for _ in range(4)]
    assert [program.communicate(timeout=100) for program in programs] == [("0 1 2\n", "")] * 4
    assert rows(path, "SELECT version_num FROM alembic_version") == [("later",)]
