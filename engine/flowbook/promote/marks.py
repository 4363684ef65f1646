"""What became of a cell, written into its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowbook.core.plain import one_line, shorten
from flowbook.core.states import State
from flowbook.core.view import look_of


def mark(cell: Any, state: State, *, name: str, duration: float | None) -> None:
    """Write into a cell what became of its task run; `duration` is in seconds."""
    cell.metadata["flowbook"] = {
        "task": name,
        "state": look_of(state),
        "attempt": state.attempt or 1,
        **({} if duration is None else {"duration": round(duration, 3)}),
    }


def show_values(cell: Any, values: Mapping[str, Any]) -> None:
    """Say below a parameters cell, which shows the defaults, with which values the run went on."""
    from nbformat.v4 import new_output

    said = "\n".join(["Parameters of this run:", *(f"{name} = {_shown(value)}" for name, value in values.items())])
    shown = new_output("display_data", {"text/plain": said}, metadata={"flowbook": "parameters"})  # type: ignore[no-untyped-call]
    cell.outputs.append(shown)


def call_text(flow: str, values: Mapping[str, Any]) -> str:
    """How a flow was called, as a comment."""
    arguments = ", ".join(f"{name}={_shown(value)}" for name, value in values.items())
    return f"# flowbook ran {one_line(flow)}({arguments})"


def _shown(value: Any) -> str:
    return shorten(one_line(repr(value)), 500)
