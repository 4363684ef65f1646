"""Which kernel executes a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbook.promote.checks.finding import Finding, Severity
from flowbook.promote.notebook import language_of

if TYPE_CHECKING:
    from nbformat import NotebookNode

_PYTHON = "python3"


def choose_kernel(notebook: NotebookNode) -> tuple[str, Finding | None]:
    """The kernelspec that a run uses, and what there is to say about it.

    A Python notebook whose kernelspec is not installed here (editors write private names) runs in ``python3``; for
    another language that is an error.
    """
    from jupyter_client.kernelspec import KernelSpecManager

    wanted = str(notebook.metadata.get("kernelspec", {}).get("name") or "")
    known = sorted(KernelSpecManager().find_kernel_specs())
    if wanted in known:
        return wanted, None
    language = language_of(notebook)
    if language == "python" and _PYTHON in known:
        return _PYTHON, _stand_in(wanted) if wanted else None
    return wanted or language, _missing(wanted or language, known)


def _stand_in(wanted: str) -> Finding:
    why = f"The kernel {wanted!r} is not installed here, so runs use {_PYTHON!r}."
    fix = "Choose an installed kernel for the notebook, if that makes a difference."
    return Finding(severity=Severity.WARNING, title="Kernel", why=why, fix=fix)


def _missing(wanted: str, known: list[str]) -> Finding:
    installed = ", ".join(known) or "none"
    why = f"The notebook needs the kernel {wanted!r}, which is not installed here. Installed: {installed}."
    fix = "Install it where the worker runs, or choose another kernel for the notebook."
    return Finding(severity=Severity.ERROR, title="Kernel", why=why, fix=fix)
