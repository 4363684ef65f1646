"""Tab on the lines of the magics, as a front end asks a kernel for it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.waiting import WITHIN

from flowbook_magics import commands

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook


def tab(nb: Notebook, typed: str, after: str = "") -> list[str]:
    """What Tab makes of the last word typed, for each choice; `after` stands behind the cursor."""
    request = nb.client.complete(typed + after, len(typed))
    while True:
        reply = nb.client.get_shell_msg(timeout=WITHIN)
        if reply["parent_header"].get("msg_id") == request:
            break
    content = reply["content"]
    assert content["status"] == "ok"
    assert content["cursor_end"] == len(typed) or not content["matches"]
    begun = typed[: content["cursor_start"]].rpartition(" ")[2]
    return [begun + match for match in content["matches"]]


def option_names(command: object) -> list[str]:
    return [option.name for option in command.options]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("%flow ", ["show", "check", "run", "cancel", "debug", "export"]),
        ("%flow s", ["show"]),
        ("x = %flow r", ["run"]),
        ("1 + 1\n  %flow r", ["run"]),
        ("%runs ", ["show", "open", "diff", "retry", "cancel", *option_names(commands.RUNS)]),
        ("%runs re", ["retry"]),
        ("%schedule ", ["list", "next", "pause", "resume", "rm"]),
        ("%schedule next --", ["--name", "--limit", "--help"]),
        ("%tasks --", ["--help"]),
        ("%flow run --", [*option_names(commands.FLOW_RUN), "--help"]),
        (
            "%flow run --all --set a=1 --",
            ["--only", "--from-failed", "--set", "--max-parallel", "--background", "--help"],
        ),
        ("%logs --level w", ["WARNING"]),
        ("%deploy --catchup ", ["one", "all", "skip"]),
        ("%deploy --overlap=", ["--overlap=queue", "--overlap=skip", "--overlap=cancel-previous"]),
        ('%deploy --schedule "0 7 * * 1-5" --tz europe/zur', ["Europe/Zurich"]),
        ("%%task --cache ", ["inputs", "source", "off"]),
        ("%%task t --re", ["--retries", "--retry-delay"]),
        ("#| task t --re", ["--retries", "--retry-delay"]),
        ("# why\n\n#| task t --de", ["--define"]),
        ("# why\n%%flow nightly --p", ["--params"]),
        ("%%task t\nx = 1\n%flow ", ["show", "check", "run", "cancel", "debug", "export"]),
    ],
)
def test_verbs_options_and_words(nb: Notebook, typed: str, words: list[str]) -> None:
    assert tab(nb, typed) == words
    assert tab(nb, typed, "\nx = 1") == words


@pytest.mark.parametrize("typed", ["x = 1\n#| task t --re", "# task t --re", "%%tasks --re", "%timeit --re", "--re"])
def test_other_lines_are_not_ours(nb: Notebook, typed: str) -> None:
    assert "--retries" not in tab(nb, typed)


def test_names_of_the_notebook(nb: Notebook) -> None:
    nb.cells("%%task load --define\na = 1", "%%task 'last one' --define\nb = a", "%%task top --define\nc = b")
    nb.ok("%%flow nightly-report\n1", "d")
    assert tab(nb, "%logs ") == ["load", "'last one'", "top", *option_names(commands.LOGS)]
    assert tab(nb, "%logs t") == ["top"]
    assert tab(nb, "#| task load --after 'l") == ["'last one"]
    assert tab(nb, "#| task load --after ") == ["'last one'", "top"]
    assert tab(nb, "%%task new --after load,t") == ["load,top"]
    assert tab(nb, "%flow run n") == ["nightly-report", "nightly_report"]
    assert tab(nb, "%deploy n") == ["nightly-report", "nightly_report"]


def test_python_is_completed_as_before(nb: Notebook) -> None:
    nb.ok("wonderful = 1", "a")
    assert "wonderful" in tab(nb, "wonder")
    assert "wonderful" in tab(nb, "%%task t\nx = wonder")
    assert "%%task" in tab(nb, "%%ta")


def test_runs_of_the_record(nb: Notebook) -> None:
    nb.cells("%%task load --define\na = 1", "%flow run --all", "%flow run --all", "%flow run --all")
    assert tab(nb, "%logs --run ") == ["last", "prev", "3", "2", "1"]
    assert tab(nb, "%runs retry ") == ["last", "prev", "3", "2", "1"]
    assert tab(nb, "%runs cancel 3") == ["3"]
    assert tab(nb, "%runs diff prev l") == ["last"]


def test_deployments_schedules_and_pools_of_the_record(nb: Notebook, tmp_path: Path) -> None:
    deploys = ["%deploy --name weekdays --schedule '0 7 * * 1-5'", "%deploy --name hourly"]
    for name, lines in (("report.ipynb", deploys), ("other.ipynb", ["%deploy --name elsewhere"])):
        cells = [
            {"cell_type": "code", "id": f"c{n}", "metadata": {}, "outputs": [], "execution_count": None, "source": line}
            for n, line in enumerate(["%load_ext flowbook", "x = 1", *lines])
        ]
        path = tmp_path / name
        path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
        nb.ok(f"import os; os.environ['JPY_SESSION_NAME'] = {str(path)!r}", silent=True)
        for line in lines:
            nb.ok(line)
    assert tab(nb, "%runs --deployment ") == ["elsewhere", "hourly", "weekdays"]
    assert tab(nb, "%schedule list --name ") == ["elsewhere"]
    assert tab(nb, "%schedule pause ") == ["--name"]
    nb.ok(f"import os; os.environ['JPY_SESSION_NAME'] = {str(tmp_path / 'report.ipynb')!r}", silent=True)
    assert tab(nb, "%schedule list --name ") == ["hourly", "weekdays"]
    assert tab(nb, "%deploy --name w") == ["weekdays"]
    (schedule,) = (word for word in tab(nb, "%schedule pause ") if word != "--name")
    assert "Paused the schedule" in nb.ok(f"%schedule pause {schedule} --name weekdays")
    assert tab(nb, "%deploy --pool d") == ["default"]


def test_no_database_is_made_and_a_broken_one_is_no_error(nb: Notebook) -> None:
    lines = ("%runs retry l", "%runs --deployment ", "%schedule pause ", "%deploy --pool ", "%deploy --name ")
    shutil.rmtree(nb.home)  # which the fixture has made
    for line in lines:
        assert "last" not in tab(nb, line)
    assert not Path(nb.home).exists()
    Path(nb.home).mkdir()
    Path(nb.home, "flowbook.db").write_text("not a database" * 100)
    for url in (f"sqlite:///{nb.home}/flowbook.db", "nonsense://", "postgresql+psycopg://nobody@127.0.0.1:9/none"):
        nb.ok(f"import os; os.environ['FLOWBOOK_DATABASE_URL'] = {url!r}", silent=True)
        try:
            for line in lines:
                assert "last" not in tab(nb, line)
        finally:
            nb.ok("del os.environ['FLOWBOOK_DATABASE_URL']", silent=True)
    assert os.listdir(nb.home) == ["flowbook.db"]  # noqa: PTH208
    Path(nb.home, "flowbook.db").unlink()


def test_an_unloaded_extension_completes_nothing(nb: Notebook) -> None:
    assert tab(nb, "%flow r") == ["run"]
    nb.ok("%unload_ext flowbook", "a")
    assert "run" not in tab(nb, "%flow r")
    assert nb.value("len(get_ipython().Completer.custom_matchers)") == 0
    nb.ok("%load_ext flowbook", "b")
    assert tab(nb, "%flow r") == ["run"]
    assert nb.value("len(get_ipython().Completer.custom_matchers)") == 1
