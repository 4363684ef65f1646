"""A task cell in the form in which it goes to another process, where there is neither the notebook nor IPython."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from flowbook.errors import NotPicklable
from flowbook.run.pickles import pack
from flowbook.run.remote import display
from flowbook_magics.cell_code import CellCode
from flowbook_magics.functions import rehomed
from flowbook_magics.namespace import CellNamespace, running
from flowbook_magics.random_states import drawn_numbers, random_states, set_random_states
from flowbook_magics.surveys import Survey
from flowbook_magics.taken_over import Takeover


class Written(dict[str, Any]):
    """The names that a cell has written in another process. `at_home`: functions that belong to the notebook."""

    at_home: frozenset[str] = frozenset()
    needed: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    """Inputs that were changed in place, although the code of the cell does not show it."""
    given: frozenset[str] = frozenset()
    """Names that stand for what they were given: it may have been changed in place, and bound to nothing else."""
    views: tuple[tuple[str, str], ...] = ()
    """Pairs of them that are arrays in the same memory there. Pickled, each has its own."""
    random_states: Mapping[str, Any] = {}
    """Those in which the cell has left the generators that it uses."""
    drawn: frozenset[str] = frozenset()
    """The generators that it has used unforeseen."""

    def brought_home(self, notebook: dict[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The names as if the cell had run here: it has changed `inputs`, and its functions are of the notebook."""
        takeover = Takeover((inputs[name], self[name]) for name in self.given & inputs.keys())
        set_random_states(self.random_states)
        return {
            name: rehomed(value, value.__globals__, notebook) if name in self.at_home else takeover.of(value)
            for name, value in self.items()
        }

    def without_unpicklable(self) -> Written:
        """These names without those that no other cell reads and that cannot be pickled, which it says.

        Raises NotPicklable for one that another cell reads.
        """
        rest = Written()
        vars(rest).update(vars(self))
        for name, value in self.items():
            try:
                pack(value)
            except Exception as error:
                kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
                if name in self.needed:
                    raise NotPicklable(
                        f"{name!r} is a {kind}, which cannot be sent back from the process that executed the cell "
                        f"({type(error).__name__}: {error}), and another cell reads it. Make it where it is used."
                    ) from error
                said = f"{name!r} stays in the process that executed the cell: a {kind} cannot be sent back."
                sys.stderr.write(f"flowbook: {said}\n")
            else:
                rest[name] = value
        return rest


@dataclass(frozen=True, kw_only=True, slots=True)
class PortableCell:
    """A cell as a function from the names that it reads to those that it writes, with all that it uses besides."""

    label: str
    code: CellCode
    names: Mapping[str, Any]
    """What it reads of the notebook that is not passed to it."""
    outdated: frozenset[str]
    """The inputs of which the notebook has newer versions."""
    shared: frozenset[str]
    """The names that methods bind or look up where they are at home."""
    builtins: frozenset[str]
    open_to_all: bool
    """Whether it has code that looks names up in its namespace by itself."""
    writes: frozenset[str]
    """The names that it binds, and those whose objects it changes: here it changes copies."""
    needed: frozenset[str]
    """Those of them that another cell reads."""
    declared: tuple[str, ...] | None
    """The names that it says it binds, in which case it gives no other."""
    draws: bool
    random_states: Mapping[str, Any]
    """Those from which the generators go on that it uses."""

    def __call__(self, **inputs: Any) -> Written:
        """Execute the cell; what it shows is shown by the notebook."""
        home = _home_of(inputs.values())
        for name, value in {"__name__": "__main__", "display": show, **self.names}.items():
            home.setdefault(name, value)
        namespace = CellNamespace(inputs, home, self.builtins, open_to_all=self.open_to_all)
        namespace.bind_functions(self.outdated)
        if self.draws:
            _draw_here()
        set_random_states(self.random_states)
        watched = Survey({name: value for name, value in inputs.items() if name not in self.writes})
        token, run = running.set(namespace), object()
        drawn_numbers.begin(run, self.random_states.keys())
        try:
            namespace.share(self.shared)
            try:
                self.code.run(namespace, show)
            finally:
                namespace.take_back()
            if self.draws:
                show_figures()
            namespace.check_outputs(self.declared, self.label)
            only = self.writes if self.declared is not None else None
            written = Written(namespace.written(self.writes, only))
        finally:
            running.reset(token)
            drawn = drawn_numbers.end(run)
        written.drawn = drawn
        written.at_home = frozenset(n for n, value in written.items() if _globals_of(value) is home)
        written.needed = self.needed
        written.changed = frozenset(watched.names_of(watched.changed()))
        written.update((name, inputs[name]) for name in written.changed)
        written.given = frozenset(name for name, value in written.items() if value is inputs.get(name))
        written.views = arrays_in_one_memory(written)
        written.random_states = random_states(self.random_states.keys())
        return written


def arrays_in_one_memory(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The pairs of names that are NumPy arrays of which one is a view of the other, or both of a third one."""
    numpy = sys.modules.get("numpy")
    first: dict[int, str] = {}
    pairs = []
    for name, value in values.items():
        if numpy is None or not isinstance(value, numpy.ndarray):
            continue
        owner = value
        while isinstance(owner.base, numpy.ndarray):
            owner = owner.base
        if first.setdefault(id(owner), name) != name:
            pairs.append((first[id(owner)], name))
    return tuple(pairs)


def show(*values: Any, **_: Any) -> None:
    """Have the notebook display values as it would its own."""
    from IPython.core.formatters import DisplayFormatter

    for value in values:
        data, metadata = DisplayFormatter().format(value)  # type: ignore[no-untyped-call]
        if data:
            display(data, metadata)


def show_figures(*_: Any, **__: Any) -> None:
    """Have the notebook display the pyplot figures that are open, and close them."""
    import base64
    import io

    from matplotlib import pyplot

    for number in pyplot.get_fignums():
        figure = pyplot.figure(number)
        with io.BytesIO() as file:
            figure.savefig(file, format="png", bbox_inches="tight")
            image = base64.b64encode(file.getvalue()).decode()
        display({"text/plain": repr(figure), "image/png": image}, {})
    pyplot.close("all")


def _draw_here() -> None:
    """Have pyplot draw without a notebook of its own."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    pyplot.show = show_figures


def _home_of(values: Iterable[Any]) -> dict[str, Any]:
    """The names that functions of the notebook see here."""
    for value in values:
        own = value if isinstance(value, type) else type(value)
        for each in (value, *(vars(own).values() if own.__module__ == "__main__" else ())):
            if isinstance(each, FunctionType) and each.__module__ == "__main__":
                return each.__globals__
    return {}


def _globals_of(value: Any) -> dict[str, Any] | None:
    return value.__globals__ if isinstance(value, FunctionType) else None
