"""Which file system holds a path, and whether that is one of another machine."""

from __future__ import annotations

import os
import re
from pathlib import Path

#: Types of file systems, as Linux names them, that reach over a network.
NETWORK = frozenset(
    "9p afs beegfs ceph cifs coda davfs gfs2 glusterfs gpfs lustre ncpfs nfs nfs4 ocfs2 orangefs pvfs2 smb2 smb3 smbfs "
    "fuse.ceph fuse.ceph-fuse fuse.davfs fuse.davfs2 fuse.gcsfuse fuse.glusterfs fuse.gvfsd-fuse fuse.rclone fuse.s3fs "
    "fuse.smbnetfs fuse.sshfs".split()
)

_MOUNTS = Path("/proc/self/mountinfo")
_OCTAL = re.compile(r"\\([0-7]{3})")


def network_file_system(path: Path) -> str | None:
    """The type of the network file system that holds `path`, or would; None if it is local, or not known."""
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # not Linux
        return None
    found = file_system(os.path.realpath(path), mounts)
    return found if found in NETWORK else None


def file_system(path: str, mountinfo: str) -> str | None:
    """The type (``ext4``, ``nfs4``) of the file system that holds `path`, an absolute one without links.

    `mountinfo` is the text of ``/proc/self/mountinfo``, see proc_pid_mountinfo(5). None if no mount holds the path.
    """
    found, longest = None, 0
    for line in mountinfo.splitlines():
        mount, _, kind = line.partition(" - ")
        fields = mount.split(" ")
        if len(fields) < 5 or not kind:
            continue
        point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4])
        if len(point) >= longest and (path == point or path.startswith(point.rstrip("/") + "/")):
            found, longest = kind.split(" ")[0], len(point)  # of two at one place, the later one is on top
    return found
