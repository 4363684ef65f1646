"""What a notebook gives cell by cell in plain Jupyter, and what another run of it has in another way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook

VALUES = """
def _values(names):
    import types
    def plain(value):
        kind = type(value).__name__
        if kind in ("DataFrame", "Series"):
            return (kind, value.to_csv())
        if kind == "ndarray":
            return (kind, value.tolist())
        if isinstance(value, dict):
            return (kind, [(k, plain(v)) for k, v in value.items()])
        if isinstance(value, set):
            return (kind, sorted(map(repr, value)))
        if isinstance(value, (list, tuple)):
            return (kind, [plain(v) for v in value])
        if hasattr(value, "adj"):
            return (kind, [plain(list(value.nodes(data=True))), plain(list(value.edges(data=True)))])
        shown = repr(value)
        if " at 0x" not in shown and type(value).__module__.partition(".")[0] != "sklearn":
            return (kind, shown)
        return (kind, plain(vars(value)) if type(value).__module__ in ("__main__", "sklearn") else "an object")
    hidden = (types.ModuleType, types.FunctionType, type)
    return {
        k: repr(plain(v)) for k, v in names.items()
        if k[0] != "_" and k not in ("In", "Out", "exit", "quit", "get_ipython", "open")
        and not isinstance(v, hidden) and type(v).__name__ != "Task"
    }
"""


def values_of_plain_cells(kernel: Notebook, sources: Iterable[str]) -> dict[str, str]:
    """What each variable holds, as text, after all cells have run in a new notebook."""
    kernel.reset()
    for number, source in enumerate(sources):
        kernel.ok(source, f"cell-{number}")
    kernel.ok(VALUES, silent=True)
    values: dict[str, str] = kernel.value("_values(dict(globals()))")
    return values


def different(kernel: Notebook, expected: dict[str, str]) -> dict[str, tuple[str | None, str | None]]:
    """The names that hold something else than in plain cells, with what they hold and what they should.

    `VALUES` has run in the notebook.
    """
    found: dict[str, str] = kernel.value("_values(dict(globals()))")
    return {n: (found.get(n), expected.get(n)) for n in found.keys() | expected if found.get(n) != expected.get(n)}
