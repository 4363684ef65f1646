"""What ``--lock`` keeps with a version, and what is said of what cannot be kept."""

from __future__ import annotations

import json
import platform
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from flowbook import engine, flow
from flowbook.cli.root import root
from flowbook.errors import NotFound, UsageError
from flowbook.promote import promote
from flowbook.promote.lock import lock_of, make_lock
from flowbook.promote.revising import roll_back
from flowbook.store.deployments import find_deployment, manifest_of

VCS = {"vcs": "git", "commit_id": "c0ffee"}


def distribution(folder: Path, name: str, version: str, direct: dict[str, Any] | None = None) -> None:
    """What an installer leaves of a distribution."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if direct is not None:
        (info / "direct_url.json").write_text(json.dumps(direct))


def test_a_lock_is_a_requirements_file_of_all_that_is_imported(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    distribution(first, "Zeta", "1.0+cpu")
    distribution(second, "zeta", "2.0")
    distribution(first, "flowbook", "0.1.0")
    distribution(first, "pip", "26.0")
    distribution(first, "from-git", "3", {"url": "https://host/r.git", "vcs_info": VCS, "subdirectory": "a/b"})
    archive = {"url": "https://host/x-4.tar.gz", "archive_info": {"hashes": {"sha256": "abc"}}}
    distribution(first, "archived", "4", archive)
    distribution(second, "mine", "5", {"url": "file:///home/me/mine", "dir_info": {"editable": True}})
    distribution(second, "built", "6", {"url": "file:///tmp/built-6-py3-none-any.whl", "archive_info": {}})
    lock = make_lock(distributions(path=[str(first), str(second)]), "3.12.1")
    assert lock.content.decode().splitlines() == [
        "# Python 3.12.1",
        "archived @ https://host/x-4.tar.gz#sha256=abc",
        "built @ file:///tmp/built-6-py3-none-any.whl",
        "from-git @ git+https://host/r.git@c0ffee#subdirectory=a/b",
        "-e file:///home/me/mine  # mine==5",
        "Zeta==1.0+cpu",
    ]
    assert [warning.split(", which")[0] for warning in lock.warnings] == [
        "The lock names built by its local path file:///tmp/built-6-py3-none-any.whl",
        "The lock names mine by its editable path file:///home/me/mine",
    ]


def cli(*args: str) -> str:
    answer = CliRunner().invoke(root, args, prog_name="flowbook")
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_a_notebook_is_deployed_with_a_lock_until_it_is_said_otherwise(make_notebook: Any) -> None:
    path = str(make_notebook("book", "x = 1"))
    cli("promote", path)
    database = engine.engine().database
    with pytest.raises(NotFound, match=r"Version 1 of deployment 'book' has no lock\. Deploy it with --lock"):
        lock_of(database, "book")
    assert ", lock " in cli("promote", path, "--lock")
    printed = cli("deployment", "lock", "book")
    assert printed.startswith(f"# Python {platform.python_version()}\n")
    assert f"sqlalchemy=={version('sqlalchemy')}" in printed.lower().splitlines()
    sha = json.loads(cli("deployment", "inspect", "book", "--output", "json"))["captured"]["lock"]
    assert sha == make_lock().sha
    cli("promote", path, "--description", "as it stands")
    assert cli("deployment", "lock", "book", "--version", "3") == printed
    cli("promote", path, "--no-lock")
    with pytest.raises(NotFound, match="Version 4"):
        lock_of(database, "book")
    roll_back("book", 2)
    assert cli("deployment", "lock", "book") == printed
    assert "the lock" in cli("deployment", "versions", "book")


def test_a_python_flow_is_deployed_with_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution(tmp_path, "mine", "5", {"url": "file:///home/me/mine", "dir_info": {"editable": True}})
    monkeypatch.syspath_prepend(str(tmp_path))

    @flow
    def report() -> None: ...

    report.deploy("d", lock=True, print_next_steps=False)
    database = engine.engine().database
    found = find_deployment(database, "report/d")
    assert any("The lock names mine" in each for each in manifest_of(database, found.id, 1)["warnings"])
    assert "\n-e file:///home/me/mine  # mine==5\n" in lock_of(database, "report/d")
    with pytest.raises(UsageError, match=r"lock of .* is 'yes'; give True or False"):
        report.deploy("d", lock="yes")


def test_there_is_no_lock_of_another_language(make_notebook: Any) -> None:
    path = make_notebook("book", "x <- 1", kernel="ir", language="R")
    with pytest.raises(UsageError, match="the notebook of deployment 'book' is in r: deploy it with --no-lock"):
        promote(path, lock=True, force=True)
