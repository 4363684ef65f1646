"""``flowbook work-pool``, ``work-queue`` and ``worker``."""

from __future__ import annotations

import json
import stat
import subprocess
import time
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flowbook import engine
from flowbook.cli.root import root
from flowbook.promote import promote, request_run
from flowbook.run.ids import new_id
from flowbook.schedule import service
from flowbook.store.claiming import Claimant
from flowbook.store.processes import this_process
from flowbook.store.workers import register


def cli(*args: str, **options: Any) -> Result:
    return CliRunner().invoke(root, args, prog_name="flowbook", **options)


def plain(*args: str) -> Any:
    answer = cli(*args)
    assert answer.exit_code == 0, answer.output
    return json.loads(answer.output)


def test_a_pool_is_made_listed_changed_and_deleted() -> None:
    assert cli("work-pool", "ls").output.startswith("There are no work pools yet. Make one with: flowbook work-pool")
    made = cli(
        *("work-pool", "create", "reports", "--type", "process", "--concurrency-limit", "4"),
        *("--env", "TZ=Europe/Zurich", "--env", "A=b=c", "--working-dir", "/srv", "--memory-mb", "512", "--paused"),
        *("--environment", "locked"),
    )
    assert made.output == (
        "Made the work pool 'reports' of type 'process', 4 runs at a time; it is paused. "
        "Start a worker for it with: flowbook worker start --pool reports\n"
    )
    found = plain("work-pool", "inspect", "reports")
    assert found["settings"] == {
        "env": {"TZ": "Europe/Zurich", "A": "b=c"},
        "working_dir": "/srv",
        "memory_mb": 512,
        "environment": "locked",
    }
    assert (found["concurrency_limit"], found["paused"], found["active"], found["waiting"]) == (4, True, 0, 0)
    assert [queue["name"] for queue in found["queues"]] == ["default"]
    cli("work-pool", "resume", "reports")
    changed = cli(
        "work-pool",
        "update",
        "reports",
        "--env",
        "A=z",
        "--unset",
        "memory-mb",
        "--unset",
        "TZ",
        "--environment",
        "worker",
    )
    assert changed.output == "Changed the work pool 'reports' of type 'process', 4 runs at a time.\n"
    assert plain("work-pool", "inspect", "reports")["settings"] == {
        "env": {"A": "z"},
        "working_dir": "/srv",
        "environment": "worker",
    }
    (row,) = plain("work-pool", "ls", "--output", "json")
    assert (row["name"], row["paused"]) == ("reports", False)
    assert cli("work-pool", "ls").output.splitlines()[1].split() == ["reports", "process", "4", "0", "0", "no"]
    asked = cli("work-pool", "delete", "reports", input="n\n")
    assert asked.exit_code == 1
    assert cli("work-pool", "delete", "reports", "--yes").output == "Deleted 'reports'.\n"
    assert plain("work-pool", "ls", "--output", "json") == []


def test_the_limit_of_a_pool_by_the_names_that_prefect_has() -> None:
    cli("work-pool", "create", "p")
    assert "3 runs at a time" in cli("work-pool", "set-concurrency-limit", "p", "3").output
    assert "runs at a time" not in cli("work-pool", "clear-concurrency-limit", "p").output
    assert plain("work-pool", "inspect", "p")["concurrency_limit"] is None


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("create", "p"), "There is a work pool 'p' already. Change it with `flowbook work-pool update p`."),
        (("create", "a/b"), "'a/b' cannot be a name here"),
        (("update", "p", "--memory-mb", "12"), "memory_mb of work pool 'p' is 12"),
        (
            ("update", "p", "--environment", "lockd"),
            "environment of work pool 'p' is 'lockd'; it is one of worker, locked.",
        ),
        (("update", "p"), "Say what is to change: --concurrency-limit"),
        (("update", "p", "--unset", "memory-bm"), "'p' has no setting 'memory-bm'."),
        (("update", "q", "--memory-mb", "128"), "There is no work pool 'q'."),
        (("pause", "q"), "There is no work pool 'q'."),
        (("delete", "default", "--yes"), "The work pool 'default' is that of 'report': deploy them elsewhere first."),
    ],
)
def test_what_cannot_be_done_with_a_pool(args: tuple[str, ...], sentence: str, make_notebook: Any) -> None:
    promote(make_notebook("report", "x = 1"))
    cli("work-pool", "create", "p")
    answer = cli("work-pool", *args)
    assert answer.exit_code in (1, 2)
    assert sentence in answer.stderr


def test_a_queue_is_made_listed_changed_and_deleted(make_notebook: Any) -> None:
    made = cli("work-queue", "create", "urgent", "--priority", "1", "--limit", "2")
    assert made.output == "Made the queue 'urgent' of 'default', priority 1, 2 runs at a time.\n"
    promote(make_notebook("report", "x = 1"), pool="default", queue="urgent")
    request_run("report")
    rows = plain("work-queue", "ls", "--output", "json")
    assert {row["name"]: (row["waiting"], row["concurrency_limit"]) for row in rows} == {
        "default": (0, None),
        "urgent": (1, 2),
    }
    assert cli("work-queue", "pause", "urgent").output == (
        "Paused the queue 'urgent'. Go on with: flowbook work-queue resume urgent --pool default\n"
    )
    assert plain("work-queue", "inspect", "urgent")["paused"] is True
    cli("work-queue", "resume", "urgent")
    assert "priority 5." in cli("work-queue", "update", "urgent", "--priority", "5", "--no-limit").output
    assert ["urgent", "5", "0", "1", "no"] in [line.split() for line in cli("work-queue", "ls").output.splitlines()]
    refused = cli("work-queue", "delete", "urgent", "--yes")
    assert "The queue 'urgent' is that of 'report': deploy them elsewhere first." in refused.stderr
    cli("deployment", "delete", "report", "--yes")
    assert cli("work-queue", "delete", "urgent", "--yes").output == "Deleted 'urgent'.\n"
    assert "it cannot be deleted" in cli("work-queue", "delete", "default", "--yes").stderr


def test_living_workers_are_listed() -> None:
    assert cli("worker", "ls").output == "No worker is running. Start one with: flowbook worker start\n"
    process = this_process()
    claimant = Claimant(process=process, pool="reports", queues=("urgent",))
    register(engine.engine().database, new_id(), claimant, "ada", 4, time.time() - 3)
    (row,) = plain("worker", "ls", "--output", "json")
    assert (row["name"], row["pool"], row["queues"], row["slots"], row["busy"], row["pid"]) == (
        "ada",
        "reports",
        ["urgent"],
        4,
        0,
        process.pid,
    )
    line = cli("worker", "ls").output.splitlines()[1]
    assert line.split()[:4] == ["ada", "reports", "urgent", "0/4"]
    assert line.endswith(" s ago")


# A worker as a service


@pytest.fixture
def config(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where units go, on a machine with systemd."""
    folder = tmp_path / "config"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    monkeypatch.setattr(service, "has_systemd", lambda: True)
    return folder


def test_a_worker_is_installed_as_a_unit_of_the_user(config: Path, home: Path) -> None:
    answer = cli("worker", "install", "--limit", "4", "--name", "ada's 100%")
    assert answer.exit_code == 0, answer.output
    path = config / "systemd" / "user" / "flowbook-worker.service"
    unit = path.read_text()
    assert unit in answer.output
    for line in (
        "Restart=always",
        "KillSignal=SIGTERM",
        "KillMode=mixed",
        "TimeoutStopSec=45",
        f"Environment=FLOWBOOK_HOME={home}",
        "WantedBy=default.target",
    ):
        assert f"\n{line}\n" in unit
    (start,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    assert start.endswith('-m flowbook.cli worker start --pool default --limit 4 --name "ada\'s 100%%"')
    assert answer.output.splitlines()[-3:] == [
        "  systemctl --user daemon-reload",
        "  systemctl --user enable --now flowbook-worker",
        "  loginctl enable-linger",
    ]


@pytest.mark.skipif(which("systemd-analyze") is None, reason="there is no systemd-analyze")
@pytest.mark.parametrize("pool", ["default", "night shift"])
def test_systemd_has_no_objection_to_the_unit(config: Path, pool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(config))
    monkeypatch.setenv("FLOWBOOK_DATABASE_URL", SECRET)
    made = service.service_for(pool, 2, "ada's 100% $HOME")
    service.install(made, force=False)
    command = ["systemd-analyze", "--user", "verify", str(made.unit_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")


def test_a_unit_that_says_something_else_is_only_replaced_by_force(config: Path) -> None:
    cli("work-pool", "create", "night shift")
    assert cli("worker", "install", "--pool", "night shift").exit_code == 0
    path = config / "systemd" / "user" / r"flowbook-worker-night\x20shift.service"
    before = path.read_text()
    assert '--pool "night shift"' in before
    assert cli("worker", "install", "--pool", "night shift").output.startswith("Nothing has changed in ")
    refused = cli("worker", "install", "--pool", "night shift", "--limit", "7")
    assert refused.exit_code == 1
    assert "is there and says something else. Replace it with --force, or see --print." in refused.stderr
    assert path.read_text() == before
    assert cli("worker", "install", "--pool", "night shift", "--limit", "7", "--force").exit_code == 0
    assert "--limit 7" in path.read_text()


def test_printing_a_unit_writes_nothing(config: Path) -> None:
    assert cli("worker", "install", "--print").output.startswith("[Unit]\n")
    assert not config.exists()


def test_a_pool_that_is_not_there_gets_no_unit(config: Path) -> None:
    assert "There is no work pool 'nowhere'." in cli("worker", "install", "--pool", "nowhere").stderr
    assert not config.exists()


SECRET = 'postgresql+psycopg://ada:pa%24s%40"w%60rd@db.example/flowbook'


def test_a_password_goes_to_a_file_that_only_its_owner_can_read(config: Path) -> None:
    made = service.Service(pool="p", limit=1, name=None, environment={"FLOWBOOK_DATABASE_URL": SECRET})
    service.install(made, force=False)
    unit = made.unit_path.read_text()
    assert "ada" not in unit
    assert f"EnvironmentFile={made.secrets_path}\n" in unit
    assert stat.S_IMODE(made.secrets_path.stat().st_mode) == 0o600
    assert SECRET not in made.cron_line().replace("\\%", "%")
    assert f". {made.secrets_path};" in made.cron_line()


def test_a_shell_reads_the_file_with_secrets_as_it_was(config: Path) -> None:
    made = service.Service(pool="p", limit=1, name=None, environment={"FLOWBOOK_DATABASE_URL": SECRET})
    service.write_secrets(made)
    said = subprocess.run(
        ["sh", "-c", f'. {made.secrets_path}; printf %s "$FLOWBOOK_DATABASE_URL"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == SECRET


def test_without_systemd_it_says_what_to_do_instead(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "has_systemd", lambda: False)
    answer = cli("worker", "install", "--limit", "3")
    assert answer.exit_code == 1
    assert "There is no systemd here" in answer.stderr
    assert answer.stdout.startswith("@reboot FLOWBOOK_HOME=")
    assert "flowbook.cli worker start --pool default --limit 3 " in answer.stdout
    assert not (config / "systemd").exists()
