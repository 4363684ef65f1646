"""``flowbook runs diff``, ``%runs diff`` and ``%runs open``, of a notebook that was really deployed and run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from click.testing import CliRunner, Result

from flowbook.cli.root import root
from flowbook.engine import close_engines
from flowbook.promote import promote, request_run
from flowbook.runs import find_run
from flowbook.schedule.worker import Worker
from flowbook_magics.executed import executed

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook

pytestmark = pytest.mark.slow

CELLS = [
    "# parameters\nn: int = 3\ncity: str = 'Bern'",
    "import pandas as pd\nfrom PIL import Image\nprint('same')\nobject()",
    "print('to', city)",
    "pd.DataFrame({'price': range(4), 'many': [0, 0, n, 0]}, index=list('abcd'))",
    "Image.new('L', (20, 10), n)",
    "assert n < 5, city",
]


@pytest.fixture(scope="module")
def history(kernel: Notebook, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A deployed notebook and two runs of it, in the home of the kernel; the second fails at its end."""
    kernel.reset()
    close_engines()
    path = tmp_path_factory.mktemp("books") / "report.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS]), path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOWBOOK_HOME", kernel.home)
        promote(path)
        for parameters in ({}, {"n": 5, "city": "Chur"}):
            request_run("report", parameters)
        assert Worker(limit=2, pool="default").run_once() == 2
        kernel.ok(f"import os; os.environ['JPY_SESSION_NAME'] = {str(path)!r}", silent=True)
        yield path
        close_engines()


@pytest.fixture(autouse=True)
def same_home(history: Path, kernel: Notebook, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process looks where the kernel does."""
    monkeypatch.setenv("FLOWBOOK_HOME", kernel.home)


def diff(*args: str) -> Result:
    return CliRunner().invoke(root, ["runs", "diff", *args], prog_name="flowbook")


def test_two_runs_with_other_parameters() -> None:
    answer = diff("1", "2")
    assert answer.exit_code == 1
    said = answer.stdout
    assert "Different: 2 parameters, 1 task, 4 outputs." in said
    assert "  n: 3 (default) → 5\n  city: 'Bern' (default) → 'Chur'\n" in said
    assert re.search(r"^  cell 3 · print\('to', city\) +Succeeded .* +Succeeded ", said, re.MULTILINE)
    assert "    -to Bern\n    +to Chur\n" in said
    assert "  table: 1 row changed, 3 the same\n      row c · many: 3 → 5\n" in said
    assert "  picture: 200 of 200 pixels differ (100.0 %)\n" in said
    assert "2 cells are the same." in said
    assert max(map(len, said.splitlines())) <= 80


def test_a_run_that_failed_as_json() -> None:
    found = json.loads(diff("1", "2", "--output", "json").stdout)
    assert found["same"] is False
    assert found["differences"] == ["Run 1 ended as Succeeded, run 2 as Failed."]
    assert [each["name"] for each in found["parameters"]] == ["n", "city"]
    [task] = [task for task in found["tasks"] if task["is_changed"]]
    assert (task["before"]["look"], task["after"]["look"]) == ("succeeded", "failed")
    assert found["cells"][-1]["outputs"][0]["lines"][1:] == ["+AssertionError: Chur"]


def test_the_page_asks_nobody_and_holds_both_pictures(tmp_path: Path) -> None:
    answer = diff("1", "2", "--html", str(tmp_path / "changes.html"))
    assert answer.exit_code == 1
    assert f"The report is in {tmp_path}/changes.html." in answer.stderr
    page = (tmp_path / "changes.html").read_text(encoding="utf-8")
    assert page.count('src="data:image/png;base64,') == 3
    assert re.findall(r"""(?:src|href)=["']?(?!["']?data:)[^ >]*""", page) == []
    assert "<script" not in page
    assert "<td><del>3</del> <ins>5</ins></td>" in page
    refused = diff("1", "2", "--html", str(tmp_path / "nowhere" / "changes.html"))
    assert refused.exit_code == 2
    assert "cannot be written to" in refused.stderr


def test_in_the_notebook(kernel: Notebook) -> None:
    said = kernel.ok("%runs diff 1 2", "d")
    assert said == diff("1", "2").stdout.rstrip("\n")
    html = kernel.outputs["d"].items[0]["data"]["text/html"]
    assert "<del>3</del> <ins>5</ins>" in html
    assert "<script" not in html
    assert "Both are run 2 (" in kernel.fails("%runs diff last 2", "d")


def test_one_run_shows_why_and_where_it_failed(kernel: Notebook) -> None:
    said = kernel.ok("%runs show 2", "s")
    assert said.startswith("Failed at cell 6 · assert n < 5, city after ")
    assert " of deployment 'report', 2" in said and " Parameters: n=5, city='Chur'." in said
    assert "\nx Failed · cell 6 · assert n < 5, city · attempt 1\n  AssertionError: Chur\n" in said
    assert said.endswith("Cell In[6], line 1\n----> 1 assert n < 5, city\nAssertionError: Chur")
    html = kernel.outputs["s"].items[0]["data"]["text/html"]
    assert html.startswith("<p><strong>Failed</strong> at cell 6") and "data:image/svg+xml" in html
    assert "----&gt; 1 assert n &lt; 5, city" in html
    assert "AssertionError" not in kernel.ok("%runs show 1", "s")


def test_the_executed_notebook_is_copied_beside_the_notebook_and_linked(kernel: Notebook, history: Path) -> None:
    for _ in range(2):
        said = kernel.ok("%runs open 1", "o")
    copy = history.parent / "flowbook-runs" / "report-run-1.ipynb"
    assert str(copy) in said
    assert '<a href="flowbook-runs/report-run-1.ipynb">' in kernel.outputs["o"].items[0]["data"]["text/html"]
    assert copy.read_bytes() == Path(str(find_run(1).notebook)).read_bytes()
    assert copy.stat().st_mode & 0o777 == 0o400
    assert (copy.parent / ".gitignore").read_text() == "*\n"


def test_where_it_cannot_be_copied_it_is_said_where_it_is(kernel: Notebook, tmp_path: Path) -> None:
    (tmp_path / "flowbook-runs").write_text("a file")
    kernel.ok(
        f"kept = os.environ['JPY_SESSION_NAME']; os.environ['JPY_SESSION_NAME'] = '{tmp_path}/x.ipynb'", silent=True
    )
    said = kernel.fails("%runs open 1", "o")
    kernel.ok("os.environ['JPY_SESSION_NAME'] = kept", silent=True)
    assert "%runs open cannot copy the executed notebook to" in said
    assert f"It is kept as {find_run(1).notebook}." in said


def test_a_terminal_is_told_the_files(kernel: Notebook) -> None:
    shell: Any = SimpleNamespace()  # no kernel, so no front end
    run = find_run(1)
    assert str(executed(shell, run)) == (
        f"Run 1 ({run.name}) of flow 'report', Succeeded\n"
        f"Executed notebook: {run.notebook}\nAs a page:         {run.html}"
    )
    assert not Path("flowbook-runs").exists()


def test_only_runs_of_deployed_notebooks_have_one(kernel: Notebook) -> None:
    kernel.ok("from flowbook import flow\n@flow\ndef small():\n    pass\nsmall()", "f")
    assert "has no executed notebook: only unattended runs of notebooks keep one" in kernel.fails(
        "%runs open last", "o"
    )
    said = diff("1", "last").stdout
    assert "They are runs of two flows, 'report' and 'small'." in said
    assert "Run 3 has no executed notebook, so cells and outputs are not compared." in said
