"""The options of ``%%task`` that are those of ``@task``: tags, limits, logged prints, jitter, results for a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.waiting import until

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook

RUNNING = "from flowbook import runtime as _r; own_tags = sorted(_r.task_run.tags)"


@pytest.mark.parametrize("line", ["%%task", "#| task"])
def test_tags(nb: Notebook, line: str) -> None:
    nb.ok(f"{line} t --tags nightly,eu --log-prints\n{RUNNING}", "a")
    assert nb.value("own_tags") == ["eu", "nightly"]


def test_prints_go_to_the_log_where_it_is_wanted(nb: Notebook) -> None:
    nb.ok("%%task loud --log-prints --define\nprint('a', 'line')", "a")
    nb.ok("%%task quiet --no-log-prints --define\nprint('another one')", "b")
    nb.ok("%flow run", "run")
    assert "a line" in nb.ok("%logs", "logs")
    assert "another one" not in nb.output("logs")
    assert "a line" in nb.output("a")
    assert nb.output("b") == "another one\n"


def test_a_limit_is_held_while_the_task_runs(nb: Notebook) -> None:
    limit = "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'flowbook.cli', 'concurrency-limit',"
    nb.ok(f"{limit} 'create', 'api', '2'], check=True)\ninside, most = [], []", "setup")
    nb.ok("import time\nnumbers = list(range(4))", "names")
    nb.ok(
        "%%task part --map n=numbers --limit api --define --in time,inside,most\n"
        "inside.append(n)\nmost.append(len(inside))\ntime.sleep(0.05)\ninside.remove(n)",
        "a",
    )
    nb.ok(
        "%%task whole --limit api:2 --after part --define\nfrom flowbook.concurrency.sync import concurrency\n"
        "try:\n    with concurrency('api', timeout_seconds=0.1):\n        free = True\n"
        "except TimeoutError:\n    free = False",
        "b",
    )
    nb.ok("%flow run", "run")
    assert nb.value("max(most) <= 2") is True
    assert nb.value("free") is False
    nb.ok("%%task again --after whole\nwith concurrency('api', 2, timeout_seconds=5):\n    given_back = True", "c")
    assert nb.value("given_back") is True


def test_more_slots_than_there_are_fail_the_task(nb: Notebook) -> None:
    create = "['-m', 'flowbook.cli', 'concurrency-limit', 'create', 'narrow', '1']"
    nb.ok(f"import subprocess, sys\nsubprocess.run([sys.executable, *{create}], check=True)", "setup")
    said = nb.fails("%%task t --limit narrow:3\nx = 1", "a")
    assert "3 slots of the concurrency limit 'narrow' were asked for, which has 1" in said
    assert nb.states() == [("t", "FAILED", "Failed")]


def test_a_limit_that_does_not_exist_limits_nothing_and_is_said(nb: Notebook) -> None:
    said = nb.ok("%%task t --limit nowhere\nx = 1", "a")
    assert "There is no concurrency limit 'nowhere'. Make it with: flowbook concurrency-limit create nowhere 5" in said
    assert nb.value("x") == 1


def test_a_result_counts_for_its_time(nb: Notebook) -> None:
    nb.ok("import itertools\ncounter = itertools.count()\ndef tick():\n    return next(counter)", "a")
    nb.ok("%%task t --cache source --cache-for 1s --in tick\nseen = tick()", "b")
    assert nb.value("seen") == 0
    until(lambda: nb.tasks()["t"] != ("fresh", ""))
    assert nb.tasks()["t"] == ("stale", "its result is older than 1.0 s")
    nb.ok("%flow run", "run")
    assert nb.value("seen") == 1


def test_jitter_makes_the_delay_longer(nb: Notebook) -> None:
    nb.ok("tries = []", "a")
    nb.ok("%%task t --retries 1 --retry-delay 20ms --jitter 1 --define\ntries.append(1)\nassert len(tries) > 1", "b")
    nb.ok("%flow run", "run")
    rules = "get_ipython().magics_manager.registry['FlowbookMagics'].session.tasks['b'][1].work.rules"
    assert nb.value(f"({rules}.jitter, {rules}.delays, len(tries))") == (1.0, (0.02,), 2)
