"""The magics and their options, as data."""

from __future__ import annotations

from flowbook.cells.grammar import Command, Option, one_of, pair, positive_count

FLOW_SHOW = Command(name="%flow show", summary="Draw the graph of the tasks, without running it.")

FLOW_RUN = Command(
    name="%flow run",
    summary="Run the tasks that are stale and what follows from them, or a flow by its name.",
    arguments=("FLOW",),
    options=(
        Option(name="--all", help="run every task, the fresh ones too"),
        Option(name="--set", metavar="k=v", read=pair, repeat=True, help="a parameter of the flow (may be repeated)"),
        Option(name="--max-parallel", metavar="N", read=positive_count, help="so many tasks at the same time at most"),
    ),
    example="%flow run --all --max-parallel 4",
)

TASKS = Command(
    name="%tasks", summary="List the tasks of this notebook: state, what they read and write, why they are stale."
)

RUNS = Command(
    name="%runs",
    summary="List the last runs.",
    options=(
        Option(name="--limit", metavar="N", read=positive_count, default=10, help="how many (10)"),
        Option(name="--failed", help="only those that failed or crashed"),
        Option(name="--deployment", metavar="NAME", help="only those of one deployment"),
    ),
    example="%runs --failed",
)

LOGS = Command(
    name="%logs",
    summary="Show what a run logged.",
    arguments=("TASK",),
    options=(
        Option(
            name="--run", metavar="RUN", help="number, name or id of a run, `last` or `prev`; else the last one here"
        ),
        Option(
            name="--level",
            metavar="LEVEL",
            read=lambda text: one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")(text.upper()),
            default="DEBUG",
            help="the least level to show",
        ),
    ),
    example="%logs load --level WARNING",
)

DEPLOY = Command(
    name="%deploy",
    summary="Promote this notebook to a deployment, with a schedule if one is given.",
    arguments=("FLOW",),
    options=(
        Option(name="--name", metavar="NAME", help="name of the deployment (that of the flow or file)"),
        Option(name="--schedule", metavar="CRON", help='when to run, as in "0 7 * * 1-5"'),
        Option(name="--tz", metavar="ZONE", help="time zone of the schedule, as in Europe/Zurich (UTC)"),
        Option(name="--set", metavar="k=v", read=pair, repeat=True, help="a parameter of its runs (may be repeated)"),
    ),
    example='%deploy --schedule "0 7 * * 1-5" --tz Europe/Zurich',
)
