"""What a run asks of ``flowbook_magics.unattended`` in its kernel: constant lines of code, and never a user's text."""

from __future__ import annotations

_MODULE = '__import__("flowbook_magics.unattended", fromlist=["_"])'

BEGIN = f"{_MODULE}.begin()"
SET_PARAMETERS = f"{_MODULE}.set_parameters()"
FINISH = f"{_MODULE}.finish()"


def enter_cell(index: int, *, plain: bool) -> str:
    """The cell at `index` comes next; before a plain one the kernel waits for the tasks that it needs."""
    return f"{_MODULE}.enter_cell({index:d}, {plain!r})"


def run_flow(variable: str, *, is_async: bool = False) -> str:
    """Run the flow that is bound to `variable`; one that `is_async` is awaited on the loop of the kernel."""
    if not variable.isidentifier():
        raise ValueError(f"{variable!r} is no variable")
    return f"{'await ' if is_async else ''}{_MODULE}.run_flow({variable!r})"
