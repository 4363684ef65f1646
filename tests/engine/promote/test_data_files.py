"""Data files of a notebook: what a version records of them, and what is refused when it is promoted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flowbook import engine
from flowbook.cli.root import root
from flowbook.errors import UsageError
from flowbook.promote import promote
from flowbook.promote.changes import changes
from flowbook.promote.data_files import gone
from flowbook.store.deployments import find_deployment, manifest_of


def recorded(version: int) -> dict[str, Any]:
    """The manifest of a version of the notebook ``book``."""
    database = engine.engine().database
    return manifest_of(database, find_deployment(database, "book").id, version)


@pytest.fixture
def book(make_notebook: Any) -> Path:
    """A notebook that reads ``rates.csv`` and makes ``made.csv``, beside them and the folder ``prices``."""
    path: Path = make_notebook(
        "book",
        "rates = open('./rates.csv').read()\nopen('made.csv', 'w').write(rates)",
        "made = open('made.csv').read()",
    )
    for name in ("rates.csv", "made.csv"):
        (path.parent / name).write_text("1")
    (path.parent / "prices").mkdir()
    return path


def test_what_is_read_and_what_is_declared_is_recorded(book: Path) -> None:
    made = promote(book, data=("prices/",))
    assert recorded(1)["data_files"] == {"rates.csv": "read", "prices": "declared"}
    assert "2 data files" in made.captured
    assert "1" not in json.dumps(recorded(1)["data_files"])  # names, not what is in them
    (book.parent / "rates.csv").unlink()
    assert list(gone(recorded(1)["data_files"], book.parent)) == [("rates.csv", "read")]


def test_what_was_declared_stays_until_something_else_is_said(book: Path) -> None:
    promote(book, data=("prices",))
    promote(book)
    assert recorded(2)["data_files"] == recorded(1)["data_files"]
    promote(book, data=())
    assert recorded(3)["data_files"] == {"rates.csv": "read"}
    assert changes(recorded(2), recorded(3)) == ["data files prices"]


def test_a_declared_file_that_is_not_there_is_refused(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"^The data file 'price' of .* is not there, seen from .*: bring it there"):
        promote(book, data=("price",))
    monkeypatch.chdir(book.parents[1])
    with pytest.raises(UsageError, match=r"name it as seen from there, as in --data rates\.csv\.$"):
        promote(book, data=("books/rates.csv",))
    promote(book, data=("prices",))
    (book.parent / "prices").rmdir()
    with pytest.raises(UsageError, match=r"'prices', which the version before of .* is gone from .*--no-data"):
        promote(book)
    assert promote(book, data=()).version == 2


def cli(*args: str) -> Result:
    return CliRunner().invoke(root, ["promote", *args], prog_name="flowbook")


def test_data_files_on_the_command_line(book: Path) -> None:
    assert cli(str(book), "--data", "prices", "--data", "made.csv").exit_code == 0
    assert recorded(1)["data_files"] == {"rates.csv": "read", "prices": "declared", "made.csv": "declared"}
    assert cli(str(book), "--no-data").exit_code == 0
    assert recorded(2)["data_files"] == {"rates.csv": "read"}
    assert "Both --data and --no-data are given" in cli(str(book), "--data", "prices", "--no-data").output
    assert "--data and --no-data are for notebooks" in cli("flow.py:flow", "--data", "prices").output
