"""``flowbook check``, as a person and a pipeline use it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flowbook.cli.root import root

BAD = ("x = 1\nname = input('?')", "%pip install pandas")


def cli(*args: str) -> Result:
    return CliRunner().invoke(root, args, prog_name="flowbook")


def test_a_notebook_in_which_nothing_is_found(make_notebook: Any) -> None:
    path = str(make_notebook("book", "x = 1"))
    answer = cli("check", path, "--strict")
    assert (answer.exit_code, answer.output) == (0, f"Nothing found: {path} can run unattended.\n")
    assert json.loads(cli("check", path, "--format", "json").output) == {"notebook": path, "findings": []}
    assert cli("check", path, "--format", "github").output == ""


def test_findings_as_text(make_notebook: Any) -> None:
    path = str(make_notebook("book", *BAD))
    answer = cli("check", path)
    assert answer.exit_code == 1
    assert answer.output.splitlines()[:2] == [
        "error    Cell 1, line 2: input() has nobody to ask in an unattended run, and fails there.",
        "         -> Make the answer a parameter, or read it from a file or an environment variable.",
    ]
    assert answer.output.endswith(f"\n1 error and 1 warning in {path}.\n")


def test_warnings_fail_only_a_strict_check(make_notebook: Any) -> None:
    path = str(make_notebook("book", BAD[1]))
    assert cli("check", path).exit_code == 0
    assert cli("check", path, "--strict").exit_code == 1


def test_findings_as_json(make_notebook: Any) -> None:
    path = str(make_notebook("book", *BAD))
    answer = cli("check", path, "--format", "json")
    assert answer.exit_code == 1
    first, second = json.loads(answer.output)["findings"]
    assert list(first) == ["severity", "title", "cell", "line", "why", "fix"]
    assert (first["severity"], first["title"], first["cell"], first["line"]) == ("error", "Cell 1", 0, 2)
    assert (second["severity"], second["cell"], second["line"]) == ("warning", 1, 1)


def test_every_cell_that_cannot_be_read_is_told(make_notebook: Any) -> None:
    cells = ("x = (", "%%task a --retires 3\nz = 1", "y = 1", "%%task b\ny = = 2", "%%task c --after d\nq = 1")
    answer = cli("check", str(make_notebook("book", *cells)))
    assert answer.exit_code == 1
    assert [line for line in answer.output.splitlines() if line.startswith("error")] == [
        "error    Cell 1, line 1: '(' was never closed: x = (.",
        "error    Cell 2, line 1: %%task has no option --retires. Did you mean '--retries'? `--help` lists them.",
        "error    Cell 4, line 2: Invalid syntax: y = = 2.",
    ]


def test_several_notebooks_are_checked_and_one_that_is_none_does_not_hide_what_others_have(make_notebook: Any) -> None:
    good, bad = str(make_notebook("good", "x = 1")), str(make_notebook("bad", *BAD))
    answer = cli("check", good, bad)
    assert answer.exit_code == 1
    assert answer.output.startswith(f"Nothing found: {good} can run unattended.\n\nerror    Cell 1, line 2: input()")
    answer = cli("check", good + "x", bad, "--format", "json")
    assert answer.exit_code == 2
    assert answer.stderr.startswith(f"Error: There is no notebook {good}x.")
    (one,) = json.loads(answer.stdout)
    assert (one["notebook"], len(one["findings"])) == (bad, 2)
    assert cli("check", good, bad, "--format", "github").output.count(f"file={bad},") == 2


def test_findings_as_annotations_of_github(make_notebook: Any) -> None:
    made = make_notebook("100%, a:b", *BAD, language="python", kernel=".gone")
    made.write_text(json.dumps(json.loads(made.read_text()), indent=1), encoding="utf-8")
    lines = made.read_text(encoding="utf-8").splitlines()
    kernel, error, warning = cli("check", str(made), "--format", "github").output.splitlines()
    file = str(made).replace("100%, a:b", "100%25%2C a%3Ab")
    at = next(number for number, line in enumerate(lines, 1) if "input" in line)
    assert kernel.startswith(f"::warning file={file},title=Kernel::The kernel '.gone' is not installed here")
    assert error.startswith(f"::error file={file},line={at},title=Cell 1%2C line 2::input() has nobody")
    at = next(number for number, line in enumerate(lines, 1) if "%pip" in line)
    assert warning.startswith(f"::warning file={file},line={at},title=Cell 2%2C line 1::`%25pip install pandas`")


def test_a_schedule_that_never_fires(make_notebook: Any) -> None:
    answer = cli("check", str(make_notebook("book", "x = 1")), "--schedule", "0 0 30 2 *")
    assert answer.exit_code == 1
    assert "never fires" in answer.output


FILES = {
    "nothing": (None, "Relative paths begin in the working directory."),
    "text": (b"print('hello')", "is not a notebook: it is not JSON (line 1: Expecting value)."),
    "list": (b"[1, 2]", "is JSON, but not a notebook: it holds a list."),
    "object": (b"{}", "it has no usable `nbformat` version."),
    "conflict": (b'{\n "cells": [\n<<<<<<< HEAD\n', "has merge conflicts (line 3): resolve them first."),
    "old": (
        b'{"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": []}',
        "is in an old notebook format: open it in Jupyter and save it, which makes it 4.",
    ),
}


@pytest.mark.parametrize("form", ["text", "json", "github"])
@pytest.mark.parametrize("name", FILES)
def test_what_is_no_notebook_is_one_sentence(tmp_path: Path, name: str, form: str) -> None:
    content, says = FILES[name]
    path = tmp_path / "report.ipynb"
    if content is not None:
        path.write_bytes(content)
    answer = cli("check", str(path), "--format", form)
    assert answer.exit_code == 2
    assert answer.output.startswith("Error: ")
    assert answer.output.endswith(says + "\n")
    assert answer.output.count("\n") == 1


def test_what_cannot_be_meant_is_a_usage_error(make_notebook: Any) -> None:
    assert cli("check").exit_code == 2
    assert cli("check", str(make_notebook("book", "x = 1")), "--format", "xml").exit_code == 2


def test_promote_refuses_what_would_fail_unless_forced(make_notebook: Any) -> None:
    path = str(make_notebook("book", *BAD))
    refused = cli("promote", path)
    assert refused.exit_code == 1
    assert "error    Cell 1, line 2: input() has nobody to ask" in refused.output
    assert "It was not promoted; --force promotes it all the same." in refused.output
    assert json.loads(cli("deployment", "ls", "--output", "json").output) == []
    assert cli("promote", path, "--force").output.startswith("Deployed 'book', version 1")
