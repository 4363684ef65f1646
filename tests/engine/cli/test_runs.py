"""``flowbook runs``: which runs are listed, and what it costs; retrying, watching and deleting them."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text
from tests.deployed import statements

from flowbook import engine, flow, task
from flowbook.cli.root import root
from flowbook.core.events import Event, state_to_json
from flowbook.core.states import State, StateType, cancelled, completed, crashed, failed, late, running, scheduled
from flowbook.errors import UsageError
from flowbook.promote import promote, request_run
from flowbook.runs import find_run, recent_runs, run_folder
from flowbook.store.processes import this_process


def cli(*args: str, **options: Any) -> Result:
    return CliRunner().invoke(root, ["runs", *args], prog_name="flowbook", **options)


def numbers(*args: str) -> list[int]:
    return [run["number"] for run in json.loads(cli("ls", "--output", "json", *args).output)]


STATES = (
    completed(),
    failed(ValueError("x")),
    crashed("gone"),
    cancelled(),
    scheduled(),
    late(),
    running(),
    running(2),
    State(type=StateType.FAILED, name="TimedOut"),
)


@pytest.fixture
def history() -> None:
    """A run in each state, an hour between them, the last one made just now."""
    process = this_process()
    here = {"host": process.host, "pid": process.pid, "pid_started": process.started}
    for number, state in enumerate(STATES, 1):
        made = time.time() - 3600 * (len(STATES) - number)
        run_id = f"{number:032x}"
        owner = {} if state.is_scheduled() else here
        facts = {"name": f"run-{number}", "flow": "even" if number % 2 == 0 else "odd", **owner}
        engine.engine().journal.append(Event(kind="flow-run", time=made, flow_run_id=run_id, data=facts))
        engine.engine().journal.append(Event(kind="state", time=made, flow_run_id=run_id, data=state_to_json(state)))
    engine.engine().journal.flush()


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), [9, 8, 7, 6, 5, 4, 3, 2, 1]),
        (("-n", "2"), [9, 8]),
        (("--failed",), [9, 4, 3, 2]),
        (("--state", "failed"), [9, 2]),
        (("--state", "TimedOut"), [9]),
        (("--state", "Completed"), [1]),
        (("--state", "succeeded"), [1]),
        (("--state", "late"), [6]),
        (("--state", "scheduled"), [6, 5]),
        (("--state", "RUNNING"), [8, 7]),
        (("--state", "retrying"), [8]),
        (("--flow", "even"), [8, 6, 4, 2]),
        (("--flow", "even", "--failed", "--limit", "1"), [4]),
        (("--flow", "eve"), []),
        (("--since", "90m"), [9, 8]),
        (("--since", "2h30m", "--flow", "odd"), [9, 7]),
        (("--since", "2020-01-01", "--state", "crashed"), [3]),
        (("--since", "2999-01-01"), []),
    ],
)
def test_which_runs_are_listed(options: tuple[str, ...], expected: list[int]) -> None:
    assert numbers(*options) == expected


@pytest.mark.usefixtures("history")
def test_an_empty_list_says_why() -> None:
    assert cli("ls", "--flow", "nothing").output == "No run matches.\n"
    assert cli("ls", "--flow", "evne").output == "No run matches. Did you mean 'even'?\n"
    assert cli("ls", "--flow", "even", "--since", "1m").output == "No run matches.\n"


def test_runs_of_a_deployment_are_listed_by_its_name_with_or_without_its_flow(make_notebook: Any) -> None:
    promote(make_notebook("report", "x = 1"))
    promote(make_notebook("other", "x = 1"))
    first = request_run("report")
    request_run("other")
    assert numbers("--deployment", "report") == numbers("--deployment", "report/report") == [first.number]


@pytest.mark.usefixtures("history")
def test_a_run_is_found_by_number_id_and_name() -> None:
    assert [find_run(said).number for said in ("3", 3, f"{3:032x}", "run-3", "last")] == [3, 3, 3, 3, 9]
    with pytest.raises(UsageError, match=r"There is no state 'faild'\. Did you mean 'Failed'"):
        recent_runs(state="faild")


QUERIES = {
    "all": lambda: recent_runs(20),
    "failed": lambda: recent_runs(20, failed=True),
    "in a state": lambda: recent_runs(20, state="late"),
    "of a flow": lambda: recent_runs(20, flow="even"),
    "of a flow in a state": lambda: recent_runs(20, flow="even", state="failed"),
    "of a deployment": lambda: recent_runs(20, deployment="report"),
    "since": lambda: recent_runs(20, since=time.time() - 3600),
    "the last one": lambda: find_run("last"),
    "by number": lambda: find_run(3),
    "by name": lambda: find_run("run-3"),
}


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("query", QUERIES)
def test_no_listing_reads_a_whole_table(query: str, make_notebook: Any) -> None:
    promote(make_notebook("report", "x = 1"))
    database = engine.engine().database
    with statements(database) as seen:
        QUERIES[query]()
    plans = [line for statement in seen if statement.lstrip().startswith("SELECT") for line in plan(statement)]
    assert any("flow_run" in line for line in plans)
    assert [line for line in plans if re.search(r"SCAN (flow_run|task_run|event|artifact|result)\b", line)] == []


def plan(statement: str) -> list[str]:
    """How SQLite goes about a statement; what its parameters are makes no difference."""
    with engine.engine().database.read() as connection:
        count = statement.count("?")
        return [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", (None,) * count)]


def test_a_run_that_failed_is_retried(make_notebook: Any) -> None:
    promote(make_notebook("report", "1/0"))
    run = request_run("report")
    with engine.engine().database.write() as connection:
        connection.execute(text("UPDATE flow_run SET state_type='FAILED', state_name='Failed', ended=1.0"))
    shown = cli("show", "last").output
    assert shown.endswith("\nBegin it anew, without what had completed: flowbook runs retry 1\n")
    answer = cli("retry", str(run.number))
    assert answer.output.startswith(f"Run 1 ({run.name}) of flow 'report' is waiting for a worker, to begin anew.\n")
    assert "No worker is running. Start one with: flowbook worker start" in answer.output
    assert find_run(run.id).state_name == "Scheduled"
    again = cli("retry", "1")
    assert again.exit_code == 1
    assert "has not ended: it is Scheduled" in again.output


def test_a_list_says_why_runs_failed_and_one_of_good_runs_has_no_such_column() -> None:
    @flow
    def report(day: str, regions: list[str]) -> None:
        if day != "monday":
            raise FileNotFoundError(f"sales.csv of {day} " + "." * 100)

    report("monday", ["eu"])
    assert "Why" not in cli("ls").output
    report("tuesday", ["eu", "us"], return_state=True)  # type: ignore[call-arg]
    head, bad, good = cli("ls").output.splitlines()
    assert head.endswith("Why")
    assert bad.endswith("...…")
    assert "FileNotFoundError: sales.csv of tuesday" in bad
    assert "sales.csv" not in good
    shown = cli("show", "last").output
    assert "\nParameters: day='tuesday', regions=['eu', 'us']\n" in shown
    assert "runs retry" not in shown  # there is nothing that could begin it anew


def test_a_run_without_a_notebook_that_failed_shows_the_end_of_what_it_printed() -> None:
    @flow
    def report(day: str) -> None:
        assert day == "monday"

    for day in ("monday", "tuesday"):
        report(day, return_state=True)  # type: ignore[call-arg]
        log = run_folder(find_run("last").id) / "output.log"
        log.parent.mkdir(parents=True)
        log.write_text("\n".join([*(f"line {n}" for n in range(100)), '\x1b[31m  File "report.py", line 3\x1b[0m']))
    shown = cli("show", "last").output
    assert '\nline 99\n  File "report.py", line 3\n\nOutput:' in shown
    assert "line 1\n" not in shown
    assert "line 99" not in cli("show", "prev").output


def test_watching_a_run_that_has_ended_shows_it_and_tells_how_it_ended_by_the_status() -> None:
    @flow
    def good() -> int:
        return 1

    @flow
    def bad() -> None:
        raise ValueError("no")

    good()
    bad(return_state=True)  # type: ignore[call-arg]
    assert (cli("watch", "1").exit_code, cli("watch", "2").exit_code) == (0, 1)
    assert "ValueError: no" in cli("watch", "2").output


def test_runs_are_deleted_with_their_files() -> None:
    @task
    def load() -> int:
        return 1

    @flow
    def report() -> int:
        return load()

    for _ in range(3):
        report()
    folder = run_folder(find_run(2).id)
    folder.mkdir(parents=True)
    (folder / "notebook.html").write_text("x" * 2048)
    asked = cli("delete", "2", "1", input="n\n")
    assert (asked.exit_code, numbers()) == (1, [3, 2, 1])
    assert re.search(r"Delete 2 \(\S+ of report\), 1 \(\S+ of report\)\?", asked.output)
    answer = cli("delete", "2", "1", "2", "--yes")
    assert re.fullmatch(
        r"Deleted 2 flow runs, 2 task runs, \d+ events, 1 folder, and 2\.0 KiB of files\.\n", answer.output
    )
    assert numbers() == [3]
    assert not folder.exists()


@pytest.mark.usefixtures("history")
def test_a_run_that_has_not_ended_is_not_deleted() -> None:
    answer = cli("delete", "1", "7", "--yes")
    assert answer.exit_code == 1
    assert "Run 7 (run-7) of flow 'odd' has not ended: it is Running. Cancel it first with: flowbook runs cancel 7" in (
        answer.output
    )
    assert len(numbers()) == len(STATES)


def test_prune_asks_says_what_goes_and_deletes_it() -> None:
    @flow
    def report() -> None: ...

    report()
    prune = ["prune", "--older-than", "0s"]
    dry = CliRunner().invoke(root, [*prune, "--dry-run"])
    assert dry.output.startswith("Would delete 1 flow run, ")
    asked = CliRunner().invoke(root, prune, input="n\n")
    assert asked.output.startswith("This deletes 1 flow run, ")
    assert numbers() == [1]
    done = CliRunner().invoke(root, [*prune, "--yes"])
    assert done.output.startswith("Deleted 1 flow run, ")
    assert numbers() == []
    assert CliRunner().invoke(root, prune).output == "There is nothing to delete.\n"
    assert CliRunner().invoke(root, ["prune", "--older-than", "1d"]).output == "There is nothing to delete.\n"


NOT_COMPARABLE = [
    (("1", "nope"), "There is no run 'nope'."),
    (("1", "rum-2"), "There is no run 'rum-2'. Did you mean 'run-2'?"),
    (("run-1", "1"), "Both are run 1 (run-1); name two runs, such as `prev` and `last`."),
    (
        ("1", "7"),
        "Run 7 (run-7) of flow 'odd' has not ended: it is Running. `flowbook runs watch 7` follows it to its end.",
    ),
    (("5", "1"), "Run 5 (run-5) of flow 'odd' has not ended: it is Scheduled."),
    (("1",), "Missing argument 'B'."),
    (("1", "2", "--output", "xml"), "'xml' is not one of"),
]


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(("args", "says"), NOT_COMPARABLE)
def test_what_cannot_be_compared_is_said_with_exit_status_2(args: tuple[str, ...], says: str) -> None:
    answer = cli("diff", *args)
    assert (answer.exit_code, says in " ".join(answer.stderr.split())) == (2, True), answer.stderr


def test_runs_of_a_flow_are_compared_by_parameters_tasks_and_log() -> None:
    @task(log_prints=True)
    def measure(city: str) -> int:
        print("asking for", city)
        if city == "Chur":
            raise ValueError("no answer")
        return len(city)

    @flow
    def weather(city: str) -> None:
        measure(city)

    weather("Bern")
    weather("Bern")
    assert cli("diff", "prev", "last").exit_code == 0
    with pytest.raises(ValueError, match="no answer"):
        weather("Chur")
    answer = cli("diff", "prev", "last")
    assert answer.exit_code == 1
    assert "  city: 'Bern' → 'Chur'" in answer.stdout
    assert re.search(r"^\* measure\S* +Succeeded .* +Failed ", answer.stdout, re.MULTILINE)
    assert "asking for Chur" in answer.stdout.partition("\nLog\n")[2]


def test_versions_of_a_python_flow_are_compared_by_its_program(tmp_path: Path) -> None:
    program = tmp_path / "daily.py"
    for limit in (10, 20):
        program.write_text(f"from flowbook import flow\n\n\n@flow\ndef daily():\n    return {limit}\n")
        CliRunner().invoke(root, ["promote", f"{program}:daily", "--name", "daily"])
        run = request_run("daily")
        cli("cancel", str(run.number))
    said = cli("diff", "1", "2").stdout
    assert "deployment 'daily', version 1" in said
    assert "Different: the program." in said
    assert "    -    return 10\n    +    return 20\n" in said
