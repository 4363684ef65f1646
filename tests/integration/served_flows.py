"""Flows that end in every way there is. Run as a script, it deploys them all and asks for a run of each."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from flowbook import flow, get_run_logger, runtime, task
from flowbook.deployments import run_deployment


def attempts(folder: str, name: str) -> int:
    """How often this was called, in whatever process."""
    path = Path(folder) / name
    path.write_text(path.read_text() + "x" if path.exists() else "x")
    return len(path.read_text())


@flow
def raises() -> None:
    raise ValueError("no such day")


@flow
def exits() -> None:
    print("on my way out")
    sys.exit(3)


@flow
def exits_as_if_well() -> None:
    sys.exit(0)


@flow
def exits_at_once() -> None:
    os._exit(7)


@flow
def is_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@flow(log_prints=True)
def speaks() -> str:
    print("a print")
    get_run_logger().warning("a warning")
    subprocess.run(["echo", "a child"], check=True)
    os.write(1, b"from C, \xff, with no end of line")
    return "done"


@flow
def prints() -> None:
    print("not for the log, but for the output")
    print("an error", file=sys.stderr)


@flow
def wants_memory() -> None:
    bytearray(1 << 30)


@flow(timeout_seconds=0.5)
def takes_too_long() -> None:
    time.sleep(60)


@flow(retries=2, retry_delay_seconds=0)
def fails_twice(folder: str) -> int:
    count = attempts(folder, "fails_twice")
    if count < 3:
        raise ValueError(f"attempt {count}")
    return count


@flow(retries=1, retry_delay_seconds=0)
def is_killed_once(folder: str) -> None:
    if attempts(folder, "is_killed_once") == 1:
        os.kill(os.getpid(), signal.SIGKILL)


@flow(retries=1, retry_delay_seconds=0)
def is_killed_each_time(folder: str) -> None:
    attempts(folder, "is_killed_each_time")
    os.kill(os.getpid(), signal.SIGKILL)


@task
async def double(n: int) -> int:
    await asyncio.sleep(0)
    return 2 * n


@flow(log_prints=True)
async def awaits(n: int = 4) -> None:
    print("doubled:", await double(n))


@flow(log_prints=True)
def yields() -> Iterator[int]:
    for n in range(3):
        print("yields", n)
        yield n


@flow(log_prints=True)
async def yields_async() -> AsyncIterator[int]:
    for n in range(3):
        print("yields", n)
        yield n


@flow(log_prints=True)
def asks_who_it_is(n: int = 1) -> None:
    of = runtime.deployment
    print("I am", of.id, of.name, of.version, of.parameters, of.flow_run_id == runtime.flow_run.id)


@flow(flow_run_name=lambda: 1 / 0)  # type: ignore[misc,arg-type]
def cannot_begin() -> None: ...


under_options = prints.with_options(name="under-options")

if __name__ == "__main__":

    @flow(log_prints=True)
    def of_the_script_only() -> None:
        print("here as well:", Path.cwd())

    folder = sys.argv[1]
    values: dict[str, dict[str, Any]] = {
        name: {"folder": folder} for name in ("fails-twice", "is-killed-once", "is-killed-each-time")
    }
    values["asks-who-it-is"] = {"n": 5}
    variables = {"wants-memory": {"memory_mb": 512}, "prints": {"env": {"PYTHONIOENCODING": "utf-8"}}}
    found = {each.name: each for each in list(globals().values()) if isinstance(each, type(raises))}
    found["inline"] = speaks.with_options(name="inline")
    for name, each in found.items():
        each.deploy("d", parameters=values.get(name, {}), job_variables=variables.get(name), print_next_steps=False)
        run_deployment(f"{name}/d", timeout=0, flow_run_name=f"run-of-{name}")
