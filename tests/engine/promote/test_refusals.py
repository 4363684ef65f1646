"""What cannot be promoted is refused with one sentence that says what is wrong, and nothing is stored."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from flowbook import engine
from flowbook.errors import FlowbookError, NotebookError
from flowbook.promote import promote
from flowbook.store.deployments import all_deployments

FLOWS = ("from flowbook import flow", "@flow\ndef load(): ...", "@flow\ndef report(day): ...")
PARAMETERS = "# parameters\nday: str = '2026-01-01'\nn: int = 3"

CELLS: list[tuple[str, tuple[str, ...], dict[str, Any], str]] = [
    ("empty", ("",), {}, r"no code cell"),
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


FILES: list[tuple[bytes, str]] = [
    (b"\xff\xfe\x00", r"is not UTF-8 text"),
    (b"print('hello')", r"is not JSON \(line 1: "),
    (b'{\n<<<<<<< HEAD\n "cells": []\n=======\n', r"has merge conflicts \(line 2\): resolve them first\.$"),
    (b"[1, 2]", r"is JSON, but not a notebook: it holds a list"),
    (b"{}", r"no usable `nbformat` version"),
    (b'{"nbformat": 9, "cells": []}', r"notebook format 9, which this flowbook does not know"),
    (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "x"}]}', r"not a valid notebook"),
]


@pytest.mark.parametrize(("content", "sentence"), FILES)
def test_a_file_that_is_no_notebook_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "report.ipynb"
    path.write_bytes(content)
    with pytest.raises(NotebookError, match=sentence):
        promote(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotebookError, match=r"report\.ipynb cannot be read: No such file or directory\.$"):
        promote(tmp_path / "report.ipynb")
    with pytest.raises(NotebookError, match=r"is a folder, not a notebook\.$"):
        promote(tmp_path)


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


def test_old_notebooks_are_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "old.ipynb"
    cell = {"cell_type": "code", "source": "x = 1", "metadata": {}, "outputs": [], "execution_count": 3}
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 2, "metadata": {}, "cells": [cell]}))
    assert promote(path).kind == "plain"
