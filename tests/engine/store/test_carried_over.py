"""A database of the first schema is brought up to date with all that is in it, and its schedules go on firing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, insert, inspect, select
from tests.deployed import HOUR, MIDNIGHT, fires, process, runs

from flowbook.schedule.fires import make_due_runs
from flowbook.settings import current_settings
from flowbook.store.claiming import Claimant, claim_due
from flowbook.store.database import Database
from flowbook.store.deployments import all_deployments, manifest_of, schedules_of, versions_of
from flowbook.store.migrate import upgrade
from flowbook.store.schema import metadata

SPEC = json.dumps({"cron": "0 * * * *"})
FIRST = {"parameters": {"n": 1}, "snapshot": "a", "schedules": [json.loads(SPEC)]}
SECOND = {**FIRST, "parameters": {"n": 2, "days": [1, "🙂"]}}
TIMES = {"created": MIDNIGHT, "updated": MIDNIGHT}

ROWS: dict[str, list[dict[str, Any]]] = {
    "deployment": [
        {"id": "d1", "name": "report", "flow": "report", "version": 2, "paused": False, **TIMES},
        {"id": "d2", "name": "paused", "flow": "report", "version": 1, "paused": True, **TIMES},
    ],
    "deployment_version": [
        {"deployment_id": "d1", "version": 1, "created": MIDNIGHT, "manifest": json.dumps(FIRST)},
        {"deployment_id": "d1", "version": 2, "created": MIDNIGHT, "manifest": json.dumps(SECOND)},
        {"deployment_id": "d2", "version": 1, "created": MIDNIGHT, "manifest": json.dumps(FIRST)},
    ],
    "schedule": [
        {"id": "s1", "deployment_id": "d1", "slug": "hourly", "spec": SPEC, "active": True, "since": MIDNIGHT},
        {"id": "s2", "deployment_id": "d1", "slug": None, "spec": SPEC, "active": False, "since": MIDNIGHT},
        {"id": "s3", "deployment_id": "d2", "slug": None, "spec": SPEC, "active": True, "since": MIDNIGHT},
    ],
    "fire": [
        {
            "schedule_id": "s1",
            "fire_time": MIDNIGHT + hour * HOUR,
            "deployment_id": "d1",
            "flow_run_id": "r1" if hour == 2 else None,
            "outcome": "run" if hour == 2 else "missed",
        }
        for hour in (1, 2)
    ],
    "flow_run": [
        {
            "id": run_id,
            "name": run_id,
            "flow": "report",
            "deployment_id": deployment_id,
            "version": 2 if deployment_id else None,
            "trigger": "schedule",
            "parameters": '{"n": 2}',
            "due": MIDNIGHT + 2 * HOUR,
            "state_type": state.upper(),
            "state_name": state,
            "created": MIDNIGHT,
            "fence": 0,
        }
        for run_id, deployment_id, state in [
            ("r1", "d1", "Completed"),
            ("r2", "d1", "Scheduled"),
            ("r3", None, "Completed"),
        ]
    ],
    "concurrency_limit": [{"name": "db", "slots": 3, "created": MIDNIGHT}],
    "concurrency_lease": [
        {
            "id": "l1",
            "name": "db",
            "slots": 1,
            "waiting": False,
            "host": "elsewhere",
            "pid": 1,
            "pid_started": 1.0,
            "created": MIDNIGHT,
            "expires": MIDNIGHT + 60,
        }
    ],
}


class Unmigrated(Database):
    """A database that is opened as it is."""

    def _bring_up_to_date(self) -> None:
        pass


def some_row(table: Any) -> dict[str, Any]:
    """A row with something in every column."""
    made: dict[type, Any] = {str: "x", int: 7, float: 2.5, bool: True, bytes: b"\x00\xff"}
    return {column.name: made[column.type.python_type] for column in table.c}


def rows_of(database: Database, tables: MetaData) -> dict[str, list[dict[str, Any]]]:
    with database.read() as connection:
        return {
            table.name: sorted((dict(row._mapping) for row in connection.execute(select(table))), key=repr)
            for table in tables.sorted_tables
            if table.name != "alembic_version"
        }


@pytest.fixture
def before(empty_store_url: str) -> dict[str, list[dict[str, Any]]]:
    """All rows of a database of the first schema, with some in every table."""
    database = Unmigrated(current_settings().database_url)
    upgrade(database, None, target="0001")
    tables = MetaData()
    with database.write() as connection:
        tables.reflect(connection)
        for table in tables.sorted_tables:
            if table.name != "alembic_version":
                connection.execute(insert(table), ROWS.get(table.name) or [some_row(table)])
    found = rows_of(database, tables)
    database.close()
    return found


@pytest.fixture
def database(before: object) -> Any:
    found = Database(current_settings().database_url)
    yield found
    found.close()


def test_every_row_is_still_there(before: dict[str, list[dict[str, Any]]], database: Database) -> None:
    assert len(before) == 14
    assert all(before.values()), "there was something in every table"
    after = rows_of(database, metadata)
    for name, old in before.items():
        kept = [{column: row[column] for column in old[0]} for row in after[name]]  # others are new
        assert sorted(kept, key=repr) == old, name


def test_the_schema_is_that_of_the_code_and_foreign_keys_hold(database: Database) -> None:
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        keys = {
            (table, key["constrained_columns"][0], key["options"].get("ondelete"))
            for table in ("deployment_version", "schedule", "concurrency_lease", "work_queue")
            for key in inspect(connection).get_foreign_keys(table)
        }
        if connection.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
    assert keys == {
        ("deployment_version", "deployment_id", "CASCADE"),
        ("schedule", "deployment_id", "CASCADE"),
        ("concurrency_lease", "name", "CASCADE"),
        ("work_queue", "pool", "CASCADE"),
    }
    with database.write() as connection:
        connection.execute(metadata.tables["deployment"].delete())
    with database.read() as connection:
        for name in ("deployment_version", "schedule"):
            assert connection.execute(select(metadata.tables[name])).all() == [], name


def test_deployments_keep_their_parameters_versions_and_schedules(database: Database) -> None:
    paused, report = all_deployments(database)
    assert (report.name, report.version, report.parameters) == ("report", 2, {"n": 2, "days": [1, "🙂"]})
    assert (paused.name, paused.paused, paused.parameters) == ("paused", True, {"n": 1})
    assert (report.settings.pool, report.settings.concurrency_limit) == ("default", None)
    assert [number for number, _, _ in versions_of(database, "d1")] == [2, 1]
    assert manifest_of(database, "d1", 1) == FIRST
    assert sorted((each.id, each.active, each.next_due is not None) for each in schedules_of(database, "d1")) == [
        ("s1", True, True),
        ("s2", False, False),
    ]


def test_an_active_schedule_goes_on_where_it_was(database: Database) -> None:
    (run_id,) = make_due_runs(database, MIDNIGHT + 4.5 * HOUR)
    assert fires(database) == [
        (HOUR, "missed"),
        (2 * HOUR, "run"),
        (3 * HOUR, "missed"),
        (4 * HOUR, "run"),
    ]
    (made,) = [run for run in runs(database) if run.id == run_id]
    assert (made.version, made.parameters, made.pool) == (2, {"n": 2, "days": [1, "🙂"]}, "default")


def test_a_run_that_waited_is_executed_by_the_workers_of_the_default_pool(database: Database) -> None:
    (claimed,) = claim_due(database, Claimant(process=process(1), pool="default"), MIDNIGHT + 3 * HOUR, 10)
    assert (claimed.id, claimed.version, claimed.parameters) == ("r2", 2, {"n": 2})
