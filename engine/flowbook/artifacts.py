"""What tasks and flows publish for people: Markdown, tables, links, images and progress.

An artifact is stored with the run that made it. In a notebook it also appears under the cell of that run; in a script
one line of the log names it. Several artifacts of one key are its history, the newest of which
:meth:`Artifact.get` returns. `flowbook artifact ls` lists them.

Keys hold lowercase letters, digits and dashes. What an artifact holds may take 1 MiB as JSON. ``UsageError`` is raised
for what cannot be meant. A view shows what is stored and never runs it: raw HTML in Markdown is shown as text.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flowbook import engine
from flowbook.core.artifact_data import (
    check_size,
    image_data,
    key_of,
    percent,
    required_text,
    table_data,
    text_of,
)
from flowbook.errors import NotFound, UsageError
from flowbook.run.current import speaker
from flowbook.run.ids import new_id
from flowbook.run.task_execution import TaskExecution
from flowbook.run.unattended import run_of_this_kernel

if TYPE_CHECKING:
    from uuid import UUID

    from flowbook.store.artifacts import StoredArtifact

__all__ = [
    "Artifact",
    "create_image_artifact",
    "create_link_artifact",
    "create_markdown",
    "create_markdown_artifact",
    "create_progress_artifact",
    "create_table_artifact",
    "update_progress_artifact",
]

_log = logging.getLogger("flowbook.artifacts")


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """An artifact as it is stored.

    `data` is, by `type`: ``markdown``: the text; ``table``: a dict of lists, a list of dicts or a list of lists;
    ``link``: a dict of ``link`` and ``text``; ``image``: its address; ``progress``: percent. Times are aware (UTC).
    """

    id: str
    key: str | None
    type: str
    description: str | None
    data: Any
    flow_run_id: str | None
    task_run_id: str | None
    created: datetime
    updated: datetime

    @classmethod
    def get(cls, key: str) -> Artifact | None:
        """The artifact of this key that was made last, by any run; None if there is none."""
        from flowbook.store.artifacts import newest

        opened = engine.engine()
        opened.journal.flush()
        found = newest(opened.database, key)
        return None if found is None else _artifact(found)


def create_markdown_artifact(markdown: str, key: str | None = None, description: str | None = None) -> str:
    """Publish a text in Markdown (CommonMark with tables, task lists and formulas); returns the artifact's id."""
    return _create("markdown", required_text(markdown, "Markdown"), key, description)


create_markdown = create_markdown_artifact


def create_table_artifact(table: Any, key: str | None = None, description: str | None = None) -> str:
    """Publish a table; returns the artifact's id.

    `table` is a dict of lists (by column), a list of dicts (by row), a list of lists or a pandas DataFrame.
    """
    return _create("table", table_data(table), key, description)


def create_link_artifact(
    link: str, link_text: str | None = None, key: str | None = None, description: str | None = None
) -> str:
    """Publish a link, shown as `link_text`; returns the artifact's id.

    One that is not http, https, mailto or relative (``s3://…``) is kept, and shown as text that nobody can click.
    """
    address = required_text(link, "link")
    return _create("link", {"link": address, "text": text_of(link_text, "link text") or address}, key, description)


def create_image_artifact(image_url: Any, key: str | None = None, description: str | None = None) -> str:
    """Publish an image; returns the artifact's id.

    `image_url` is an http or https address, or a ``data:`` address of a PNG, JPEG, GIF or WebP image. The bytes of
    such a file (at most some 780,000, that is 1 MiB in base64) and a matplotlib figure are stored themselves.
    """
    return _create("image", image_data(image_url), key, description)


def create_progress_artifact(progress: float, key: str | None = None, description: str | None = None) -> str:
    """Publish how far something is, from 0 to 100 percent; returns the id for `update_progress_artifact`.

    A number outside of this range is a warning, and taken for the nearest in it.
    """
    return _create("progress", _clamped(progress), key, description)


def update_progress_artifact(artifact_id: str | UUID, progress: float, description: str | None = None) -> str:
    """Change a progress artifact, and its description if there is a new one; returns its id.

    The artifact stays one, where it is shown as well. Raises NotFound if there is none of this id.
    """
    shown = _progress_of(str(artifact_id).replace("-", ""))
    data = {"id": shown.id, "type": "progress", "update": True, "data": _clamped(progress)}
    if description is not None:
        data["description"] = shown.description = text_of(description, "description")
    _record(data)
    _show(shown, data["data"])
    return shown.id


@dataclass(slots=True)
class _Shown:
    """What a person sees of an artifact in this process."""

    id: str
    type: str
    description: str | None
    bundle: Mapping[str, str] | None = None


class _Progress:
    """The progress artifacts that were updated last, so that one update more need not ask the database."""

    most = 1000

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Shown] = OrderedDict()

    def add(self, shown: _Shown) -> None:
        with self._lock:
            self._known[shown.id] = shown
            if len(self._known) > self.most:
                self._known.popitem(last=False)

    def get(self, artifact_id: str) -> _Shown | None:
        with self._lock:
            if artifact_id in self._known:
                self._known.move_to_end(artifact_id)
            return self._known.get(artifact_id)


_progress = _Progress()


def _artifact(stored: StoredArtifact) -> Artifact:
    return Artifact(
        id=stored.id,
        key=stored.key,
        type=stored.type,
        description=stored.description,
        data=stored.data,
        flow_run_id=stored.flow_run_id,
        task_run_id=stored.task_run_id,
        created=datetime.fromtimestamp(stored.created, UTC),
        updated=datetime.fromtimestamp(stored.updated, UTC),
    )


def _create(kind: str, data: Any, key: str | None, description: str | None) -> str:
    key, description = key_of(key), text_of(description, "description")
    check_size(kind, [data, description])
    shown = _Shown(new_id(), kind, description)
    _record({"id": shown.id, "type": kind, "key": key, "description": description, "data": data})
    if kind == "progress":
        _progress.add(shown)
    if not _show(shown, data):
        _log.info("Published the %s artifact %s.", kind, shown.id if key is None else f"{key!r} ({shown.id})")
    return shown.id


def _record(data: Mapping[str, Any]) -> None:
    """Record an artifact of the current run, which is durable when that is; outside of any run at once."""
    run = speaker()
    if run is None:
        recorder = engine.engine().recorder
        recorder.emit("artifact", run_of_this_kernel(), None, data)
        recorder.flush()
    elif isinstance(run, TaskExecution):
        run.recorder.emit("artifact", run.flow.id if run.flow else None, run.id, data)
    else:
        run.recorder.emit("artifact", run.id, None, data)


def _progress_of(artifact_id: str) -> _Shown:
    from flowbook.store.artifacts import by_id

    known = _progress.get(artifact_id)
    if known is None:
        opened = engine.engine()
        opened.journal.flush()
        stored = by_id(opened.database, artifact_id)
        known = _shown_elsewhere(stored, artifact_id)
        _progress.add(known)
    return known


def _shown_elsewhere(stored: StoredArtifact | None, artifact_id: str) -> _Shown:
    if stored is None:
        raise NotFound(f"There is no artifact with the id {artifact_id!r}. create_progress_artifact() returns one.")
    if stored.type != "progress":
        raise UsageError(f"The artifact {artifact_id} is of the type {stored.type}: only progress can be updated.")
    return _Shown(stored.id, stored.type, stored.description)


def _clamped(progress: float) -> float:
    value = percent(progress)
    near = min(max(value, 0.0), 100.0)
    if near != value:
        _log.warning("A progress of %s percent was published; it is taken for %s.", value, near)
    return near


def _show(shown: _Shown, data: Any) -> bool:
    """Display the artifact in the output of the cell that runs; False where there is no notebook."""
    # Who has not imported IPython is in no notebook, and need not pay for the import.
    ipython: Any = sys.modules.get("IPython")
    shell: Any = ipython.get_ipython() if hasattr(ipython, "get_ipython") else None
    remote: Any = sys.modules.get("flowbook.run.remote")
    elsewhere = remote is not None and remote.is_elsewhere()
    if getattr(shell, "kernel", None) is None and not elsewhere:
        return False
    from flowbook.core.artifact_html import mime_bundle

    try:
        bundle = mime_bundle(shown.type, data, shown.description)
        if bundle != shown.bundle:
            again = shown.bundle is not None
            if elsewhere:
                remote.display(bundle, {}, display_id=shown.id, again=again)
            else:
                shell.display_pub.publish(data=bundle, transient={"display_id": shown.id}, update=again)
        shown.bundle = bundle
    except Exception:  # what cannot be shown is stored all the same
        _log.warning("The artifact %s cannot be shown.", shown.id, exc_info=True)
    return True
