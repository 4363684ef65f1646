"""Which kernel executes a notebook."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook.promote.checks.finding import Finding, Severity
from flowbook.promote.notebook import language_of

if TYPE_CHECKING:
    from jupyter_client.kernelspec import KernelSpecManager
    from nbformat import NotebookNode

PYTHON = "python3"


def kernel_specs() -> KernelSpecManager:
    """What starts the installed kernels. It looks where Jupyter does, which imports IPython to learn one folder."""
    from jupyter_client.kernelspec import KernelSpecManager

    return KernelSpecManager(kernel_dirs=_folders())


def installed_kernels() -> dict[str, Mapping[str, Any]]:
    """What ``kernel.json`` says of each installed kernel, by its name: its ``argv`` and its ``language``.

    Found as a `KernelSpecManager` finds them, whose package imports all that it takes to talk to kernels.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for folder in map(Path, _folders()):
        for file in sorted(folder.glob("*/kernel.json")):
            with suppress(OSError, ValueError):  # Jupyter leaves out what it cannot read, too
                said = json.loads(file.read_bytes())
                if isinstance(said, dict):
                    found.setdefault(file.parent.name.lower(), said)
    if PYTHON not in found and find_spec("ipykernel") is not None:
        found[PYTHON] = {"argv": [sys.executable], "language": "python"}
    return found


def _folders() -> list[str]:
    from jupyter_core.paths import jupyter_path

    of_ipython = os.path.expanduser(os.environ.get("IPYTHONDIR") or "~/.ipython")  # noqa: PTH111 - may have no home
    return [*jupyter_path("kernels"), os.path.join(of_ipython, "kernels")]  # noqa: PTH118


def choose_kernel(notebook: NotebookNode) -> tuple[str, Finding | None]:
    """The kernelspec that a run uses, and what there is to say about it.

    A notebook that names none, or one that is not installed here (editors write private names), runs in another kernel
    of its language, which for Python is ``python3``; without any, that is an error.
    """
    wanted = str(notebook.metadata.get("kernelspec", {}).get("name") or "")
    kernels = installed_kernels()
    known = sorted(kernels)
    if wanted in known:
        return wanted, None
    language = language_of(notebook)
    if language == "python":
        found = PYTHON if PYTHON in known else None
    else:
        found = next((name for name in known if str(kernels[name].get("language")).lower() == language), None)
    if found is not None:
        return found, _stand_in(wanted, found)
    return wanted or language, _missing(wanted or language, known)


def _stand_in(wanted: str, found: str) -> Finding:
    missing = f"The kernel {wanted!r} is not installed here" if wanted else "The notebook names no kernel"
    why = f"{missing}, so runs use {found!r}."
    fix = "Choose an installed kernel for the notebook, if that makes a difference."
    return Finding(severity=Severity.WARNING, title="Kernel", why=why, fix=fix)


def _missing(wanted: str, known: list[str]) -> Finding:
    installed = ", ".join(known) or "none"
    why = f"The notebook needs the kernel {wanted!r}, which is not installed here. Installed: {installed}."
    fix = "Install it where the worker runs, or choose another kernel for the notebook."
    return Finding(severity=Severity.ERROR, title="Kernel", why=why, fix=fix)
