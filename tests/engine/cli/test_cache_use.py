"""``flowbook cache``: what reuse has saved."""

from __future__ import annotations

import json

from click.testing import CliRunner, Result

from flowbook import task
from flowbook.cache_policies import INPUTS
from flowbook.cli.root import root
from flowbook.testing import flowbook_test_harness


def cli(*args: str) -> Result:
    return CliRunner().invoke(root, args, prog_name="flowbook")


def test_nothing_was_kept() -> None:
    answer = cli("cache", "ls")
    assert answer.exit_code == 0
    assert answer.output == "No task's results have been kept here yet: give a task a cache_policy.\n"
    assert json.loads(cli("cache", "ls", "--output", "json").output) == []


def test_the_use_of_the_cache() -> None:
    with flowbook_test_harness() as harness:

        @task(cache_policy=INPUTS)
        def load(x: int) -> int:
            harness.clock.advance(60)
            return x

        for x in (1, 1, 1, 2):
            load(x)
        rows = [line.split("  ") for line in cli("cache", "ls").output.splitlines()]
        assert [[cell.strip() for cell in row if cell] for row in rows] == [
            ["Task", "Reused", "Made", "Share reused", "Time saved"],
            [load.task_key, "2", "2", "50%", "2 m 00 s"],
        ]
        assert json.loads(cli("cache", "ls", "--output", "json").output) == [
            {"task": load.task_key, "hits": 2, "misses": 2, "seconds_saved": 120.0}
        ]
