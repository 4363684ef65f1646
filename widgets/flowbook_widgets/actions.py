"""What a person can do about a run that has failed, beside its view."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from flowbook_widgets.messages import Json

#: The MIME type by which flowbook's extension of JupyterLab finds what to offer as buttons. Others pass it over.
MIME_TYPE = "application/vnd.flowbook.run+json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """A button: its words, and the code of the cell that it executes, or why it cannot be pressed."""

    label: str
    key: str
    """The key of the keyboard that does the same."""
    code: str = ""
    problem: str = ""


def offered(run_id: str, kernel: str, actions: tuple[Action, ...]) -> Json:
    """What the extension is told; the buttons are for the kernel that has this id, and for no other."""
    return {"run": run_id, "kernel": kernel, "actions": [asdict(action) for action in actions]}


def kernel_id() -> str:
    """The id under which the server knows this kernel: it is in the name of the connection file. Empty outside one."""
    from ipykernel.kernelapp import IPKernelApp

    if not IPKernelApp.initialized():
        return ""
    return Path(IPKernelApp.instance().connection_file).stem.removeprefix("kernel-")
