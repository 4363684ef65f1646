"""A task cell in the form in which it goes to another process, where there is neither the notebook nor IPython."""

from __future__ import annotations

import sys
from collections.abc import Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pickle import PickleBuffer
from types import FunctionType
from typing import Any, NamedTuple

from flowbook.errors import NotPicklable
from flowbook.run.remote import display
from flowbook_magics.array_views import Views, arrays_among
from flowbook_magics.carried_states import carried_states, changes_since, set_carried
from flowbook_magics.cell_code import CellCode
from flowbook_magics.code_kinds import Changes, bound_to
from flowbook_magics.glimpses import Glimpses
from flowbook_magics.kinds import ATOMS
from flowbook_magics.left_behind import check_attributes
from flowbook_magics.namespace import CellNamespace, running
from flowbook_magics.object_kinds import kinds
from flowbook_magics.opened_files import OpenedFiles, end_watch, watch_files
from flowbook_magics.random_states import drawn_numbers, random_states, set_random_states
from flowbook_magics.surveys import Survey
from flowbook_magics.taken_over import ELEMENTS, Number, Numbered, Part, Takeover, reached
from flowbook_magics.travelling_code import Origin, Place, pack_homeward, unpack_here


class Contents(NamedTuple):
    """What a cell has left in another process."""

    values: dict[str, Any]
    """The names that it has written."""
    known: list[tuple[Number, Any]]
    """What of all that they hold has come from the notebook; of classes and functions what has changed."""
    random_states: Mapping[str, Any]
    """Those in which it has left the generators that it uses."""
    states: Mapping[str, Any]
    """What it has changed of the process."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What comes back from the process where a cell has run."""

    contents: list[PickleBuffer]
    """`Contents`, pickled for the notebook."""
    given: frozenset[str]
    """Names that stand for what they were given: it may have been changed in place, and bound to nothing else."""
    changed: frozenset[str]
    """Inputs that were changed in place, although the code of the cell does not show it."""
    objects: frozenset[Number]
    """The objects of the notebook that were changed in place."""
    views: tuple[tuple[str, str], ...]
    """Pairs of names that are arrays in the same memory there, and will not be here."""
    drawn: frozenset[str]
    """The generators that it has used unforeseen."""
    left_figures: bool
    """Whether pyplot had figures open when the cell ended."""
    files: OpenedFiles

    def brought_home(
        self, place: Place, inputs: Mapping[str, Any], numbered: Numbered, bound: Container[str]
    ) -> tuple[dict[str, Any], Mapping[int, tuple[Any, Any]]]:
        """The names as if the cell, which binds those of `bound`, had run here; and what could not be changed as there.

        By their ids, these are the old objects, and what is to take their place.
        """
        contents: Contents = unpack_here(self.contents, place, numbered)
        pairs = [(numbered[number], new) for number, new in contents.known]
        numbers = {id(old) for old, _ in pairs}
        unnumbered = [(inputs[name], contents.values[name]) for name in self.given if name in contents.values]
        pairs += [(old, new) for old, new in unnumbered if id(old) not in numbers and type(old) not in ATOMS]
        takeover = Takeover(pairs, contents.values.values(), list(map(id, numbered)))
        set_random_states(contents.random_states)
        set_carried(contents.states)
        made = contents.values.keys() - {name for name in self.given if name not in bound}
        return {name: takeover.of(contents.values[name]) for name in made}, takeover.replaced


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
    states: Mapping[str, Any]
    """Those of the process that cells of the notebook change."""
    place: Place
    """The notebook; where it is executed what stands for it."""
    numbered: Mapping[str, Part]
    """What the notebook has numbered of its inputs."""
    used: frozenset[str]
    """The names that functions use which its inputs hold."""
    elements: list[list[Any]]
    """What sets among all of this hold, in the order of the notebook's process."""
    submodules: tuple[str, ...]
    """Those that its code uses of modules."""

    def __call__(self, **inputs: Any) -> Written:
        """Execute the cell; what it shows is shown by the notebook."""
        home = self.place.notebook
        for name, value in {"__name__": "__main__", "display": show, **self.names, **inputs}.items():
            home.setdefault(name, value)
        namespace = CellNamespace(inputs, home, self.builtins, open_to_all=self.open_to_all)
        namespace.bind_functions(self.outdated)
        given = {**inputs, **{name: home[name] for name in self.used if name in home}}
        known = KnownObjects({**given, ELEMENTS: self.elements}, self.numbered, namespace.names)
        for module in self.submodules:
            with suppress(ImportError):
                import_module(module)
        set_carried(self.states)
        if self.draws:
            _draw_here()
        set_random_states(self.random_states)
        watched, glimpses, states = Survey(given), Glimpses(given.values()), carried_states(self.states.keys())
        run, files = object(), watch_files()
        drawn_numbers.begin(run, self.random_states.keys())
        try:
            written, left_figures = self._run(namespace)
        finally:
            drawn = drawn_numbers.end(run)
            end_watch()
        moved = {id(namespace.names[name]) for name, value in written.items() if namespace.names[name] is not value}
        # Here functions stay the same objects: it is on the way back that they are given their new homes.
        written = {name: namespace.names[name] for name in written}
        changed = watched.changed() | glimpses.changed()
        names = watched.names_of(changed) | {known.numbers[id(each)][0] for each in known.among(changed)}
        names -= {*self.writes, ELEMENTS}
        written.update((name, given[name]) for name in names)
        left = list(reached([*written.values(), *known.among(changed)]))
        check_attributes(left, self.label)
        contents = Contents(
            written, known.changes_among(left), random_states(self.random_states.keys()), changes_since(states)
        )
        views = known.views(left)
        origin = Origin(self.place, known.numbers, namespace.names, namespace.inside, views, moved)
        return Written(
            contents=self._packed(contents, origin),
            given=frozenset(name for name in written.keys() & given.keys() if written[name] is given[name]),
            changed=frozenset(names),
            objects=frozenset(known.numbers[id(each)] for each in known.among(changed)),
            views=tuple(views.lost(written)),
            drawn=drawn,
            left_figures=left_figures,
            files=files,
        )

    def _run(self, namespace: CellNamespace) -> tuple[dict[str, Any], bool]:
        """What the cell has written, and whether pyplot has figures open then."""
        token = running.set(namespace)
        try:
            namespace.share(self.shared)
            try:
                self.code.run(namespace, show)
            finally:
                namespace.take_back()
            left_figures = self.draws and bool(sys.modules["matplotlib.pyplot"].get_fignums())
            if self.draws:
                show_figures()
            namespace.check_outputs(self.declared, self.label)
            only = self.writes if self.declared is not None else None
            return namespace.written(self.writes, only), left_figures
        finally:
            running.reset(token)

    def _packed(self, contents: Contents, origin: Origin) -> list[PickleBuffer]:
        """What the cell has left, pickled; without what no other cell reads and cannot be pickled, which it says.

        Raises NotPicklable for one that another cell reads.
        """
        try:
            return pack_homeward(contents, origin)
        except Exception:
            values = {
                name: value for name, value in contents.values.items() if self._can_be_packed(name, value, origin)
            }
            known = [(number, value) for number, value in contents.known if _error_of(value, origin) is None]
            return pack_homeward(contents._replace(values=values, known=known), origin)

    def _can_be_packed(self, name: str, value: Any, origin: Origin) -> bool:
        error = _error_of(value, origin)
        if error is None:
            return True
        kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
        if name in self.needed:
            raise NotPicklable(
                f"{name!r} is a {kind}, which cannot be sent back from the process that executed the cell "
                f"({type(error).__name__}: {error}), and another cell reads it. Make it where it is used."
            ) from error
        said = f"{name!r} stays in the process that executed the cell: a {kind} cannot be sent back."
        sys.stderr.write(f"flowbook: {said}\n")
        return False


class KnownObjects:
    """What has come from the notebook with the inputs of a cell."""

    def __init__(self, inputs: Mapping[str, Any], there: Mapping[str, Part], names: dict[str, Any]) -> None:
        """`there` is what the notebook has numbered, `names` has inputs as the cell sees them."""
        self._objects = Numbered(inputs)
        self.numbers = self._objects.known_by(there)
        """The numbers of the objects there by their ids here."""
        for name, value in inputs.items():
            if id(value) in self.numbers and isinstance(value, FunctionType):
                self.numbers[id(dict.get(names, name))] = self.numbers[id(value)]
        self._code = {id(each): bound_to(each) for each in self._objects if isinstance(each, type | FunctionType)}

    def among(self, ids: Container[int]) -> list[Any]:
        """Those that have one of these ids."""
        return [each for each in self._objects if id(each) in ids and id(each) in self.numbers]

    def changes_among(self, objects: Iterable[Any]) -> list[tuple[Number, Any]]:
        """Those of some objects that may be other than they were, with their numbers.

        Of classes and functions it is what has changed.
        """
        known: list[tuple[Number, Any]] = []
        for each in objects:
            kind, number = kinds[type(each)], self.numbers.get(id(each))
            if number is None:
                continue
            if id(each) in self._code:
                if (changes := Changes.since(self._code[id(each)], each)) is not None:
                    known.append((number, changes))
            elif kind is not None and kind.can_change:
                known.append((number, each))
        return known

    def views(self, objects: Iterable[Any]) -> Views:
        """Which arrays of some objects are views, and of what."""
        known = [(each, self.numbers[id(each)]) for each in arrays_among(self._objects) if id(each) in self.numbers]
        return Views(arrays_among(objects), known)


def _error_of(value: Any, origin: Origin) -> Exception | None:
    try:
        pack_homeward(value, origin)
    except Exception as error:
        return error
    return None


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
