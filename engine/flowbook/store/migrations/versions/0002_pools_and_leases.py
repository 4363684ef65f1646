"""Work pools, leases of runs, settings of deployments, snapshots, due times of schedules."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ID = sa.String(length=32)


def upgrade() -> None:
    _make_tables()
    _add_columns()
    _change_indexes()
    with op.batch_alter_table("deployment") as deployment:  # two flows may have deployments of one name
        deployment.drop_constraint(op.f("uq_deployment_name"), type_="unique")
        deployment.create_unique_constraint(op.f("uq_deployment_flow_name"), ["flow", "name"])
    _carry_over()


def _make_tables() -> None:
    op.create_table(
        "snapshot",
        sa.Column("sha", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("sha", name=op.f("pk_snapshot")),
    )
    op.create_table(
        "work_pool",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("paused", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("concurrency_limit", sa.Integer(), nullable=True),
        sa.Column("settings", sa.Text(), server_default="{}", nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("updated", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_work_pool")),
    )
    op.create_table(
        "work_queue",
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), server_default="1", nullable=False),
        sa.Column("concurrency_limit", sa.Integer(), nullable=True),
        sa.Column("paused", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["pool"], ["work_pool.name"], name=op.f("fk_work_queue_pool"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("pool", "name", name=op.f("pk_work_queue")),
    )


def _add_columns() -> None:
    added: dict[str, list[sa.Column[Any]]] = {
        "flow_run": [
            sa.Column("pool", sa.Text()),
            sa.Column("queue", sa.Text()),
            sa.Column("lease", sa.Double()),
            sa.Column("restarts", sa.Integer(), server_default="0", nullable=False),
            sa.Column("idempotency_key", sa.Text()),
            sa.Column("batch", _ID),
            sa.Column("batch_limit", sa.Integer()),
        ],
        "result": [sa.Column("flow_run_id", _ID)],
        "deployment": [
            sa.Column("description", sa.Text()),
            sa.Column("tags", sa.Text()),
            sa.Column("parameters", sa.Text(), server_default="{}", nullable=False),
            sa.Column("pool", sa.Text(), server_default="default"),
            sa.Column("queue", sa.Text()),
            sa.Column("concurrency_limit", sa.Integer()),
            sa.Column("collision", sa.String(length=16), server_default="ENQUEUE", nullable=False),
            sa.Column("retries", sa.Integer(), server_default="0", nullable=False),
            sa.Column("retry_delay", sa.Double(), server_default="0", nullable=False),
        ],
        "schedule": [sa.Column("next_due", sa.Double()), sa.Column("as_of", sa.Double())],
        "fire": [sa.Column("until", sa.Double())],
        "worker": [
            sa.Column("name", sa.Text()),
            sa.Column("pool", sa.Text()),
            sa.Column("queues", sa.Text()),
            sa.Column("slots", sa.Integer()),
            sa.Column("busy", sa.Integer(), server_default="0", nullable=False),
        ],
    }
    for table, columns in added.items():
        for column in columns:
            op.add_column(table, column)


def _change_indexes() -> None:
    op.drop_index(op.f("ix_flow_run_deployment_id"), "flow_run")
    for table, columns, unique in (
        ("flow_run", ["parent_id"], False),
        ("flow_run", ["batch"], False),
        ("flow_run", ["deployment_id", "state_type"], False),
        ("flow_run", ["pool", "state_type"], False),
        ("flow_run", ["deployment_id", "idempotency_key"], True),
        ("flow_run", ["deployment_id", "number"], False),
        ("flow_run", ["flow", "number"], False),
        ("flow_run", ["name"], False),
        ("flow_run", ["created"], False),
        ("result", ["flow_run_id"], False),
        ("schedule", ["next_due"], False),
        ("schedule", ["as_of"], False),
    ):
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns, unique=unique)
    for name, table, column, condition in (
        ("ix_task_run_flowless", "task_run", "ended", sa.text("flow_run_id IS NULL")),
        ("ix_result_expires", "result", "expires", sa.text("expires IS NOT NULL")),
    ):
        op.create_index(name, table, [column], sqlite_where=condition)


def _carry_over() -> None:
    """What was promoted before there were pools is executed by workers of the pool ``default``, and stays scheduled."""
    op.execute("UPDATE flow_run SET pool = 'default' WHERE deployment_id IS NOT NULL")
    op.execute(
        "UPDATE schedule SET as_of = since, next_due = "
        "coalesce((SELECT max(fire_time) FROM fire WHERE fire.schedule_id = schedule.id), since) "
        "WHERE active AND deployment_id IN (SELECT id FROM deployment WHERE NOT paused)"
    )
    newest: sa.TextClause = sa.text(
        "SELECT deployment_id, manifest FROM deployment_version JOIN deployment "
        "ON deployment.id = deployment_id AND deployment.version = deployment_version.version"
    )
    connection = op.get_bind()
    for row in connection.execute(newest).fetchall():
        parameters = json.dumps(json.loads(row.manifest).get("parameters", {}))
        connection.execute(
            sa.text("UPDATE deployment SET parameters = :parameters WHERE id = :id"),
            {"parameters": parameters, "id": row.deployment_id},
        )
