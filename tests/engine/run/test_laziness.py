"""What importing costs: decorating functions loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

FORBIDDEN = (
    "alembic IPython cryptography dask distributed nbclient nbformat "
    "pandas numpy psutil pydantic sqlalchemy jupyter_server"
).split()

USES = {
    "import": "import flowbook",
    "names": "from flowbook import flow, run_notebook, task",
    "decorators": """
from flowbook import flow, task, get_run_logger, unmapped

@task(retries=3, retry_delay_seconds=[1, 2], timeout_seconds=5, log_prints=True, tags=["a"])
def one(x: int) -> int:
    return x

@task
async def two(x: int) -> int:
    return x

@flow(name="pipeline", retries=1, log_prints=True)
def pipeline(n: int = 3) -> int:
    return one(n)
""",
    "modules": """
import flowbook.cache_policies, flowbook.errors, flowbook.futures, flowbook.logging, flowbook.settings
import flowbook.states, flowbook.task_runners
from flowbook.cache_policies import INPUTS
from flowbook import task
from flowbook.task_runners import ThreadPoolTaskRunner
task(cache_policy=INPUTS)(len)
""",
}


def loaded_by(code: str) -> set[str]:
    code += "\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.slow
@pytest.mark.parametrize("use", USES)
def test_nothing_heavy_is_imported_before_something_runs(use: str) -> None:
    loaded = loaded_by(USES[use])
    assert "flowbook" in loaded
    assert loaded.isdisjoint(FORBIDDEN)


@pytest.mark.slow
def test_nothing_is_written_before_something_runs(tmp_path: object) -> None:
    code = USES["decorators"] + "\nimport os\nprint(os.path.exists(os.environ['FLOWBOOK_HOME']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert done.stderr == ""
