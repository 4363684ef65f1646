"""Which kernel executes a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbook.errors import NotebookError
from flowbook.promote.notebook import language_of

if TYPE_CHECKING:
    from nbformat import NotebookNode

_PYTHON = "python3"


def choose_kernel(notebook: NotebookNode) -> tuple[str, str | None]:
    """The kernelspec that a run uses, and a warning or None.

    A Python notebook whose kernelspec is not installed here (editors write private names) runs in ``python3``; for
    another language NotebookError says what is missing.
    """
    from jupyter_client.kernelspec import KernelSpecManager

    wanted = str(notebook.metadata.get("kernelspec", {}).get("name") or "")
    known = sorted(KernelSpecManager().find_kernel_specs())
    if wanted in known:
        return wanted, None
    language = language_of(notebook)
    if language == "python" and _PYTHON in known:
        missing = f"The kernel {wanted!r} is not installed here, so runs use {_PYTHON!r}." if wanted else None
        return _PYTHON, missing
    raise NotebookError(
        f"The notebook needs the kernel {wanted or language!r}, which is not installed here. "
        f"Installed: {', '.join(known) or 'none'}."
    )
