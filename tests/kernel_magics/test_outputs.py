"""Output lands under the cell that made it, also when three run at once and long after the cells have ended."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook

MEET = "import threading\nmeet = threading.Barrier(3, timeout=60)\nfrom IPython.display import HTML, display"


def test_prints_displays_and_last_expressions_of_three_cells_at_once(nb: Notebook) -> None:
    nb.ok(MEET, "setup")
    for name in "pqr":
        nb.ok(
            f"%%task {name} --define\nmeet.wait()\nfor i in range(20): print('{name}', i)\nmeet.wait()\n"
            f"display(HTML('<b>{name}</b>'))\nmeet.wait()\n'{name}!'",
            name,
        )
    for _ in range(2):
        nb.ok("%flow run --all", "run")
        for name in "pqr":
            output = nb.outputs[name]
            assert output.of("stream") == "".join(f"{name} {i}\n" for i in range(20))
            displays = [item["data"] for item in output.items if item["kind"] == "display"]
            assert displays[0]["text/html"] == f"<b>{name}</b>"
            assert displays[1]["text/plain"] == f"'{name}!'"
            assert len(displays) == 2
        assert "print" not in nb.output("run")


def test_standard_error_and_warnings_land_under_the_cell(nb: Notebook) -> None:
    nb.ok("import sys, warnings", "setup")
    nb.ok("%%task e --define\nprint('oops', file=sys.stderr)\nwarnings.warn('careful')", "e")
    nb.ok("%flow run", "run")
    assert "oops" in nb.output("e")
    assert "UserWarning: careful" in nb.output("e")


def test_the_traceback_stands_under_the_failed_cell_and_begins_there(nb: Notebook) -> None:
    nb.ok("def helper(x):\n    return 1 / x", "setup")
    nb.ok("# comment\n%%task bad --define\n\nn = 0\nhelper(n)", "bad")
    nb.ok("%%task after --define\nz = n", "after")
    nb.ok("%%task beside --define\nbeside = 1", "beside")
    output = nb.fails("%flow run", "run")
    assert "FlowRunFailed: Failed at bad" in output
    assert "ZeroDivisionError: division by zero" in output
    assert "line 5" not in nb.outputs["run"].of("error")
    traceback = nb.outputs["bad"].of("error")
    frames = re.findall(r"(?:Cell In\[\d+\]|File \S+), line \d+|Cell In\[\d+\], line \d+", traceback)
    assert frames[0].startswith("Cell In[")
    assert frames[0].endswith("line 5"), traceback
    assert "----> 5 helper(n)" in traceback
    assert "flowbook" not in traceback
    assert nb.output("after") == ""
    assert nb.value("beside") == 1
    states = {name: state for name, _, state in nb.states()}
    assert states == {"bad": "Failed", "after": "NotReady", "beside": "Completed"}
    assert "Not run" in nb.output("run")


def test_the_traceback_of_a_single_task_begins_in_its_cell(nb: Notebook) -> None:
    nb.ok("1", "first")
    output = nb.fails("%%task bad\n!true\nn = 0\n1 / n", "bad")
    number = nb.value("get_ipython().execution_count") - 1
    assert f"Cell In[{number}], line 4" in output
    assert "# %%task bad" in output
    assert "run_cell_magic" not in output
    assert "hidden" not in output


def test_a_traceback_goes_when_the_task_succeeds(nb: Notebook) -> None:
    nb.ok("fail = [1]", "setup")
    nb.fails("%%task maybe\nif fail: raise OSError('not yet')\nx = 1", "maybe")
    assert "not yet" in nb.output("maybe")
    nb.ok("fail = []", "setup")
    nb.ok("%flow run", "run")
    assert nb.output("maybe") == ""


@pytest.mark.parametrize(("end", "shown"), [("x", "1"), ("x;", ""), ("x; # why", ""), ("x = 2", ""), ("None", "")])
def test_what_is_shown_at_the_end_of_a_cell(nb: Notebook, end: str, shown: str) -> None:
    assert nb.ok(f"%%task\nx = 1\n{end}", "a") == shown
    nb.ok("%flow run --all", "b")
    assert nb.output("a") == shown


def test_figures_land_under_their_own_cells(nb: Notebook) -> None:
    nb.ok("%matplotlib inline\nimport matplotlib.pyplot as plt", "setup")
    for name in "pq":
        nb.ok(f"%%task {name} --define\nplt.plot([1, 2]);\nplt.title('{name}')\nprint('drawn {name}');", name)
    assert nb.ok("%%task alone\nplt.plot([3]);", "alone") != ""
    nb.ok("%flow run --all", "run")
    for name in ("p", "q", "alone"):
        images = [item for item in nb.outputs[name].items if "image/png" in item.get("data", {})]
        assert len(images) == 1, (name, nb.outputs[name].items)
    assert not any("image/png" in item.get("data", {}) for item in nb.outputs["run"].items)
    assert nb.value("plt.get_fignums()") == []


def test_a_figure_that_a_helper_draws_lands_under_the_cell_that_calls_it(nb: Notebook) -> None:
    draw = "def draw(n):\n    plt.plot(range(n))\n    return len(plt.gca().lines)"
    nb.ok(f"%matplotlib inline\nimport matplotlib.pyplot as plt\n{draw}", "setup")
    nb.ok("%%task one --define\none = draw(3)", "a")
    nb.ok("%%task two --define\ntwo = draw(4)", "b")
    nb.ok("%flow run", "run")
    assert nb.value("(one, two)") == (1, 1)
    for cell in ("a", "b"):
        assert nb.outputs[cell].of("display") == "<Figure size 640x480 with 1 Axes>"


def test_a_figure_that_is_shown_by_hand_appears_once(nb: Notebook) -> None:
    nb.ok("%matplotlib inline\nimport matplotlib.pyplot as plt", "setup")
    nb.ok("%%task p\nfig, ax = plt.subplots()\nax.plot([1, 2])\nplt.show()", "p")
    nb.ok("%flow run --all", "run")
    assert len([item for item in nb.outputs["p"].items if "image/png" in item.get("data", {})]) == 1


def test_a_retried_task_shows_its_last_attempt(nb: Notebook) -> None:
    nb.ok("left = [1, 1]", "setup")
    nb.ok("%%task r --retries 2 --define\nprint('try')\nif left: left.pop(); raise OSError\nr = 1", "r")
    nb.ok("%flow run", "run")
    assert nb.outputs["r"].of("stream").count("try") == 1
    assert "OSError" not in nb.output("r")


def test_what_a_run_has_put_out_goes_with_the_next_also_after_silent_ones(nb: Notebook) -> None:
    nb.ok("lines = []", "setup")
    nb.ok("%%task p --define\nfor line in lines: print(line)\nn = len(lines)", "p")
    for lines in ([], ["one"], [], [], ["two"], ["three"], []):
        nb.ok(f"lines = {lines}", "setup")
        nb.ok("%flow run --all", "run")
        assert nb.output("p") == "".join(f"{line}\n" for line in lines)
