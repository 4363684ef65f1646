"""Messages of widgets while a cell keeps the kernel's main thread busy.

JupyterLab since 4.4 sends them through a subshell of the kernel, which has a thread of its own. With other front ends
they wait for the end of the cell.
"""

from __future__ import annotations

from typing import Any


def hear_in_subshell(widget: Any) -> None:
    """Have the messages of a widget handled where the front end sends them to.

    Since 7.4 ipykernel has them handled by the shell that wrote to the widget last, which is the busy one.
    """
    if hasattr(widget.comm, "_reply_subshell_for"):
        widget.comm._reply_subshell_for = lambda _data, asked_for: asked_for
