"""What cannot be promoted is refused with one sentence that says what is wrong, and nothing is stored."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from flowbook import engine
from flowbook.errors import FlowbookError, NotebookError
from flowbook.promote import promote
from flowbook.promote.notebook import read_notebook, snapshot
from flowbook.store.deployments import all_deployments, manifest_of

FLOWS = ("from flowbook import flow", "@flow\ndef load(): ...", "@flow\ndef report(day): ...")
PARAMETERS = "# parameters\nday: str = '2026-01-01'\nn: int = 3"

CELLS: list[tuple[str, tuple[str, ...], dict[str, Any], str]] = [
    ("empty", ("",), {}, r"no code cell"),
    ("two", ("x = (", "z = 1 +"), {}, r"x = \(\. One other cell cannot be read either: `flowbook check` lists all of"),
    ("syntax", ("x = 1", "y = 2\nz = (1,"), {}, r"^Cell 2, line 2: '\(' was never closed: z = \(1,$"),
    (
        "duplicate",
        ("%%task load\nx = 1", "%%task load\ny = 1"),
        {},
        r"^Two cells are the task 'load': cell 1 and cell 2\. Give one of them another name",
    ),
    (
        "cycle",
        ("%%task a --after b\nx = 1", "%%task b\ny = x"),
        {},
        r"^The cells wait for each other: .*a.*→.*b",
    ),
    (
        "after",
        ("%%task clean\nx = 1", "%%task top --after claen\ny = 1"),
        {},
        r"^Cell 2, line 1: .*'claen'.*'clean'\?$",
    ),
    (
        "output",
        ("x = 1", "%%task top --out totl\ntotal = 1"),
        {},
        r"^Cell 2 declares --out totl, which the cell does not bind\. Did you mean 'total'\?",
    ),
    ("quotes", ("%%task 'a\nx = 1",), {}, r"^Cell 1, line 1: .*[Nn]o closing quotation"),
    ("option", ("# load\n%%task load --retires 3\nx = 1",), {}, r"^Cell 1, line 2: .*--retires.*--retries"),
    ("count", ("%%task load --retries many\nx = 1",), {}, r"^Cell 1, line 1: .*many"),
    ("unnamed", ("%%flow\nx = 1",), {}, r"^Cell 1, line 1: %%flow needs a name"),
    ("no-flow", ("x = 1",), {"flow": "nightly"}, r"defines no flow 'nightly'\. It defines none"),
    ("which-flow", FLOWS, {}, r"defines 2 flows: 'load', 'report'\. Say which one to promote with --flow NAME"),
    (
        "other-flow",
        FLOWS,
        {"flow": "reprot"},
        r"no flow 'reprot'\. Did you mean 'report'\? It defines 'load', 'report'",
    ),
    ("cron", ("x = 1",), {"cron": "0 25 * * *"}, r"hour"),
    ("never", ("x = 1",), {"cron": "0 0 30 2 *"}, r"never"),
    ("zone", ("x = 1",), {"cron": "0 7 * * *", "timezone": "Europe/Zürich"}, r"Europe/Zürich"),
    ("only-zone", ("x = 1",), {"timezone": "UTC"}, r"timezone 'UTC' is given without a schedule"),
    ("twice", ("x = 1",), {"cron": "0 7 * * *", "schedule": "0 8 * * *"}, r"Both `cron` and `schedule`"),
    (
        "unknown",
        (PARAMETERS,),
        {"parameters": {"dya": 1}},
        r"no parameter 'dya'\. Did you mean 'day'\? It has 'day', 'n'",
    ),
    ("none", ("x = 1",), {"parameters": {"day": 1}}, r"no parameter 'day'\. It takes none\."),
    ("type", (PARAMETERS,), {"parameters": {"n": "many"}}, r"^Parameter 'n' of deployment 'type' does not fit"),
    (
        "pair",
        (PARAMETERS,),
        {"parameter_texts": ["n=1", "day=x", "n=2"]},
        r"^Parameter 'n' .* is given twice; keep one\.$",
    ),
    (
        "list",
        ("# parameters\nregions: list[str] = ['eu']",),
        {"parameter_texts": ["regions=eu,us"]},
        r"valid list \(it is 'eu,us'\); write it as JSON, such as \[\"a\", \"b\"\] or \[1, 2\]\.$",
    ),
    (
        "date",
        ("# parameters\nimport datetime\nday: datetime.date = None",),
        {"parameter_texts": ["day=yesterday"]},
        r"too short \(it is 'yesterday'\); write it as 2026-01-31\.$",
    ),
    ("text", (PARAMETERS,), {"parameter_texts": ["n"]}, r"`--param n` is not of the form name=value"),
    (
        "required",
        (FLOWS[0], FLOWS[2]),
        {"cron": "0 7 * * *"},
        r"needs the parameter 'day': pass it, as with `--param day=…`, or give it a default",
    ),
    ("name", ("x = 1",), {"name": "a/b"}, r"'a/b' cannot name a deployment"),
]


@pytest.mark.parametrize(("name", "cells", "options", "sentence"), CELLS, ids=[case[0] for case in CELLS])
def test_a_notebook_that_cannot_be_meant_is_refused(
    make_notebook: Any, home: Path, name: str, cells: tuple[str, ...], options: dict[str, Any], sentence: str
) -> None:
    path = make_notebook(name, *cells)
    with pytest.raises(FlowbookError, match=sentence) as raised:
        promote(path, **options)
    assert "\n" not in str(raised.value)
    assert all_deployments(engine.engine().database) == []
    assert not (home / "snapshots").exists()


def file(*cells: Any, minor: int = 5, **more: Any) -> bytes:
    """A notebook file that names no kernel."""
    return json.dumps({"nbformat": 4, "nbformat_minor": minor, "metadata": {}, "cells": cells, **more}).encode()


def cell(source: Any, **more: Any) -> dict[str, Any]:
    """A code cell, without an id."""
    code = {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], "execution_count": None}
    return {**code, **more}


FILES: list[tuple[bytes, str]] = [
    (b" \n", r"is not a notebook: the file is empty\.$"),
    (b'{\n"a": "\xe9"}', r"is not UTF-8 text \(line 2\)\. Save it as UTF-8"),
    (b"print('hello')", r"is not JSON \(line 1: "),
    (b'{\n<<<<<<< HEAD\n "cells": []\n=======\n', r"has merge conflicts \(line 2\): resolve them first\.$"),
    (b"[1, 2]", r"is JSON, but not a notebook: it holds a list"),
    (b"{}", r"no usable `nbformat` version"),
    (b'{"nbformat": 2, "worksheets": []}', r"format 2, .* `jupyter nbconvert --to notebook --inplace .*report\.ipynb`"),
    (b'{"nbformat": 9, "cells": []}', r"notebook format 9, which this flowbook does not know"),
    (b'{"nbformat": 4, "metadata": {}}', r"is not a valid notebook: it has no `cells`\. Open it in Jupyter"),
    (file(metadata=None), r"it has no `metadata`\."),
    (file(1), r"entry 1 of its `cells` is none\."),
    (file(cell("x = 1"), cell(3)), r"3 is not valid .* \(cell 2 of all cells, `source`\)\."),
    (file({"cell_type": "x"}), r"not a valid notebook: cell 1 has no `metadata`\."),
    (file({"cell_type": "x", "metadata": {}}), r"not a valid notebook: .* \(cell 1 of all cells.*\)"),
    (file(cell("x = 1"), cell("y = 1\n<<<<<<< HEAD")), r"^Cell 2, line 2: invalid syntax: <<<<<<< HEAD$"),
    (file(), r"no code cell, so there is nothing to run"),
    (file({"cell_type": "markdown", "source": "# Report", "metadata": {}}), r"no code cell"),
    (file(cell("x = '" + "A" * (33 << 20) + "'")), r"has 33 MB without its outputs, .* at most 32 MB: move the data"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "sentence"), FILES, ids=[sentence for _, sentence in FILES])
def test_a_file_that_is_no_notebook_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "report.ipynb"
    path.write_bytes(content)
    with pytest.raises(NotebookError, match=sentence) as raised:
        promote(path)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotebookError, match=r"^There is no notebook .*report\.ipynb\. Relative paths begin in"):
        promote(tmp_path / "report.ipynb")
    (tmp_path / "reports.ipynb").touch()
    with pytest.raises(NotebookError, match=r"report\.ipynb\. Did you mean 'reports\.ipynb'\?$"):
        promote(tmp_path / "report.ipynb")
    with pytest.raises(NotebookError, match=r"is a folder, not a notebook\.$"):
        promote(tmp_path)
    (tmp_path / "loop.ipynb").symlink_to("loop.ipynb")
    with pytest.raises(NotebookError, match=r"loop\.ipynb cannot be read: Too many levels of symbolic links\.$"):
        promote(tmp_path / "loop.ipynb")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_opened_is_refused(make_notebook: Any) -> None:
    path: Path = make_notebook("report", "x = 1")
    path.parent.chmod(0)
    try:
        with pytest.raises(NotebookError, match=r"report\.ipynb cannot be read: Permission denied\.$"):
            promote(path)
    finally:
        path.parent.chmod(0o700)


def test_a_kernel_that_is_missing_is_refused_unless_python_can_stand_in(make_notebook: Any) -> None:
    with pytest.raises(
        NotebookError, match=r"needs the kernel 'ir', which is not installed here\. Installed: .*python3"
    ):
        promote(make_notebook("r", "x <- 1", kernel="ir", language="R"))
    made = promote(make_notebook("py", "x = 1", kernel=".venv-of-somebody"))
    (warning,) = made.warnings
    assert warning.startswith("The kernel '.venv-of-somebody' is not installed here, so runs use 'python3'.")


def test_a_sentence_is_never_a_traceback(make_notebook: Any) -> None:
    """The table above checks the sentences; none of them may leak how Python shows an error."""
    path = make_notebook("bad", "x = ")
    with pytest.raises(NotebookError) as raised:
        promote(path)
    assert not re.search(r"Traceback|<unknown>|<cell>|File \"", str(raised.value))


def test_a_notebook_without_its_kernel_runs_in_another_of_its_language(
    make_notebook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tmp_path / "share" / "kernels" / "r-4.5"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(json.dumps({"argv": [sys.executable], "display_name": "R", "language": "R"}))
    monkeypatch.setenv("JUPYTER_PATH", str(spec.parent.parent))
    made = promote(make_notebook("r", "x <- 1", kernel="ir", language="R"))
    assert made.warnings[0].startswith("The kernel 'ir' is not installed here, so runs use 'r-4.5'.")
    path = tmp_path / "none.ipynb"
    path.write_bytes(file(cell("x = 1")))
    assert promote(path).warnings[0].startswith("The notebook names no kernel, so runs use 'python3'.")


OLD: dict[str, bytes] = {
    "4.2": file(cell("x = 1"), cell("y = 1"), minor=2),
    "4.5-without-ids": file(cell("x = 1"), cell("y = 1")),
    "same-ids": file(cell("x = 1", id="cell-1"), cell("y = 1", id="cell-1"), cell("z = 1", id="not an id")),
    "3": json.dumps(
        {
            "nbformat": 3,
            "nbformat_minor": 0,
            "metadata": {"name": ""},
            "worksheets": [{"cells": [{"cell_type": "code", "input": "x = 1", "language": "python", "outputs": []}]}],
        }
    ).encode(),
}


@pytest.mark.parametrize("content", OLD.values(), ids=OLD)
def test_old_notebooks_are_brought_up_to_date_and_always_to_the_same(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "old.ipynb"
    path.write_bytes(content)
    notebook = read_notebook(path)
    ids = [each["id"] for each in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert snapshot(notebook) == snapshot(read_notebook(path))
    assert promote(path).kind == "plain"


def test_outputs_are_neither_kept_nor_checked(tmp_path: Path) -> None:
    path = tmp_path / "report.ipynb"
    image = {"output_type": "display_data", "data": {"image/png": "A" * (34 << 20)}, "metadata": {}}
    path.write_bytes(file(cell("x = 1", outputs=[image, {"output_type": "of another tool"}])))
    assert promote(path).kind == "plain"
    assert len(snapshot(read_notebook(path))[1]) < 1000


def test_half_a_character_does_not_hinder_a_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "report.ipynb"
    path.write_bytes(file(cell("x = 1"), {"cell_type": "markdown", "source": "\ud83d", "metadata": {}}))
    content = snapshot(read_notebook(path))[1]
    assert json.loads(content)["cells"][1]["source"] == "\ud83d"


def test_local_imports_are_captured_through_links(make_notebook: Any, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "sums.py").write_text("from . import rates")
    (elsewhere / "rates.py").write_text("")
    path = make_notebook("report", "from shared import sums")
    (path.parent / "shared").symlink_to(elsewhere)
    made = promote(path)
    manifest = manifest_of(engine.engine().database, made.id, 1)
    assert list(manifest["local_imports"]) == ["shared/rates.py", "shared/sums.py"]
