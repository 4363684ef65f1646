"""Which file system holds a path, as Linux lists its mounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbook import task
from flowbook.errors import StoreError
from flowbook.store.mounts import file_system

MOUNTS = r"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 27 0:40 / /home rw,relatime shared:2 master:3 - nfs4 files:/home rw,vers=4.2
31 30 8:1 / /home/local rw,relatime - xfs /dev/sda1 rw
32 27 0:41 / /mnt/with\040space rw - cifs //server/share rw
33 27 0:42 / /data rw - autofs systemd-1 rw,fd=29
34 33 0:43 / /data rw - fuse.sshfs me@host:/data rw
35 27 0:44 / /mnt/c rw,noatime - 9p drvfs rw
nonsense
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/root/.flowbook/flowbook.db", "ext4"),
        ("/", "ext4"),
        ("/home/ann/.flowbook/flowbook.db", "nfs4"),
        ("/home", "nfs4"),
        ("/homes/ann/flowbook.db", "ext4"),
        ("/home/local/flowbook.db", "xfs"),
        ("/mnt/with space/flowbook.db", "cifs"),
        ("/data/flowbook.db", "fuse.sshfs"),
        ("/mnt/c/Users/ann/flowbook.db", "9p"),
    ],
)
def test_the_innermost_and_latest_mount_holds_a_path(path: str, kind: str) -> None:
    assert file_system(path, MOUNTS) == kind


def test_what_is_not_listed_is_not_known() -> None:
    assert file_system("/home/ann", "") is None


@pytest.fixture
def network(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The home folder is on NFS."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"27 1 254:0 / / rw - ext4 /dev/vda rw\n30 27 0:40 / {home.resolve()} rw - nfs files:/ rw\n")
    monkeypatch.setattr("flowbook.store.mounts._MOUNTS", mounts)


@pytest.mark.usefixtures("network")
def test_a_home_on_a_network_file_system_is_refused_and_nothing_made(home: Path) -> None:
    with pytest.raises(StoreError) as raised:
        task(lambda: 1, name="one")()
    assert str(raised.value) == (
        f"The database file {home}/flowbook.db would be on a network file system (nfs), where SQLite can lose data. "
        "Set FLOWBOOK_HOME to a folder on a local disk, or FLOWBOOK_DATABASE_URL=postgresql+psycopg://… to a "
        "PostgreSQL server."
    )
    assert not home.exists()


@pytest.mark.usefixtures("network")
def test_a_link_to_a_network_file_system_is_seen_through(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(home)
    monkeypatch.setenv("FLOWBOOK_HOME", str(tmp_path / "link"))
    with pytest.raises(StoreError, match=r"network file system \(nfs\)"):
        task(lambda: 1, name="one")()


def test_without_a_list_of_mounts_every_file_system_will_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("flowbook.store.mounts._MOUNTS", tmp_path / "none")
    assert task(lambda: 1, name="one")() == 1
