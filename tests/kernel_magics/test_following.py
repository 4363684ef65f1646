"""``%logs --follow``: lines as they come, from any process, until the run has ended or nobody wants more."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.waiting import WITHIN

from flowbook.runs import recent_runs

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook

FLOW = """
import pathlib, sys, time
from flowbook import flow, get_run_logger, task

@task
def waits():
    get_run_logger().warning("waiting")
    while not pathlib.Path(sys.argv[1]).exists():
        time.sleep(0.02)
    get_run_logger().info("over")

@flow
def elsewhere():
    get_run_logger().info("hello")
    waits()

elsewhere()
"""


@pytest.fixture
def go(nb: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A run in another process is under way; it ends once this file is there."""
    monkeypatch.setenv("FLOWBOOK_HOME", nb.home)
    script, go = tmp_path / "elsewhere.py", tmp_path / "go"
    script.write_text(FLOW, encoding="utf-8")
    process = subprocess.Popen([sys.executable, script, go], env={**os.environ}, stderr=subprocess.DEVNULL)
    try:
        nb.until(lambda: bool(recent_runs(1)))
        yield go
    finally:
        go.touch()
        process.wait(WITHIN)


def test_lines_come_while_another_process_executes_the_run(nb: Notebook, go: Path) -> None:
    request = nb.send("%logs --follow --run last", "logs")
    nb.until(lambda: "WARNING waits: waiting" in nb.output("logs"))
    assert "INFO    elsewhere: hello" in nb.output("logs")
    assert "over" not in nb.output("logs")
    go.touch()
    assert nb.finish(request).status == "ok"
    lines = nb.output("logs").splitlines()
    assert sum("waits: over" in line for line in lines) == 1
    assert lines[-1].startswith("Succeeded")


def test_only_what_is_asked_for(nb: Notebook, go: Path) -> None:
    go.touch()
    output = nb.ok("%logs waits --follow --run last --level WARNING", "logs")
    *lines, last = output.splitlines()
    assert [line.partition(" ")[2] for line in lines] == ["WARNING waits: waiting"]
    assert last.startswith("Succeeded")
    assert nb.fails("%logs wait --follow --run last", "logs").endswith("has no task 'wait'. Did you mean 'waits'?\n")


def test_an_interrupt_ends_following_and_not_the_run(nb: Notebook, go: Path) -> None:
    request = nb.send("%logs --follow --run last", "logs")
    nb.until(lambda: "waiting" in nb.output("logs"))
    nb.manager.interrupt_kernel()
    assert nb.finish(request).status == "ok"
    assert nb.output("logs").endswith("is not followed any more. It is as it was.\n")
    assert recent_runs(1)[0].state_name == "Running"
    go.touch()
    assert nb.ok("%logs --follow --run last", "logs").splitlines()[-1].startswith("Succeeded")


def test_a_task_cannot_follow_itself(nb: Notebook) -> None:
    nb.fails("%%task t\n%logs --follow", "t")
    assert "%logs --follow cannot be used inside a task or a flow" in nb.output("t")


def test_a_run_in_the_background_of_this_kernel(nb: Notebook) -> None:
    nb.ok("import threading\ngo = threading.Event()\nfrom flowbook import get_run_logger", "setup")
    nb.ok("%%task a --define\nget_run_logger().info('from a')\nthreading.Timer(0.5, go.set).start()\na = 1", "a")
    nb.ok("%%task b --define\na, go.wait(60)\nget_run_logger().info('from b')", "b")
    nb.ok("%flow run --background", "run")
    output = nb.ok("%logs --follow", "logs")
    assert "a: from a" in output
    assert "b: from b" in output
    assert output.splitlines()[-1].startswith("Succeeded")
