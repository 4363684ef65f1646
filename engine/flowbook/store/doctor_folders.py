"""A check of the folders of runs against the database."""

from __future__ import annotations

import time

from flowbook.core.sizes import size_text
from flowbook.store.findings import Finding, Subject, fine, warning
from flowbook.store.kept_files import folder_size, known_runs, orphaned_folders
from flowbook.store.looking import looking_at
from flowbook.store.urls import parse_url

_LEFT_OVER = 3600.0  # seconds after which nobody writes to the folder of a run that is not there


def check_run_folders(subject: Subject) -> Finding | None:
    """Each folder of a run belongs to one."""
    title, url = "Folders of runs", parse_url(subject.database_url)
    folders = orphaned_folders(subject.home, set(), time.time() - _LEFT_OVER)
    if not folders:
        return fine(title, "None, or they are new.")
    with looking_at(url) as connection:
        known = known_runs(connection, [folder.name for folder in folders])
    left = [folder for folder in folders if folder.name not in known]
    if not left:
        return fine(title, f"{len(folders)}, each of a run.")
    return warning(
        title,
        f"{len(left)} ({size_text(sum(map(folder_size, left)))}) belong to no run of this database, such as {left[0]}.",
        "They go with `flowbook prune --older-than AGE`, if they are as old as that and of no other database.",
    )
