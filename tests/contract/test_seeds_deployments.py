"""Deployments and command lines as tutorials show them, each in a process of its own, with only the import changed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flowbook import engine
from flowbook.runs import find_run, recent_runs, run_view
from flowbook.schedules import CronSchedule, IntervalSchedule, Schedule, from_dict
from flowbook.store.deployments import Deployment, find_deployment, schedules_of

pytestmark = pytest.mark.slow

SEEDS = Path(__file__).parent / "seeds"
WITHIN = 60.0


def seed(name: str) -> str:
    return (SEEDS / f"{name}.py").read_text(encoding="utf-8")


GUIDE = seed("guide").partition("# Run directly")[0].partition("if __name__")[0]
SERVED_BY_GUIDE = [
    f"daily_sales_report.serve({call}" for call in seed("guide_serving").split("daily_sales_report.serve(")[1:]
]
REPORT = seed("serving").partition("# Local serve")[0]


def shell(folder: Path, command: str) -> str:
    """What a command line says, typed as it stands but for the name of the program."""
    command = command.replace("prefect ", "flowbook ")
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def stored(name: str) -> Deployment:
    return find_deployment(engine.engine().database, name)


def schedules(name: str) -> list[Schedule]:
    found = [from_dict(each.spec) for each in schedules_of(engine.engine().database, stored(name).id)]
    return sorted(found, key=str)


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts a script that serves, and waits until it says so."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str) -> subprocess.Popen[str]:
        (tmp_path / "pipeline.py").write_text(code, encoding="utf-8")
        command = [sys.executable, "pipeline.py"]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        started.append(process)
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said.startswith("Serving '"), said + process.stdout.read()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=WITHIN)
    assert process.returncode == 0, said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("code", "name", "expected", "parameters"),
    [
        (
            GUIDE + SERVED_BY_GUIDE[0],
            "daily-sales-report/weekday-morning",
            [CronSchedule(cron="0 6 * * 1-5", timezone="Europe/Zurich")],
            {"days": 30, "db_path": "reports.db"},
        ),
        (
            GUIDE + SERVED_BY_GUIDE[1],
            "daily-sales-report/every-4-hours",
            [IntervalSchedule(interval=timedelta(hours=4))],
            {},
        ),
        (
            GUIDE + SERVED_BY_GUIDE[2],
            "daily-sales-report/multi-schedule",
            [
                CronSchedule(cron="0 6 * * 1-5", timezone="Europe/London"),
                CronSchedule(cron="0 9 1 * *", timezone="Europe/London"),
            ],
            {},
        ),
        (
            seed("serving"),
            "daily-report/daily-report",
            [CronSchedule(cron="0 8 * * *", timezone="America/New_York")],
            {},
        ),
        (
            REPORT + seed("serving_every_six_hours"),
            "daily-report/every-6h",
            [IntervalSchedule(interval=timedelta(hours=6))],
            {},
        ),
        (
            REPORT.replace("daily_report", "pipeline") + 'pipeline.serve(name="local-deploy", cron="0 6 * * *")',
            "pipeline/local-deploy",
            [CronSchedule(cron="0 6 * * *")],
            {},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and "/" in value and "\n" not in value else "",
)
def test_flows_are_served(
    serving: Callable[[str], subprocess.Popen[str]], code: str, name: str, expected: list[Any], parameters: Any
) -> None:
    process = serving(code)
    assert schedules(name) == expected
    assert stored(name).parameters == parameters
    assert not stored(name).paused
    stop(process)
    assert stored(name).paused


def test_a_served_flow_runs_on_demand(serving: Callable[[str], subprocess.Popen[str]], tmp_path: Path) -> None:
    process = serving(REPORT + seed("serving_every_six_hours"))
    shell(tmp_path, 'prefect deployment run "daily-report/every-6h"')
    deadline = time.monotonic() + WITHIN
    while find_run(1).ended is None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert find_run(1).state_name == "Completed"
    assert "Generating daily report..." in [line.message for line in run_view(1).logs]
    stop(process)


def test_a_pool_a_worker_and_a_deployment(tmp_path: Path) -> None:
    (tmp_path / "deploy.py").write_text(seed("deploying"), encoding="utf-8")
    shell(tmp_path, "prefect work-pool create --type process local-process-pool")
    said = shell(tmp_path, "python deploy.py")
    assert "Start one with: flowbook worker start --pool local-process-pool" in said
    found = stored("my-pipeline/prod-pipeline")
    assert (found.settings.pool, found.parameters) == ("local-process-pool", {"env": "prod"})
    assert schedules("prod-pipeline") == [CronSchedule(cron="0 6 * * *")]
    shell(tmp_path, 'prefect deployment run "my-pipeline/prod-pipeline"')
    said = shell(tmp_path, "prefect worker start --pool local-process-pool --run-once")
    assert said.endswith("1 run was executed.\n")
    assert [line.message for line in run_view("last").logs] == ["Running in prod"]


def test_a_run_with_other_parameters(tmp_path: Path) -> None:
    code = "import os\nfrom flowbook import flow\n" + seed("guide_parameters")
    code += '\nflexible_report.deploy(name="default", print_next_steps=False)\n'
    (tmp_path / "flexible.py").write_text(code, encoding="utf-8")
    shell(tmp_path, "python flexible.py")
    shell(tmp_path, 'prefect deployment run "flexible-report/default"')
    shell(
        tmp_path,
        'prefect deployment run "flexible-report/default" \\\n--param days=7 \\\n--param region=North \\\n'
        "--param output_format=excel",
    )
    asked = [run.parameters for run in reversed(recent_runs())]
    assert asked == [{}, {"days": 7, "region": "North", "output_format": "excel"}]


def test_limits_and_pools_from_the_command_line(tmp_path: Path) -> None:
    shell(tmp_path, "prefect concurrency-limit create external-api 5")
    shell(tmp_path, "prefect work-pool create my-pool")
    (limit,) = json.loads(shell(tmp_path, "prefect concurrency-limit ls --output json"))
    assert (limit["name"], limit["limit"]) == ("external-api", 5)
    pools = json.loads(shell(tmp_path, "prefect work-pool ls --output json"))
    assert {"my-pool"} <= {pool["name"] for pool in pools}


def test_a_deployment_built_from_a_flow_and_applied(tmp_path: Path) -> None:
    code = seed("complete_etl")
    begin, end = code.index("    # Run locally for testing"), code.index("    # Deploy to Prefect Cloud")
    (tmp_path / "etl.py").write_text(code[:begin] + code[end:], encoding="utf-8")
    shell(tmp_path, "python etl.py")
    found = stored("daily-order-etl/daily-schedule")
    assert found.settings.pool == "default-agent-pool"
    assert found.parameters == {"execution_date": "{{ data_interval_end }}"}
    assert schedules("daily-schedule") == [CronSchedule(cron="0 6 * * *")]
