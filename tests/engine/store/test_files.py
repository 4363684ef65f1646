"""The files of a home: whose they are, and what is said when they cannot be used."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from flowbook import task
from flowbook.errors import StoreError
from flowbook.store.database import Database


@task
def double(x: int) -> int:
    return 2 * x


def test_files_are_their_owner_s_only(home: Path) -> None:
    double(1)
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "flowbook.db").stat().st_mode & 0o777 == 0o600


def test_a_corrupt_file_is_told_and_left_alone(home: Path) -> None:
    home.mkdir()
    path = home / "flowbook.db"
    path.write_bytes(b"this is no database " * 500)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"The database sqlite:.*flowbook\.db cannot be used: file is not a database"):
        double(1)
    assert path.read_bytes() == before


def test_a_home_that_cannot_be_made_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FLOWBOOK_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(StoreError, match=r"cannot be made: Not a directory\. Set FLOWBOOK_HOME to a folder you can"):
        double(1)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
@pytest.mark.parametrize("made", [False, True], ids=["no database yet", "a database"])
def test_a_read_only_folder_is_told(home: Path, made: bool) -> None:
    code = """
        import os, sys
        from flowbook import task

        one = task(lambda: 1)
        one()  # everything is imported now, and another user need not be able to
        os.environ["FLOWBOOK_HOME"] = sys.argv[1]
        if os.geteuid() == 0:
            os.seteuid(65534)
        one()
        """
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders cannot be entered by another user
        target = Path(folder, "home")
        target.mkdir()
        if made:
            database = Database(f"sqlite:///{target / 'flowbook.db'}")
            database.close()
            (target / "flowbook.db").chmod(0o444)
        target.chmod(0o555)
        Path(folder).chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), str(target)], capture_output=True, text=True, timeout=60
        )
        Path(folder).chmod(0o755)
        target.chmod(0o755)
    said = done.stderr.strip().splitlines()[-1]
    assert said.startswith("flowbook.errors.StoreError: The database ")
    assert ("Check that its folder is writable" if made else "Set FLOWBOOK_HOME to a folder you can write to") in said
