"""The magics and their options, as data."""

from __future__ import annotations

from flowbook.cells.grammar import Command, Option, names, one_of, pair, positive_count, positive_seconds
from flowbook.core.deploying import OVERLAPS
from flowbook.core.schedule_arguments import CATCHUPS

FLOW_SHOW = Command(name="%flow show", summary="Draw the graph of the tasks, without running it.")

FLOW_CHECK = Command(
    name="%flow check",
    summary="Say what in this notebook will go wrong when it runs unattended.",
    arguments=("FLOW",),
    example="%flow check",
)

FLOW_RUN = Command(
    name="%flow run",
    summary="Run the tasks that are stale and what follows from them, or a flow by its name.",
    arguments=("FLOW",),
    options=(
        Option(name="--all", help="run every task (of --only, if given), the fresh ones too"),
        Option(
            name="--only",
            metavar="SELECTION",
            read=names,
            help="of these tasks: t, t+ (and what follows from it), +t (and what it needs), +t+; a,b+ for several",
        ),
        Option(name="--from-failed", help="run what did not succeed in the last flow run, and what follows from it"),
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
        Option(name="--failed", help="only those that failed, crashed or were cancelled"),
        Option(name="--deployment", metavar="NAME", help="only those of one deployment"),
    ),
    example="%runs --failed",
)

RUNS_RETRY = Command(
    name="%runs retry",
    summary="Have a run of a deployment that failed begin anew, without what had completed.",
    arguments=("RUN",),
    example="%runs retry last",
)

RUNS_CANCEL = Command(
    name="%runs cancel",
    summary="Cancel a run, wherever it is executed.",
    arguments=("RUN",),
    example="%runs cancel 17",
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
        Option(name="--every", metavar="LENGTH", read=positive_seconds, help="run every 15m, 1h30m, 1d"),
        Option(name="--rrule", metavar="RULE", help='run by a recurrence rule, as in "FREQ=MONTHLY;BYMONTHDAY=-1"'),
        Option(name="--tz", metavar="ZONE", help="time zone of the schedule, as in Europe/Zurich (UTC)"),
        Option(
            name="--catchup",
            metavar="WHICH",
            read=one_of(*CATCHUPS),
            help="of missed times: one (the latest), all, skip",
        ),
        Option(
            name="--overlap",
            metavar="WHAT",
            read=one_of(*OVERLAPS),
            help="what becomes of a run that is due during another: queue, skip, cancel-previous",
        ),
        Option(
            name="--set",
            metavar="k=v",
            read=pair,
            repeat=True,
            keeps_placeholders=True,
            help="a parameter of its runs (may be repeated)",
        ),
        Option(name="--pool", metavar="POOL", help="the work pool whose workers execute it (default)"),
        Option(name="--dry-run", help="check everything and show what would be stored, and store nothing"),
        Option(name="--force", help="deploy it although `%flow check` finds that its runs will certainly fail"),
    ),
    example='%deploy --schedule "0 7 * * 1-5" --tz Europe/Zurich',
)

_NAME = Option(name="--name", metavar="NAME", help="which deployment, if this notebook is that of several")
_ONE = ("SCHEDULE",)

SCHEDULE_LIST = Command(
    name="%schedule list", summary="List the schedules of this notebook's deployments.", options=(_NAME,)
)

SCHEDULE_NEXT = Command(
    name="%schedule next",
    summary="Show when this notebook's deployments run next.",
    options=(
        _NAME,
        Option(name="--limit", metavar="N", read=positive_count, default=5, help="how many times (5)"),
    ),
    example="%schedule next --limit 10",
)

SCHEDULE_PAUSE = Command(
    name="%schedule pause",
    summary="Make no more runs by a schedule of this notebook's deployment, or by any, until it is resumed.",
    arguments=_ONE,
    options=(_NAME,),
    example="%schedule pause",
)

SCHEDULE_RESUME = Command(
    name="%schedule resume",
    summary="Make runs by a schedule of this notebook's deployment, or by all of them, again.",
    arguments=_ONE,
    options=(_NAME,),
    example="%schedule resume",
)

SCHEDULE_RM = Command(
    name="%schedule rm",
    summary="Take a schedule of this notebook's deployment away.",
    arguments=_ONE,
    options=(_NAME,),
    example="%schedule rm mornings",
)
