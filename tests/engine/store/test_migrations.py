"""The schema: a new database, a migrated one and the code say the same; a newer one is refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from tests.sql import sql

from flowbook import task
from flowbook.engine import close_engines
from flowbook.errors import StoreError
from flowbook.store.database import Database
from flowbook.store.migrate import alembic_config, upgrade
from flowbook.store.schema import REVISION, metadata


@task
def one() -> int:
    return 1


def schema_of(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version' ORDER BY name"
        return [(name, " ".join(sql.split())) for name, sql in connection.execute(query)]


class Unmigrated(Database):
    """A database that is opened as it is."""

    def _bring_up_to_date(self) -> None:
        pass


def migrated(url: str) -> None:
    database = Unmigrated(url)
    upgrade(database, None)
    database.close()


def test_the_migrations_make_exactly_the_tables_of_the_code(empty_store_url: str) -> None:
    migrated(empty_store_url)
    database = Database(empty_store_url)
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    database.close()


def test_a_new_database_is_the_same_as_a_migrated_one(tmp_path: Path) -> None:
    migrated(f"sqlite:///{tmp_path / 'migrated.db'}")
    Database(f"sqlite:///{tmp_path / 'new.db'}").close()
    new = dict(schema_of(tmp_path / "new.db"))
    old = dict(schema_of(tmp_path / "migrated.db"))
    assert set(new) == set(old)
    assert {"event", "flow_run", "task_run", "result"} <= set(new)
    assert "WITHOUT ROWID" in new["task_run"]
    assert "WITHOUT ROWID" in old["task_run"]


def test_the_newest_migration_is_the_revision_of_the_code() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [REVISION]


def test_opening_an_up_to_date_database_changes_nothing(home: Path) -> None:
    one()
    before = schema_of(home / "flowbook.db")
    close_engines()
    one()
    assert schema_of(home / "flowbook.db") == before
    with closing(sqlite3.connect(home / "flowbook.db")) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(REVISION,)]
        assert connection.execute("SELECT count(*) FROM task_run").fetchone() == (2,)


@pytest.mark.usefixtures("empty_store_url")
def test_a_database_of_a_newer_program_is_refused_and_left_alone() -> None:
    one()
    close_engines()
    sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(
        StoreError, match=r"was written by a newer flowbook \(schema 9999\)\. Upgrade flowbook, or point FLOWBOOK_HOME"
    ):
        one()
    assert sql("SELECT count(*) FROM task_run") == [(1,)]


def test_a_password_is_not_in_the_message(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r".") as raised:
        Database("sqlite:////proc/nowhere/flowbook.db?password=hunter2")
    assert isinstance(raised.value, StoreError)
    assert "hunter2" not in str(raised.value)
