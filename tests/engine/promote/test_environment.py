"""Environments that are built from locks: why a build failed, whose flowbook they have, and when they go."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from flowbook import engine
from flowbook.errors import CancelRequested
from flowbook.promote.environment import Building, cause_of, own_flowbook
from flowbook.promote.lock import has_requirement
from flowbook.run.ids import new_id
from flowbook.store.deployments import save_version
from flowbook.store.environments import environment_folder, is_whole, use
from flowbook.store.retention import Rule, prune

PIP = [
    "Looking in links: /wheels",
    "ERROR: Could not find a version that satisfies the requirement tiny==1 (from versions: none)",
    "ERROR: No matching distribution found for tiny==1",
    "[notice] A new release of pip is available",
]
UV = [
    "Using Python 3.12.1 environment at: /e",
    "  × No solution found when resolving dependencies:",
    "  ╰─▶ Because tiny was not found, and you require tiny==1, your",
    "      requirements are unsatisfiable.",
]


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (PIP, "ERROR: No matching distribution found for tiny==1"),
        (
            UV,
            "× No solution found when resolving dependencies: ╰─▶ Because tiny was not found, and you require tiny==1, "
            "your requirements are unsatisfiable.",
        ),
        (["Traceback:", "ModuleNotFoundError: No module named 'x'", ""], "ModuleNotFoundError: No module named 'x'"),
        ([], ""),
    ],
)
def test_the_cause_of_a_failed_build_is_what_pip_or_uv_says(said: list[str], cause: str) -> None:
    assert cause_of([f"{line}\n" for line in said]) == cause


def test_a_build_ends_when_its_run_is_cancelled() -> None:
    building = Building(1)
    threading.Thread(target=building.cancel, args=("not needed",)).start()
    program = "import time; time.sleep(600)"
    with pytest.raises(CancelRequested, match="not needed"):
        building.call([sys.executable, "-c", program], "cannot be made")


def test_a_lock_says_whether_it_has_a_distribution() -> None:
    lock = b"# Python 3.12.1\nIPyKernel==7.0\n-e file:///x  # mine==1\njupyter_client @ git+https://h/r@c\n"
    assert [has_requirement(lock, name) for name in ("ipykernel", "jupyter-client", "ipython")] == [True, True, False]


def test_an_environment_shares_the_flowbook_of_its_worker_where_that_is_not_installed() -> None:
    required, places = own_flowbook()
    assert required is None
    assert all(any((Path(place) / name).is_dir() for place in places) for name in ("flowbook", "flowbook_magics"))


def test_an_environment_is_whole_when_it_was_built_to_its_end_and_has_its_python(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(tmp_path / "python3.11")
    (tmp_path / "python3.11").touch()
    assert not is_whole(tmp_path)
    (tmp_path / "whole").touch()
    assert is_whole(tmp_path)
    (tmp_path / "python3.11").unlink()
    assert not is_whole(tmp_path)


def test_environments_go_that_no_version_names_any_more_and_no_run_is_in(home: Path) -> None:
    locks = {name: name[0] * 64 for name in ("named", "unused", "young", "busy")}
    database = engine.engine().database
    manifest = {"kind": "plain", "parameters": {}, "settings": {}, "snapshot": "s", "lock": locks["named"]}
    save_version(database, name="d", flow="d", manifest=manifest, schedules=[], new_id=new_id, snapshots={})
    folders = {name: environment_folder(home, lock, "f" * 64) for name, lock in locks.items()}
    now = time.time()
    for name, folder in folders.items():
        folder.mkdir(parents=True)
        (folder / "whole").touch()
        if name != "young":
            os.utime(folder / "whole", (now - 1000, now - 1000))
    half = environment_folder(home, "0" * 64, "f" * 64)
    half.mkdir()
    os.utime(half, (now - 1000, now - 1000))
    (half / "whole").unlink(missing_ok=True)
    use(folders["busy"])
    os.utime(folders["busy"] / "whole", (now - 1000, now - 1000))  # it has been for long
    assert prune(database, home, Rule(before=now - 500, dry_run=True)).environments == 3
    assert prune(database, home, Rule(before=now - 500)).environments == 2
    assert not folders["unused"].exists()
    assert not half.exists()
    assert [name for name, folder in folders.items() if folder.exists()] == ["named", "young", "busy"]
