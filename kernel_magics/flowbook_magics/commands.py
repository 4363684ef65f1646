"""The magics and their options, as data."""

from __future__ import annotations

from flowbook.cells.cell_lines import FLOW_CELL, TASK
from flowbook.cells.grammar import Argument, Command, Kind, Option, pair, positive_count, positive_seconds
from flowbook.core.deploying import CATCHUPS, OVERLAPS
from flowbook.core.durations import seconds

FLOW_SHOW = Command(name="%flow show", summary="Draw the graph of the tasks, without running it.")

FLOW_CHECK = Command(
    name="%flow check",
    summary="Say what in this notebook will go wrong when it runs unattended.",
    arguments=(Argument(name="FLOW", choices=Kind.FLOW),),
    example="%flow check",
)

FLOW_RUN = Command(
    name="%flow run",
    summary="Run the tasks that are stale and what follows from them, or a flow by its name.",
    arguments=(Argument(name="FLOW", choices=Kind.FLOW),),
    options=(
        Option(name="--all", help="run every task (of --only, if given), the fresh ones too"),
        Option(
            name="--only",
            metavar="SELECTION",
            choices=Kind.TASK,
            listed=True,
            help="of these tasks: t, t+ (and what follows from it), +t (and what it needs), +t+; a,b+ for several",
        ),
        Option(name="--from-failed", help="run what did not succeed in the last flow run, and what follows from it"),
        Option(name="--set", metavar="k=v", read=pair, repeat=True, help="a parameter of the flow (may be repeated)"),
        Option(name="--max-parallel", metavar="N", read=positive_count, help="so many tasks at the same time at most"),
        Option(name="--background", help="return at once: the kernel executes other cells while the flow runs"),
    ),
    example="%flow run --all --max-parallel 4",
)

FLOW_CANCEL = Command(
    name="%flow cancel", summary="Cancel the flow run that goes on in the background of this notebook."
)

FLOW_DEBUG = Command(
    name="%flow debug",
    summary="Show why a task of a run, by default the last, failed, and bind what it was given in this notebook.",
    arguments=(Argument(name="RUN", choices=Kind.RUN), Argument(name="TASK", choices=Kind.TASK)),
    example="%flow debug last validate",
)

FLOW_EXPORT = Command(
    name="%flow export",
    summary="Write this notebook, or what one of its flows needs, as a Python module.",
    arguments=(Argument(name="FILE"), Argument(name="FLOW", choices=Kind.FLOW)),
    options=(Option(name="--force", help="write over a file that %flow export has not written"),),
    example="%flow export report.py",
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
        Option(name="--deployment", metavar="NAME", choices=Kind.DEPLOYMENT, help="only those of one deployment"),
    ),
    example="%runs --failed",
)

_RUN = Argument(name="RUN", choices=Kind.RUN)

RUNS_SHOW = Command(
    name="%runs show",
    summary="Show one run: its graph, and if it failed why and where.",
    arguments=(_RUN,),
    example="%runs show last",
)

RUNS_OPEN = Command(
    name="%runs open",
    summary="Show a link to the executed notebook of a run, with what each cell put out.",
    arguments=(_RUN,),
    example="%runs open last",
)

RUNS_DIFF = Command(
    name="%runs diff",
    summary="Compare two runs that have ended: parameters, tasks, and of notebooks the code and outputs of each cell.",
    arguments=(Argument(name="A", choices=Kind.RUN), Argument(name="B", choices=Kind.RUN)),
    example="%runs diff prev last",
)

RUNS_RETRY = Command(
    name="%runs retry",
    summary="Have a run of a deployment that failed begin anew, without what had completed.",
    arguments=(_RUN,),
    example="%runs retry last",
)

RUNS_CANCEL = Command(
    name="%runs cancel",
    summary="Cancel a run, wherever it is executed.",
    arguments=(_RUN,),
    example="%runs cancel 17",
)

LOGS = Command(
    name="%logs",
    summary="Show what a run logged.",
    arguments=(Argument(name="TASK", choices=Kind.TASK),),
    options=(
        Option(
            name="--run",
            metavar="RUN",
            choices=Kind.RUN,
            help="number, name or id of a run, `last` or `prev`; else the last one here",
        ),
        Option(
            name="--level",
            choices=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
            read=str.upper,
            default="DEBUG",
            help="the least level to show",
        ),
        Option(name="--follow", help="go on until the run has ended; an interrupt ends this, and not the run"),
    ),
    example="%logs load --level WARNING",
)

DEPLOY = Command(
    name="%deploy",
    summary="Promote this notebook to a deployment, with a schedule if one is given.",
    arguments=(Argument(name="FLOW", choices=Kind.FLOW),),
    options=(
        Option(
            name="--name",
            metavar="NAME",
            choices=Kind.OWN_DEPLOYMENT,
            help="name of the deployment (that of the flow or file)",
        ),
        Option(name="--schedule", metavar="CRON", help='when to run, as in "0 7 * * 1-5"'),
        Option(name="--every", metavar="LENGTH", read=positive_seconds, help="run every 15m, 1h30m, 1d"),
        Option(name="--rrule", metavar="RULE", help='run by a recurrence rule, as in "FREQ=MONTHLY;BYMONTHDAY=-1"'),
        Option(
            name="--tz",
            metavar="ZONE",
            choices=Kind.TIME_ZONE,
            help="time zone of the schedule, as in Europe/Zurich (UTC)",
        ),
        Option(
            name="--catchup",
            choices=CATCHUPS,
            help="which of the times that were missed to make up for; one is the latest",
        ),
        Option(
            name="--overlap",
            choices=tuple(OVERLAPS),
            help="what becomes of a run that is due during another",
        ),
        Option(
            name="--set",
            metavar="k=v",
            read=pair,
            repeat=True,
            keeps_placeholders=True,
            help="a parameter of its runs (may be repeated)",
        ),
        Option(
            name="--pool",
            metavar="POOL",
            choices=Kind.POOL,
            help="the work pool whose workers execute it (default)",
        ),
        Option(
            name="--timeout",
            metavar="2h",
            read=seconds,
            help="end a run that takes longer (0: let it take any time)",
        ),
        Option(
            name="--cell-timeout",
            metavar="10m",
            read=seconds,
            help="the same for each plain cell; task cells have their own",
        ),
        Option(name="--lock", help="keep a full lock of this environment, as its next versions will too"),
        Option(name="--no-lock", help="keep no lock any more"),
        Option(
            name="--data",
            metavar="FILE",
            repeat=True,
            help="a file that its runs need, seen from the notebook's folder (may be repeated)",
        ),
        Option(name="--no-data", help="its runs need none of the files that were declared before"),
        Option(name="--dry-run", help="check everything and show what would be stored, and store nothing"),
        Option(name="--force", help="deploy it although `%flow check` finds that its runs will certainly fail"),
    ),
    example='%deploy --schedule "0 7 * * 1-5" --tz Europe/Zurich',
)

_NAME = Option(
    name="--name",
    metavar="NAME",
    choices=Kind.OWN_DEPLOYMENT,
    help="which deployment, if this notebook is that of several",
)
_ONE = (Argument(name="SCHEDULE", choices=Kind.SCHEDULE),)

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

#: All of them, in the order in which they are shown.
ALL = (
    TASK,
    FLOW_SHOW,
    FLOW_CHECK,
    FLOW_RUN,
    FLOW_CANCEL,
    FLOW_DEBUG,
    FLOW_EXPORT,
    FLOW_CELL,
    TASKS,
    RUNS,
    RUNS_SHOW,
    RUNS_OPEN,
    RUNS_DIFF,
    RUNS_RETRY,
    RUNS_CANCEL,
    LOGS,
    DEPLOY,
    SCHEDULE_LIST,
    SCHEDULE_NEXT,
    SCHEDULE_PAUSE,
    SCHEDULE_RESUME,
    SCHEDULE_RM,
)


def of(magic: str) -> tuple[Command, ...]:
    """What may stand on the line of a magic, such as ``%flow``: itself, its verbs, or both."""
    return tuple(each for each in ALL if each.magic == magic)
