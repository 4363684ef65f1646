"""The tables. Times are seconds since the epoch; JSON is text; states are a type, a name and a message.

``event`` is the record; ``flow_run`` and ``task_run`` are what it adds up to, kept in the same transaction.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    make_url,
)
from sqlalchemy.schema import CreateIndex, CreateTable

#: The newest migration in ``store/migrations/versions``.
REVISION = "0002"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_ID = String(32)


def _state_columns() -> list[Column[str]]:
    return [Column("state_type", String(16)), Column("state_name", Text), Column("state_message", Text)]


def _time_columns() -> list[Column[float]]:
    return [Column("created", Double, nullable=False), Column("started", Double), Column("ended", Double)]


event = Table(
    "event",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("time", Double, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("flow_run_id", _ID),
    Column("task_run_id", _ID),
    Column("data", Text, nullable=False),
    Index(None, "flow_run_id"),
)

#: A run that waits for a worker is SCHEDULED and has no process; ``pool`` is None for one that `serve` executes.
#: ``lease`` is until when its process is believed to live without a sign, ``restarts`` how often it was begun anew.
#: Of the runs of one ``batch`` at most ``batch_limit`` are executed at a time.
flow_run = Table(
    "flow_run",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", _ID, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("flow", Text, nullable=False),
    Column("parent_id", _ID, index=True),
    Column("deployment_id", _ID),
    Column("version", Integer),
    Column("trigger", String(16), nullable=False),
    Column("parameters", Text, nullable=False),
    Column("tags", Text),
    Column("due", Double),
    *_state_columns(),
    *_time_columns(),
    Column("host", Text),
    Column("pid", Integer),
    Column("pid_started", Double),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("folder", Text),
    Column("pool", Text),
    Column("queue", Text),
    Column("lease", Double),
    Column("restarts", Integer, nullable=False, server_default="0"),
    Column("idempotency_key", Text),
    Column("batch", _ID, index=True),
    Column("batch_limit", Integer),
    Index(None, "state_type", "due"),
    Index(None, "deployment_id", "state_type"),
    Index(None, "pool", "state_type"),
    Index(None, "deployment_id", "idempotency_key", unique=True),
    Index(None, "deployment_id", "number"),
    Index(None, "flow", "number"),
    Index(None, "name"),
    Index(None, "created"),
)

#: ``process`` is that of a task run outside of any flow run; the others have their flow run's.
task_run = Table(
    "task_run",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("flow_run_id", _ID, index=True),
    Column("process", Text),
    Column("name", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("cell", Text),
    Column("map_index", Integer),
    Column("upstream", Text),
    Column("tags", Text),
    *_state_columns(),
    Column("attempts", Integer, nullable=False, server_default="0"),
    *_time_columns(),
    sqlite_with_rowid=False,
)
#: Task runs outside of any flow run, for whoever looks for those that have not ended. Only SQLite is told that the rest
#: is of no interest: telling PostgreSQL as well would have SQLAlchemy import its dialect wherever this module is.
Index(
    "ix_task_run_flowless",
    task_run.c.ended,
    sqlite_where=task_run.c.flow_run_id.is_(None),
)

#: A small result stands in ``content``, a larger one in ``file``, a path below the home folder or an absolute one.
#: ``flow_run_id`` is that of a result which only its own flow run can reuse, and which goes with it.
result = Table(
    "result",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("content", LargeBinary),
    Column("file", Text),
    Column("size", BigInteger, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("serializer", Text, nullable=False),
    Column("task_key", Text),
    Column("seconds", Double),
    Column("created", Double, nullable=False),
    Column("expires", Double),
    Column("flow_run_id", _ID, index=True),
)
Index(
    "ix_result_expires",
    result.c.expires,
    sqlite_where=result.c.expires.is_not(None),
)

#: How often the results of each task were reused (``hits``), how often not, and the seconds that reuse saved.
cache_use = Table(
    "cache_use",
    metadata,
    Column("task_key", Text, primary_key=True),
    Column("hits", Integer, nullable=False),
    Column("misses", Integer, nullable=False),
    Column("seconds_saved", Double, nullable=False),
    sqlite_with_rowid=False,
)

#: ``taken`` slots were taken by rate limits at ``taken_at``, and come back at ``decay`` slots per second.
concurrency_limit = Table(
    "concurrency_limit",
    metadata,
    Column("name", Text, primary_key=True),
    Column("slots", Integer, nullable=False),
    Column("decay", Double, nullable=False, server_default="0"),
    Column("active", Boolean, nullable=False, server_default="1"),
    Column("taken", Double, nullable=False, server_default="0"),
    Column("taken_at", Double, nullable=False, server_default="0"),
    Column("created", Double, nullable=False),
)

#: Slots that a process holds; or with ``waiting`` the queue of a process, and how many slots its first one needs. The
#: rows of one lease have the same id, one for each limit.
concurrency_lease = Table(
    "concurrency_lease",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", Text, ForeignKey("concurrency_limit.name", ondelete="CASCADE"), primary_key=True, index=True),
    Column("slots", Integer, nullable=False),
    Column("waiting", Boolean, nullable=False, server_default="0"),
    Column("run_id", _ID),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("pid_started", Double, nullable=False),
    Column("created", Double, nullable=False),
    Column("expires", Double, nullable=False),
)

artifact = Table(
    "artifact",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("key", Text, index=True),
    Column("type", String(16), nullable=False),
    Column("description", Text),
    Column("data", Text, nullable=False),
    Column("flow_run_id", _ID, index=True),
    Column("task_run_id", _ID),
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
)

#: What somebody asks of a run that another process executes: ``cancel``, or ``resume`` with its input.
run_request = Table(
    "run_request",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("flow_run_id", _ID, nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("data", Text, nullable=False),
    Column("created", Double, nullable=False),
)

#: Everything but ``paused`` follows from the manifest of its newest version, and stands here for those who make and
#: claim runs. ``collision`` says what becomes of a run that would be one too many, see `flowbook.core.deploying`.
deployment = Table(
    "deployment",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", Text, nullable=False),
    Column("flow", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("paused", Boolean, nullable=False, server_default="0"),
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
    Column("description", Text),
    Column("tags", Text),
    Column("parameters", Text, nullable=False, server_default="{}"),
    Column("pool", Text, server_default="default"),
    Column("queue", Text),
    Column("concurrency_limit", Integer),
    Column("collision", String(16), nullable=False, server_default="ENQUEUE"),
    Column("retries", Integer, nullable=False, server_default="0"),
    Column("retry_delay", Double, nullable=False, server_default="0"),
    UniqueConstraint("flow", "name"),
)

deployment_version = Table(
    "deployment_version",
    metadata,
    Column("deployment_id", _ID, ForeignKey("deployment.id", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("created", Double, nullable=False),
    Column("manifest", Text, nullable=False),
)

#: What a version runs: a notebook without outputs, a Python file, a pickled flow. By its SHA-256, so it cannot change.
snapshot = Table(
    "snapshot",
    metadata,
    Column("sha", String(64), primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("created", Double, nullable=False),
)

#: ``next_due`` is the next fire that nobody has dealt with, computed at ``as_of`` by the clock on the wall; None while
#: the schedule is not in force, or has come to its end.
schedule = Table(
    "schedule",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("deployment_id", _ID, ForeignKey("deployment.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("slug", Text),
    Column("spec", Text, nullable=False),
    Column("active", Boolean, nullable=False, server_default="1"),
    Column("since", Double, nullable=False),
    Column("next_due", Double, index=True),
    Column("as_of", Double, index=True),
)

#: What became of a fire: ``run``, ``missed`` or ``skipped``. Fires in a row that were missed are one row, from
#: ``fire_time`` to ``until``.
fire = Table(
    "fire",
    metadata,
    Column("schedule_id", _ID, primary_key=True),
    Column("fire_time", Double, primary_key=True),
    Column("deployment_id", _ID, nullable=False, index=True),
    Column("flow_run_id", _ID),
    Column("outcome", String(16), nullable=False),
    Column("until", Double),
    UniqueConstraint("deployment_id", "schedule_id", "fire_time"),
)

#: ``settings`` is what its worker type knows: environment, folder, memory.
work_pool = Table(
    "work_pool",
    metadata,
    Column("name", Text, primary_key=True),
    Column("type", Text, nullable=False),
    Column("description", Text),
    Column("paused", Boolean, nullable=False, server_default="0"),
    Column("concurrency_limit", Integer),
    Column("settings", Text, nullable=False, server_default="{}"),
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
)

#: Runs of a queue with a lower ``priority`` are claimed first.
work_queue = Table(
    "work_queue",
    metadata,
    Column("pool", Text, ForeignKey("work_pool.name", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("priority", Integer, nullable=False, server_default="1"),
    Column("concurrency_limit", Integer),
    Column("paused", Boolean, nullable=False, server_default="0"),
    Column("created", Double, nullable=False),
)

worker = Table(
    "worker",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("pid_started", Double, nullable=False),
    Column("started", Double, nullable=False),
    Column("heartbeat", Double, nullable=False),
    Column("name", Text),
    Column("pool", Text),
    Column("queues", Text),
    Column("slots", Integer),
    Column("busy", Integer, nullable=False, server_default="0"),
)


@cache
def definitions(backend: str) -> tuple[str, ...]:
    """The statements that make those tables that are missing, on SQLite or PostgreSQL.

    To compile them takes longer than to execute them, and a process that tests flows makes many databases.
    """
    dialect = make_url(f"{backend}://").get_dialect()()
    made: list[CreateTable | CreateIndex] = []
    for table in metadata.sorted_tables:
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        made += [CreateTable(table, if_not_exists=True), *(CreateIndex(each, if_not_exists=True) for each in indexes)]
    return tuple(str(each.compile(dialect=dialect)) for each in made)
