"""``flowbook promote --follow``: each save of a notebook becomes a version, as a person sees it in a terminal."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from flowbook import engine
from flowbook.cli.root import root
from flowbook.promote import promote
from flowbook.promote.following import Followed, wait_for_save
from flowbook.store.deployments import all_deployments, manifest_of, schedules_of

pytestmark = pytest.mark.timeout(120)

FOLLOWED = "Each save of report.ipynb, or of a file beside it that it imports, is deployed now. Ctrl-C ends that.\n"


def with_output(path: Path, text: str) -> None:
    """Save the notebook as Jupyter does after a cell has run."""
    plain = json.loads(path.read_text())
    plain["cells"][0] |= {
        "execution_count": len(text),
        "outputs": [{"output_type": "stream", "name": "stdout", "text": text}],
    }
    path.write_text(json.dumps(plain))


def renamed_into_place(path: Path, content: str) -> None:
    """Save it as an editor does that writes a file beside it first."""
    beside = path.with_suffix(".tmp")
    beside.write_text(content)
    beside.replace(path)


@pytest.mark.slow
def test_each_save_of_code_is_a_version_until_ctrl_c(make_notebook: Any) -> None:
    path = make_notebook("report", "x = 1", "y = 2")
    command = [sys.executable, "-m", "flowbook.cli", "promote", path.name, "--follow", "--every", "1h"]
    saves: list[tuple[Callable[[], Any], str]] = [
        (lambda: make_notebook("report", "x = 1", "y = 3"), r"Deployed 'report', version 2: the code \(1 cell\)\.$"),
        (
            lambda: make_notebook("report", "x = 1", "y = 3\nz = input()"),
            r"Version 2 stays deployed\. Cell 2, line 2: input\(\) has nobody to ask .*\.$",
        ),
        (lambda: make_notebook("report", "x = 1", "y = ("), r"Version 2 stays deployed\. Cell 2, line 1: '\(' was"),
        (lambda: path.write_text(path.read_text()[:60]), r"Version 2 stays deployed\. .*report\.ipynb is not a note"),
        (path.unlink, r"Version 2 stays deployed\. There is no notebook .*report\.ipynb\."),
        (lambda: make_notebook("report", "x = 1", "y = 3"), r"report\.ipynb is as version 2 again\.$"),
        (
            lambda: make_notebook("report", "import near", "y = 3"),
            r"Deployed 'report', version 3: the code \(1 cell\), local files near\.py\.$",
        ),
        (
            lambda: path.with_name("near.py").write_text("y = 4"),
            r"Deployed 'report', version 4: local files near\.py\.$",
        ),
    ]
    path.with_name("near.py").write_text("y = 3")
    with subprocess.Popen(command, cwd=path.parent, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert "version 1" in next(lines)
        assert any(line == FOLLOWED for line in lines)
        for save, says in saves:
            save()
            said = next(lines)
            assert re.match(says, said), said
        process.send_signal(signal.SIGINT)
        assert list(lines) == ["report.ipynb is not followed any more. Version 4 stays deployed.\n"]
    assert process.returncode == 0
    (made,) = all_deployments(engine.engine().database)
    assert made.version == 4
    assert [each.spec["interval"] for each in schedules_of(engine.engine().database, made.id)] == [3600.0]


@pytest.fixture
def followed(make_notebook: Any) -> Followed:
    """A notebook that is deployed and followed."""
    path = make_notebook("report", "x = 1\ny = 2")
    return Followed(path, promote(path), flow=None, force=False)


def test_a_save_of_outputs_alone_is_no_version(followed: Followed) -> None:
    with_output(followed.path, "hello")
    assert followed.saved() == []
    assert followed.made.version == 1


def test_what_is_only_said_otherwise_is_told_as_that(followed: Followed, make_notebook: Any) -> None:
    make_notebook("report", "x = 1  # one\ny = 2")
    assert followed.saved() == ["Deployed 'report', version 2: the code (comments, text or layout)."]


def test_the_modules_that_are_imported_are_followed_wherever_they_lead(make_notebook: Any) -> None:
    path = make_notebook("report", "import near\nopen('data.csv').read()")
    near, far = path.with_name("near.py"), path.with_name("far.py")
    near.write_text("x = 1")
    path.with_name("data.csv").write_text("1")
    followed = Followed(path, promote(path, data=["data.csv"]), flow=None, force=False)
    far.write_text("x = 2")
    assert followed.saved() == []
    near.write_text("from far import x")
    assert followed.saved() == ["Deployed 'report', version 2: local files far.py, near.py."]
    far.write_text("x = 4")
    path.with_name("data.csv").write_text("2")
    assert followed.saved() == ["Deployed 'report', version 3: local files far.py."]
    assert manifest_of(engine.engine().database, followed.made.id, 3)["data_files"] == {"data.csv": "declared"}

    near.unlink()
    first, warning = followed.saved()
    assert first == "Deployed 'report', version 4: local files far.py, near.py."
    assert warning.startswith("Warning: Cell 1, line 1: 'near' is imported, and is neither installed nor beside")
    seen = wait_for_save(followed.files, {})
    package = near.with_suffix("")
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert wait_for_save(followed.files, seen) != seen
    assert followed.saved() == ["Deployed 'report', version 5: local files near/__init__.py."]


def test_only_new_warnings_are_told(followed: Followed, make_notebook: Any) -> None:
    make_notebook("report", "%pip install pandas")
    first, warning = followed.saved()
    assert first == "Deployed 'report', version 2: the code (1 cell)."
    assert warning.startswith("Warning: Cell 1, line 1: `%pip install pandas`")
    make_notebook("report", "%pip install pandas", "x = 1")
    assert followed.saved() == ["Deployed 'report', version 3: the code (1 cell)."]


def test_several_errors_are_one_sentence(followed: Followed, make_notebook: Any) -> None:
    make_notebook("report", "input()\nx = gone")
    (said,) = followed.saved()
    assert said.startswith("Version 1 stays deployed. Cell 1, line 1: input() ")
    assert said.endswith(" (1 more: flowbook check says them all.)")


def test_a_file_that_is_renamed_into_place_is_a_save_even_if_its_time_is_kept(make_notebook: Any) -> None:
    path = make_notebook("report", "x = 1")
    times = path.stat()
    seen = wait_for_save(lambda: [path], {})
    renamed_into_place(path, path.read_text().replace("x = 1", "x = 2"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert wait_for_save(lambda: [path], seen) != seen


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("report.ipynb", "--dry-run"), "--dry-run stores nothing, so there is nothing to --follow"),
        (("report.ipynb", "--output", "json"), "leave out --output json"),
        (("flow.py:flow",), "--follow is for notebooks"),
    ],
)
def test_what_cannot_be_followed(words: tuple[str, ...], says: str) -> None:
    answer = CliRunner().invoke(root, ["promote", *words, "--follow"], prog_name="flowbook")
    assert answer.exit_code == 2
    assert says in answer.output
