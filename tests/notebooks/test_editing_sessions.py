"""After any editing of a notebook, `%flow run` gives every variable the value that Restart & Run All gives it.

What people do is in ``sessions``, as text (`editing` tells how it is read).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.notebooks.editing import EditedNotebook, Session, sessions_in

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook
    from tests.notebooks.conftest import PlainNotebook

SESSIONS = [session for path in sorted(Path(__file__).parent.glob("sessions/*.txt")) for session in sessions_in(path)]


@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session.name.replace(" ", "-"))
def test_an_edited_notebook_is_as_run_anew(
    kernel: Notebook, plain_kernel: PlainNotebook, tmp_path: Path, session: Session
) -> None:
    notebook = EditedNotebook(kernel=kernel, plain=plain_kernel, folder=tmp_path, cells=dict(session.cells))
    notebook.play(session.steps)
    assert notebook.comparisons > 0
