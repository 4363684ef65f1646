"""The commands as a person types them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from flowbook import flow, task
from flowbook.cli.root import root
from flowbook.promote import promote


def cli(*args: str) -> Result:
    return CliRunner().invoke(root, args, prog_name="flowbook")


def commands(group: click.Group = root, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        found.append((*before, name))
        if isinstance(command, click.Group):
            found += commands(command, (*before, name))
    return found


@pytest.mark.parametrize("command", [(), *commands()])
def test_every_command_has_help(command: tuple[str, ...]) -> None:
    answer = cli(*command, "--help")
    assert answer.exit_code == 0
    assert answer.output.startswith("Usage: flowbook")


def is_group(words: tuple[str, ...]) -> bool:
    command: click.Command = root
    for word in words:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    return isinstance(command, click.Group)


@pytest.mark.parametrize("command", [words for words in commands() if not is_group(words)])
def test_every_command_has_an_example(command: tuple[str, ...]) -> None:
    assert f"Example: flowbook {' '.join(command)}" in " ".join(cli(*command, "--help").output.split())


def test_promote_says_what_was_made_and_when_it_runs(make_notebook: Any) -> None:
    path = make_notebook("report", "# parameters\nday: str = ''\nn: int = 1")
    answer = cli(
        "promote", str(path), "--schedule", "0 7 * * 1-5", "--tz", "Europe/Zurich", "--param", "day=2026-01-01"
    )
    assert answer.exit_code == 0, answer.output
    assert answer.output.startswith("Deployed 'report', version 1: report.ipynb (snapshot ")
    assert answer.output.count(" 07:00:00 CE") == 5
    listed = json.loads(cli("deployment", "ls", "--output", "json").output)
    assert [(row["name"], row["version"], row["pool"], row["paused"]) for row in listed] == [
        ("report", 1, "default", False)
    ]
    (planned,) = listed[0]["schedules"]
    assert (planned["words"], planned["active"]) == ("Weekdays at 07:00, Europe/Zurich", True)
    assert planned["next"] == listed[0]["next"]
    table = cli("deployment", "ls").output.splitlines()
    assert table[0].split() == ["Name", "Flow", "Version", "Pool", "Schedule", "Next", "run"]
    inspected = json.loads(cli("deployment", "inspect", "report", "--output", "json").output)
    assert inspected["captured"]["parameters"] == {"day": "2026-01-01"}


def test_a_command_that_is_suggested_can_be_pasted_for_a_name_with_spaces(make_notebook: Any) -> None:
    answer = cli("promote", str(make_notebook("my report", "x = 1")))
    assert "Run it with: flowbook deployment run 'my report'\n" in answer.output
    assert "resume 'my report'\n" in cli("deployment", "pause", "my report").output
    assert "schedule create 'my report' --every" in cli("deployment", "schedule", "ls", "my report").output


def test_promote_as_json(make_notebook: Any) -> None:
    path = make_notebook("report", "x = 1")
    answer = json.loads(cli("promote", str(path), "--schedule", "0 7 * * *", "--output", "json").output)
    assert (answer["name"], answer["version"], answer["kind"], len(answer["next_fires"])) == ("report", 1, "plain", 5)


def test_a_run_is_asked_for_with_parameters(make_notebook: Any) -> None:
    promote(make_notebook("report", "# parameters\nday: str = ''\nn: int = 1"))
    answer = cli("deployment", "run", "report", "--param", "n=5", "--params", '{"day": "x"}')
    assert answer.exit_code == 0
    assert "Run 1 (" in answer.output
    assert "is waiting for a worker" in answer.output
    assert "No worker is running. Start one with: flowbook worker start" in answer.output
    (run,) = json.loads(cli("runs", "ls", "--output", "json").output)
    assert run["parameters"] == {"n": 5, "day": "x"}
    assert run["look"] == "scheduled"


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["promote", "nowhere.ipynb"], "nowhere.ipynb. Relative paths begin in the working directory."),
        (["deployment", "run", "nothing"], "There is no deployment 'nothing', nor any other"),
        (["deployment", "inspect", "nothing"], "There is no deployment 'nothing', nor any other"),
        (["runs", "show", "last"], "Nothing has run here yet."),
        (["runs", "show", "17"], "There is no run '17'."),
        (["schedule", "next", "0 25 * * *"], "hour"),
        (["schedule", "next", "0 7 * * *", "--tz", "Mars/Olympus"], "Mars/Olympus"),
        (["schedule", "next", "250ms"], "at least one second"),
        (["runs", "ls", "--state", "faild"], "There is no state 'faild'. Did you mean 'Failed'?"),
        (["runs", "ls", "--deployment", "nothing"], "There is no deployment 'nothing', nor any other"),
        (["runs", "retry", "17"], "There is no run '17'."),
        (["runs", "delete", "17", "--yes"], "There is no run '17'."),
        (["work-pool", "inspect", "nothing"], "There is no work pool 'nothing'."),
        (["work-pool", "create", "p", "--type", "proces"], "Did you mean 'process'?"),
        (["work-pool", "create", "p", "--memory-mb", "1"], "memory_mb of work pool 'p' is 1"),
        (["work-queue", "create", "q", "--pool", "nothing"], "There is no work pool 'nothing'."),
        (["deployment", "rollback", "nothing"], "There is no deployment 'nothing'"),
        (["deployment", "backfill", "nothing", "--from", "2026-01-01"], "There is no deployment 'nothing'"),
    ],
)
def test_an_error_is_one_sentence_and_status_1(args: list[str], sentence: str) -> None:
    answer = cli(*args)
    assert answer.exit_code == 1
    assert answer.stderr.startswith("Error: ")
    assert sentence in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert answer.stdout == ""


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["promot"], "There is no command 'promot'. Did you mean 'promote'?"),
        (["logs", "last"], "There is no command 'logs'. There is `flowbook runs logs`."),
        (["show", "last"], "There is no command 'show'. There is `flowbook runs show`."),
        (["promote"], "Missing argument 'NOTEBOOK|FILE.py:FLOW'"),
        (["deployment", "run", "x", "--params", "{"], "it is not JSON"),
        (["deployment", "run", "x", "--params", "[1]"], "it must be an object"),
        (["worker", "start", "--limit", "0"], "0 is not in the range x>=1"),
        (["runs", "ls", "--output", "yaml"], "'yaml' is not one of 'text', 'json'"),
        (["runs", "ls", "--since", "yesterday"], "'yesterday' is not a time; write it as 2026-01-31"),
        (["runs", "ls", "--failed", "--state", "late"], "Both --failed and --state are given"),
        (["prune", "--older-than", "old"], "'old' is no age; write a duration as"),
        (["promote", "flow.py:f", "--flow", "g"], "write flow.py:g instead"),
        (["promote", "x.ipynb", "--every", "often"], "'often' is no length of time"),
        (["promote", "x.ipynb", "--catchup", "some"], "'some' is not one of 'one', 'all', 'skip'"),
        (["work-pool", "create", "p", "--env", "TZ"], "'TZ' is not NAME=VALUE, such as TZ=Europe/Zurich."),
        (["work-queue", "update", "q"], "Say what is to change: --priority, --limit or --no-limit."),
    ],
)
def test_what_cannot_be_meant_is_status_2(args: list[str], sentence: str) -> None:
    answer = cli(*args)
    assert answer.exit_code == 2
    assert sentence in answer.stderr


def test_runs_are_listed_and_shown() -> None:
    @task
    def load() -> int:
        return 1

    @task
    def fail(x: int) -> None:
        raise ValueError("no such column: naïve 💥")

    @flow(name="good")
    def good() -> None:
        load()

    @flow(name="bad")
    def bad() -> None:
        fail(load())

    good()
    bad(return_state=True)  # type: ignore[call-arg]
    listed = cli("runs", "ls").output.splitlines()
    assert [line.split()[0] for line in listed] == ["Run", "2", "1"]
    assert cli("runs", "ls", "--failed").output.count("\n") == 2
    shown = cli("flow-run", "show", "last").output
    assert "Failed at fail after" in shown
    assert "ValueError: no such column: naïve 💥" in shown
    assert "load" in shown
    assert shown == cli("runs", "show", "2").output
    plain = json.loads(cli("runs", "show", "prev", "--output", "json").output)
    assert (plain["flow"], [each["name"] for each in plain["tasks"]]) == ("good", ["load"])


def test_schedule_next() -> None:
    answer = cli("schedule", "next", "0 7 * * 1-5", "--tz", "Europe/Zurich", "-n", "3")
    lines = answer.output.splitlines()
    assert lines[0] == "Weekdays at 07:00, Europe/Zurich:"
    assert len(lines) == 4
    assert all(" 07:00:00 CE" in line for line in lines[1:])
    warned = cli("schedule", "next", "0 7 1 * 1")
    assert warned.stderr.startswith("Warning: ")
    assert len(json.loads(cli("schedule", "next", "0 7 * * *", "-n", "7", "--output", "json").output)) == 7
    assert cli("schedule", "next", "1h30m", "--tz", "Asia/Tokyo").output.startswith("Every 1 hour 30 minutes, Asia/")
    assert cli("schedule", "next", "FREQ=DAILY").output.startswith("Every day at 00:00, UTC:")


def test_version() -> None:
    from flowbook import __version__

    assert cli("version").output.startswith(f"flowbook {__version__} (Python 3.")


def test_a_worker_that_has_nothing_to_do_says_so() -> None:
    answer = cli("worker", "start", "--run-once")
    assert (answer.exit_code, answer.output) == (0, "0 runs were executed.\n")


def test_help_imports_nothing_heavy() -> None:
    heavy = "sqlalchemy pydantic nbformat nbclient nbconvert IPython psutil alembic rich"
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom flowbook.cli.root import root\n"
        "assert CliRunner().invoke(root, ['--help']).exit_code == 0\n"
        f"print([name for name in '{heavy}'.split() if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
