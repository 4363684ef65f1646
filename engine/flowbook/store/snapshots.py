"""Snapshots: what versions of deployments run, kept in the database by their SHA-256, so all machines have them.

The lock of a version is kept in the same way.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flowbook.errors import NotFound, StoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from flowbook.store.database import Database


def sha_of(content: bytes) -> str:
    """What a snapshot with this content is called."""
    return hashlib.sha256(content).hexdigest()


def keep_snapshot(connection: Connection, sha: str, content: bytes, now: float) -> None:
    """Keep a snapshot. One that is there already counts as made `now`, so that nobody deletes it meanwhile."""
    from sqlalchemy import insert, update

    from flowbook.store.schema import snapshot

    again = update(snapshot).where(snapshot.c.sha == sha).values(created=now)
    if not connection.execute(again).rowcount:
        connection.execute(insert(snapshot).values(sha=sha, content=content, created=now))


def unused_snapshots(connection: Connection, before: float) -> list[str]:
    """The snapshots made before this time that no version of a deployment names any more."""
    from sqlalchemy import select

    from flowbook.store.schema import deployment_version, snapshot

    old = set(connection.scalars(select(snapshot.c.sha).where(snapshot.c.created < before)))
    if old:
        manifests = connection.scalars(select(deployment_version.c.manifest))
        for manifest in map(json.loads, manifests):
            old -= {manifest.get("snapshot"), manifest.get("lock")}
    return sorted(old)


def delete_snapshots(connection: Connection, shas: Sequence[str], before: float) -> int:
    """Delete these snapshots, except those kept again since this time; returns how many were."""
    from sqlalchemy import delete

    from flowbook.store.schema import snapshot

    these = (snapshot.c.sha.in_(shas), snapshot.c.created < before)
    return connection.execute(delete(snapshot).where(*these)).rowcount


def load_snapshot(database: Database, sha: str, file: Path | None = None) -> bytes:
    """The content of a snapshot. Raises NotFound if it is gone, StoreError if it is not what was kept.

    `file` is where it is if it was made before snapshots were kept in the database.
    """
    from sqlalchemy import select

    from flowbook.store.schema import snapshot

    with database.read() as connection:
        content = connection.scalar(select(snapshot.c.content).where(snapshot.c.sha == sha))
    if content is None and file is not None and file.is_file():
        content = file.read_bytes()
    if content is None:
        raise NotFound(f"The snapshot {sha[:12]} of the deployment is not in the database. Deploy it again.")
    if sha_of(content) != sha:
        raise StoreError(f"The snapshot {sha[:12]} of the deployment was changed since it was made. Deploy it again.")
    return bytes(content)
