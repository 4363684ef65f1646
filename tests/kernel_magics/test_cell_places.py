"""``%%task --isolate`` and ``--runner``: a cell that runs elsewhere than in the kernel's own threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook

ELSEWHERE = ["--isolate process", "--runner processes"]


@pytest.mark.parametrize("option", ELSEWHERE)
def test_a_cell_in_a_process_of_its_own(nb: Notebook, option: str) -> None:
    nb.ok("import os\nbase = 20", "setup")
    nb.ok(f"%%task first --define {option}\nprint('said there')\none = base + 1\nfirst_pid = os.getpid()", "a")
    nb.ok("%%task second --define --isolate kernel --runner threads\ntwo = 2 * one\nsecond_pid = os.getpid()", "b")
    nb.ok("%flow run", "run")
    assert nb.value("(two, first_pid == os.getpid(), second_pid == os.getpid())") == (42, False, True)
    assert nb.output("a") == "said there\n"
    assert nb.value("os.path.exists(f'/proc/{first_pid}')") is False


def test_a_cell_in_a_process_run_alone(nb: Notebook) -> None:
    nb.ok("import os", "setup")
    assert nb.ok("#| task alone --isolate process\nprint('there')\npid = os.getpid()", "a") == "there\n"
    assert nb.value("pid != os.getpid()") is True
    said = nb.fails("%%task broken --isolate process\nratio = 1 / 0", "b")
    assert said.count("ZeroDivisionError: division by zero") == 1
    assert "ratio = 1 / 0" in said


def test_elements_in_processes(nb: Notebook) -> None:
    nb.ok("import os\nnumbers = [1, 2, 3]", "setup")
    source = "--map n=numbers --isolate process\nprint('got', n)\nsquare = n * n\npid = os.getpid()"
    nb.ok(f"%%task part {source}", "a")
    assert nb.value("square, os.getpid() in pid") == ([1, 4, 9], False)
    nb.ok("%flow run --all", "run")
    assert sorted(nb.output("a").splitlines()) == ["got 1", "got 2", "got 3"]


def test_a_cell_on_a_cluster_of_its_own_run(nb: Notebook) -> None:
    nb.ok("%%task far --runner dask --define\nimport os\nprint('far')\nfar_pid = os.getpid()", "a")
    nb.ok("%flow run --max-parallel 1", "run")
    assert nb.value("far_pid != __import__('os').getpid()") is True
    assert nb.output("a") == "far\n"
    assert nb.value("__import__('os').path.exists(f'/proc/{far_pid}')") is False


def test_what_a_function_changes_in_another_process_comes_back(nb: Notebook) -> None:
    nb.ok("def put(xs, x):\n    xs.append(x)", "setup")
    nb.ok("%%task make --define\nxs = []", "a")
    nb.ok("%%task grow --isolate process --define\nput(xs, 1)", "b")
    nb.ok("%%task end --define\nn = len(xs)", "c")
    nb.ok("%flow run", "run")
    assert nb.value("n") == 1
