"""Versions of names: which cell made what another cell sees, and which cells must keep their order.

A name is bound to *objects*: one for each place that may have made the object it means (several when it is bound on
some paths only, or shares memory with another name). Objects remember who changed them last and who has read them
since.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate

from flowbook.cells.analysis import Analysis
from flowbook.cells.definitions import OF_LIBRARY, OWN_MODULE, Argument, Definition, seen_outside
from flowbook.cells.effects import EVENT_LOOP, LOG_RECORDS, PROCESSES, SERVERS, THREADS
from flowbook.cells.expressions import BUILTINS
from flowbook.cells.libraries import gives_part
from flowbook.cells.records import Cell, Edge, Node, Reason, ReasonKind
from flowbook.cells.resources import ResourceTracker, describe
from flowbook.cells.scopes import is_global
from flowbook.cells.usage import Usage, usage_of

__all__ = ["VersionTracker"]


@dataclass(eq=False, slots=True)
class TrackedObject:
    """An object in memory, as far as the text of the cells tells."""

    changed_by: int | None = None
    """Place of the cell that made it or changed it last; None: it comes from outside."""
    readers: list[int] = field(default_factory=list)
    """Places of the cells that have read it since."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What a name means at one point of the notebook."""

    makers: tuple[int, ...] = ()
    """Places of the cells that may have bound it, newest first; the oldest of them binds it surely."""
    objects: frozenset[TrackedObject] = frozenset()
    held: frozenset[TrackedObject] = frozenset()
    """Objects that its object holds references to."""
    definitions: frozenset[Definition] = frozenset()
    """Functions and classes that may run when it is used."""

    def versions(self) -> tuple[int, ...]:
        """The places of the cells that made what a reader sees now, newest first."""
        changed = {each.changed_by for each in self.objects if each.changed_by is not None}
        return tuple(sorted(changed.union(self.makers), reverse=True))


_UNKNOWN = Binding()


class VersionTracker:
    """Goes through the cells in notebook order and keeps what each name means.

    What it found of a cell never changes by cells that are added behind it.
    """

    def __init__(self) -> None:
        self.cells: list[Cell] = []
        self.place = -1
        self.places: dict[str, int] = {}
        self.bindings: dict[str, Binding] = {}
        self.resources = ResourceTracker()
        self.barrier: int | None = None
        self.loop_users = 0
        """The cells so far that need a running event loop, as bits of their places."""
        self.at_home: set[str] = set()
        """Functions and classes of the cells so far whose code looks names up in the notebook when it is not called by
        its own name: a task cell's methods look them up where they are called from."""
        self.looked_up: dict[str, list[int]] = {}
        """Name -> places of the cells so far that need it to mean in the notebook what it means at their place."""
        self.warnings_raise = False
        """Whether a cell so far has made errors of warnings."""
        self.has_threads = False
        """Whether a cell so far has started a thread that it does not wait for."""
        self.serves = False
        """Whether a cell so far has started a server, whose code runs whenever another one sends it a request."""
        self.goes_on = False
        """Whether a cell so far has started something that goes on whenever another one awaits."""
        self.reasons: dict[tuple[int, int], dict[Reason, None]] = {}
        self.nodes: dict[str, Node] = {}
        self.upstream: list[int] = []
        """For each place the set, as bits, of the places that it waits for, directly or not."""

    def add(self, cell: Cell) -> None:
        """Go on to the next cell."""
        self.place += 1
        self.places[cell.id] = self.place
        self.cells.append(cell)
        self.upstream.append(0)
        self._track_cell(cell)

    def tracked(self) -> tuple[Mapping[str, Node], tuple[Edge, ...], Mapping[str, tuple[str, ...]]]:
        """The nodes by id, the edges, and the cells that made the last version of each name."""
        final = {name: self._ids(binding.versions()) for name, binding in sorted(self.bindings.items())}
        return dict(self.nodes), self._edges(), final

    def _track_cell(self, cell: Cell) -> None:
        usage = usage_of(cell.analysis, self._definitions, self.at_home)
        self._flag(cell, usage)
        reads = {name: helper for name, helper in usage.reads.items() if self._is_input(name, cell, helper)}
        looks_up = usage.looks_up & (reads.keys() | cell.analysis.writes)
        helpers = [
            (name, self.cells[maker].id)
            for name in usage.helpers
            for maker in self.bindings[name].makers
            if name in self.cells[maker].analysis.definitions
        ]
        self.nodes[cell.id] = Node(
            cell=cell,
            inputs={name: next(iter(self._versions(name)), None) for name in sorted(reads)},
            alternatives={name: older for name in sorted(reads) if (older := self._older(name))},
            helpers=tuple(sorted(helpers)),
            late_binds=frozenset(usage.writes),
            looks_up=frozenset(looks_up),
            flags=frozenset(usage.flags),
            sends_functions=PROCESSES in usage.looks,
            uses_loop=cell.analysis.awaits or EVENT_LOOP in usage.looks,
        )
        self.loop_users |= self.nodes[cell.id].uses_loop << self.place
        for name, helper in reads.items():
            self._read(name, helper)
        changed = self._mutate(usage)
        changes = {name for name in reads if changed & (self.bindings[name].objects | self.bindings[name].held)}
        if cell.analysis.awaits and self.upstream[self.place] & self.loop_users:
            usage.changes.add(EVENT_LOOP)  # what it awaits may go on while others that were made there await
        self._touch(cell.analysis, usage)
        touches = frozenset(usage.changes)
        self.nodes[cell.id] = replace(self.nodes[cell.id], changes=frozenset(changes), touches=touches)
        for id_, what in cell.behind:
            place = self.places[id_]
            text = f"was seen to share {what} with {self.cells[place].label}"
            self._wait(place, ReasonKind.MUTATES, what, text)
        self._keep_place(usage.flags)
        self._wait_for_lookups(cell.analysis, usage)
        for name in looks_up:
            self.looked_up.setdefault(name, []).append(self.place)
        self._bind(cell, usage)
        self.at_home |= _at_home(cell)

    def _flag(self, cell: Cell, usage: Usage) -> None:
        """Flag the cell for what goes on since an earlier one, or from this one on."""
        if "cwd" in usage.changes:
            usage.flags.add("cwd")  # any library may open a file by a relative path
        self.goes_on |= "background" in usage.flags
        if self.goes_on and cell.analysis.awaits:
            usage.flags.add("background")
        if "warnings" in usage.changes and (self.warnings_raise or "settings" in usage.flags):
            self.warnings_raise = True
            usage.flags.add("settings")  # what warns behind it is an error, or is none any more
        if self.has_threads and THREADS in usage.looks:
            usage.flags.add("threads")
        self.has_threads |= THREADS in usage.changes and THREADS not in usage.looks
        self.serves |= SERVERS in usage.changes
        if self.serves and "network" in usage.looks:
            usage.flags.add("served")

    def _definitions(self, name: str) -> frozenset[Definition]:
        """What a name, or the method ``"x.add"`` of an object, may run."""
        owner, _, method = name.partition(".")
        known = self.bindings.get(owner, _UNKNOWN).definitions
        return frozenset(each for one in known for each in one.methods if each.name == method) if method else known

    def _is_input(self, name: str, cell: Cell, helper: str) -> bool:
        if name in self.bindings:
            return True
        if name in BUILTINS and name not in cell.analysis.reads:
            return False
        return not (helper and name in cell.analysis.writes)

    # Reading

    def _versions(self, name: str) -> tuple[str, ...]:
        return self._ids(self.bindings.get(name, _UNKNOWN).versions())

    def _older(self, name: str) -> tuple[str, ...]:
        """The makers that count if the newer ones left the name alone."""
        binding = self.bindings.get(name, _UNKNOWN)
        return self._ids(binding.makers[1:])

    def _read(self, name: str, helper: str) -> None:
        binding = self.bindings.setdefault(name, _outside())
        through = f" through {helper}" if helper else ""
        for place in self._direct(binding.versions()):
            self._wait(place, ReasonKind.READS, name, f"reads {name} from {self.cells[place].label}{through}")
        held = {each.changed_by for each in binding.held if each.changed_by is not None}
        for place in self._direct(sorted(held, reverse=True), behind=binding.versions()):
            text = f"reads {name}, which holds what {self.cells[place].label} made or changed"
            self._wait(place, ReasonKind.READS, name, text)
        for each in binding.objects | binding.held:
            each.readers.append(self.place)

    def _direct(self, places: Iterable[int], *, behind: Iterable[int] = ()) -> Iterator[int]:
        """The places, newest first, without those that a newer one waits for already."""
        covered = 0
        for place in behind:
            covered |= self.upstream[place] | 1 << place
        for place in places:
            if not covered >> place & 1:
                yield place
            covered |= self.upstream[place] | 1 << place

    # Changing

    def _mutate(self, usage: Usage) -> set[TrackedObject]:
        changed: set[TrackedObject] = set()
        for name in sorted(usage.mutates):
            binding = self.bindings.get(name)
            if binding is None:
                continue
            objects = binding.objects | binding.held if name in usage.mutates_parts else binding.objects
            objects |= self._instances(name, binding)
            changed |= objects
            self._wait_for_readers(objects, name)
        for each in changed:
            each.changed_by, each.readers = self.place, []
        return changed

    def _wait_for_readers(self, objects: Iterable[TrackedObject], name: str) -> None:
        for each in objects:
            for reader in each.readers:
                text = f"changes {name} after {self.cells[reader].label} read it"
                self._wait(reader, ReasonKind.MUTATES, name, text)

    def _instances(self, name: str, binding: Binding) -> set[TrackedObject]:
        """When a class is changed, so are its instances."""
        classes = {each for each in binding.definitions if each.kind == "class" and each.name == name}
        if not classes:
            return set()
        return {each for other in self.bindings.values() if classes & other.definitions for each in other.objects}

    def _touch(self, analysis: Analysis, usage: Usage) -> None:
        if any(resource.startswith("files:") for resource in usage.changes | usage.looks):
            usage.looks.add("cwd")
        if any(path.partition(".")[0] not in sys.stdlib_module_names for path in analysis.imports.values()):
            usage.looks |= {"environ", "sys.path"}
        if own := self.resources.files_called(tuple(_sources(analysis.imports.values()))):
            usage.looks |= own
            usage.changes |= OWN_MODULE.changes
        if "logging" in usage.looks and self.resources.is_known(LOG_RECORDS):
            usage.changes |= {"logging", "files:?"}
        for resource in sorted(usage.changes):
            for place in self.resources.change(self.place, resource):
                self._wait_for_resource(place, resource)
        for resource in sorted(usage.looks - usage.changes):
            for place in self.resources.look(self.place, resource):
                self._wait_for_resource(place, resource)

    def _wait_for_resource(self, place: int, resource: str) -> None:
        text = f"shares {describe(resource)} with {self.cells[place].label}"
        self._wait(place, ReasonKind.RESOURCE, resource, text)

    def _keep_place(self, flags: Iterable[str]) -> None:
        """A flagged cell waits for all before it, and all after it wait for it."""
        if self.barrier is not None:
            label = self.cells[self.barrier].label
            self._wait(self.barrier, ReasonKind.FLAG, "order", f"flagged: {label} keeps its place")
        if why := ", ".join(sorted(flags)):
            first = 0 if self.barrier is None else self.barrier + 1
            for place in range(first, self.place):
                self._wait(place, ReasonKind.FLAG, why, f"flagged: keeps its place ({why})")
            self.barrier = self.place

    def _wait_for_lookups(self, analysis: Analysis, usage: Usage) -> None:
        """A cell that binds a name anew waits for those that need it as it was in the notebook."""
        for name in sorted((analysis.writes | usage.writes) & self.looked_up.keys()):
            if name in analysis.imports and analysis.imports[name] == self._import_of(name):
                continue
            for place in self._direct(reversed(self.looked_up[name])):
                text = f"binds {name} anew after {self.cells[place].label} had it looked up by what it calls"
                self._wait(place, ReasonKind.MUTATES, name, text)

    def _import_of(self, name: str) -> str | None:
        makers = self.bindings.get(name, _UNKNOWN).makers
        return self.cells[makers[0]].analysis.imports.get(name) if makers else None

    # Binding

    def _bind(self, cell: Cell, usage: Usage) -> None:
        analysis = cell.analysis
        writes = (analysis.writes - analysis.late_writes) | usage.writes
        if cell.is_task:
            writes -= analysis.private
        conditional = (analysis.conditional_writes | usage.writes) - (analysis.writes - analysis.conditional_writes)
        own = {name: TrackedObject(changed_by=self.place) for name in writes}
        visible = replace(analysis, definitions=_visible_definitions(cell))
        new = {name: self._binding(name, visible, own) for name in writes}
        for name in conditional & self.bindings.keys() & new.keys():
            new[name] = _either(new[name], self.bindings[name])
        for name in analysis.deletes:
            self.bindings.pop(name, None)
        stored = self._stored(analysis)
        before = {name: self.bindings[name] for name in analysis.reads & self.bindings.keys() & new.keys()}
        self.bindings.update(new)
        for name, others in stored.items():
            self._hold(name, others, before, analysis)

    def _binding(self, name: str, analysis: Analysis, own: Mapping[str, TrackedObject]) -> Binding:
        shared = analysis.aliases.get(name, frozenset())
        objects = {own[name], *self._objects(shared, own, analysis)}
        held = set(self._objects(analysis.holds.get(name, ()), own, analysis))
        definitions = set(analysis.definitions.get(name, ()))
        if name in analysis.imports and self.resources.files_called(tuple(_sources([analysis.imports[name]]))):
            definitions.add(OWN_MODULE)
        for other in shared | analysis.holds.get(name, frozenset()):
            if other not in own or other in analysis.reads:
                held |= self.bindings.get(other, _UNKNOWN).held
                inherited = self.bindings.get(other, _UNKNOWN).definitions
                definitions |= {each for each in inherited if not (each.moves_on and name in analysis.parts)}
        for maker in analysis.made_by.get(name, ()):
            given, inside, code = self._given_by(maker, analysis)
            if name in analysis.parts:  # what is unpacked from one call may be closures over the same variables
                code = {each for each in code if each.is_closure or each.kind == "class"}
                if any(each.is_closure for each in code):
                    objects |= {own[other] for other in own if maker in analysis.made_by.get(other, ())}
            objects, held, definitions = objects | given, held | inside, definitions | code
        given, code = self._inside(name, analysis)
        held, definitions = held | given, definitions | code
        return Binding((self.place,), frozenset(objects), frozenset(held), frozenset(definitions))

    def _inside(self, name: str, analysis: Analysis) -> tuple[set[TrackedObject], set[Definition]]:
        """What a name holds that calls of other cells' functions, classes and methods gave, and its code."""
        held: set[TrackedObject] = set()
        definitions: set[Definition] = set()
        for maker in analysis.holds_made.get(name, ()):
            given, inside, code = self._given_by(maker, analysis)
            held |= given | inside
            definitions |= code
        return held, definitions

    def _given_by(
        self, maker: str, analysis: Analysis
    ) -> tuple[set[TrackedObject], set[TrackedObject], set[Definition]]:
        """What the call of a function, class or method of other cells may give: objects, what they hold, and code."""
        owner, _, method = maker.partition(".")
        made = self._definitions(maker)
        names = {name for each in made for name in each.returns}
        names |= {owner for each in made if each.gives_itself or (each.is_closure and each.gives_code)}
        if gives_part(method) and OF_LIBRARY in self._definitions(owner):
            names.add(owner)
        if method and any(part.returns_parameters.intersection(part.parameters[:1]) for part in made):
            names.add(owner)
        for argument in analysis.arguments:
            if (
                argument.function == maker
                and argument.name in analysis.reads
                and any(
                    part.parameter_at(argument.place_in(part)) in part.returns_parameters
                    for part in made
                    if part.kind != "class"
                )
            ):
                names.add(argument.name)
        known = [self.bindings[name] for name in names & self.bindings.keys()]
        definitions = {each.result() for each in made if each.kind == "class" or each.gives_code}
        if any(part.returns_parameters for part in made if part.kind != "class"):
            definitions.update(analysis.code_given.get(maker, ()))
        return (
            {each for binding in known for each in binding.objects},
            {each for binding in known for each in binding.held},
            definitions.union(*(binding.definitions for binding in known)),
        )

    def _objects(
        self, names: Iterable[str], own: Mapping[str, TrackedObject], analysis: Analysis
    ) -> set[TrackedObject]:
        """What names may mean within a cell that writes ``own``: the new object, and the old one if it read that."""
        objects = {own[name] for name in names if name in own}
        for name in names:
            if name in analysis.reads and name in self.bindings:
                objects |= self.bindings[name].objects
        return objects

    def _stored(self, analysis: Analysis) -> dict[str, set[str]]:
        """Names that hold more than they did (``cache["x"] = df``), and of which names the objects are."""
        stored = {name: set(analysis.holds.get(name, ())) for name in analysis.holds.keys() - analysis.writes}
        for name in analysis.gains.keys() | (analysis.holds_made.keys() - analysis.writes):
            stored.setdefault(name, set())
        for argument in analysis.arguments:
            for definition in self._definitions(argument.function):
                for part in definition.parts_for_call():
                    given = {part.parameter_at(argument.place_in(definition)), argument.slot}
                    for owner, parameter in part.stores:
                        if parameter in given:
                            for name in self._owners(owner, part, argument, analysis):
                                stored.setdefault(name, set()).add(argument.name)
        return stored

    def _owners(self, owner: str, part: Definition, argument: Argument, analysis: Analysis) -> Iterator[str]:
        """The names that an owner of `Definition.stores` stands for in a call."""
        if is_global(owner):
            yield owner
        elif "." in argument.function and owner[1:] == part.parameters[0]:
            yield argument.function.partition(".")[0]
        else:
            for other in analysis.arguments:
                if other.function == argument.function and part.parameter_at(other.place_in(part)) == owner[1:]:
                    yield other.name

    def _hold(self, name: str, others: Iterable[str], before: Mapping[str, Binding], analysis: Analysis) -> None:
        """The object of a name holds those of others from now on."""
        if name not in self.bindings:
            return
        old = self.bindings[name]
        given, code = self._inside(name, analysis)
        known = [each for other in others for each in (self.bindings.get(other), before.get(other)) if each is not None]
        self.bindings[name] = Binding(
            old.makers,
            old.objects,
            old.held.union(given, *(each.objects for each in known)),
            old.definitions.union(code, analysis.gains.get(name, ()), *(each.definitions for each in known)),
        )
        self._patch(name, old.definitions)

    def _patch(self, name: str, before: frozenset[Definition]) -> None:
        """A function that is stored where a class is reached may become a method of it, which all instances have."""
        classes = {each for each in before if each.kind == "class"}
        functions = {each for each in self.bindings[name].definitions - before if each.kind == "function"}
        for other, binding in list(self.bindings.items()) if classes and functions else ():
            if other != name and classes & binding.definitions:
                self._wait_for_readers(binding.objects, other)
                for each in binding.objects:
                    each.changed_by, each.readers = self.place, []
                self.bindings[other] = replace(binding, definitions=binding.definitions | functions)

    # Edges

    def _wait(self, place: int, kind: ReasonKind, subject: str, text: str) -> None:
        if place != self.place:
            reason = Reason(kind=kind, subject=subject, text=text)
            self.reasons.setdefault((self.place, place), {})[reason] = None
            self.upstream[self.place] |= self.upstream[place] | 1 << place

    def _edges(self) -> tuple[Edge, ...]:
        every = {**self.reasons}
        for (down, up), reasons in self._after().items():
            every[down, up] = {**every.get((down, up), {}), **reasons}
        return tuple(
            Edge(upstream=self.cells[up].id, downstream=self.cells[down].id, reasons=tuple(reasons))
            for (down, up), reasons in sorted(every.items(), key=lambda item: item[0])
        )

    def _after(self) -> dict[tuple[int, int], dict[Reason, None]]:
        """What cells say that they wait for, which may stand behind them."""
        places = {cell.id: place for place, cell in enumerate(self.cells)}
        places |= {cell.name: place for place, cell in enumerate(self.cells) if cell.name}
        found: dict[tuple[int, int], dict[Reason, None]] = {}
        for place, cell in enumerate(self.cells):
            for name in cell.after:
                reason = Reason(kind=ReasonKind.AFTER, subject="--after", text=f"--after {name}")
                found.setdefault((place, places[name]), {})[reason] = None
        return found

    def _ids(self, places: Iterable[int]) -> tuple[str, ...]:
        return tuple(self.cells[place].id for place in places)


def _visible_definitions(cell: Cell) -> Mapping[str, tuple[Definition, ...]]:
    """What the names that a cell binds may run, told in names that other cells have, too."""
    definitions = cell.analysis.definitions
    if not cell.is_task or not cell.analysis.private:
        return definitions
    inside = {name: definitions.get(name, ()) for name in cell.analysis.private}
    return {name: tuple(seen_outside(each, inside) for each in found) for name, found in definitions.items()}


def _at_home(cell: Cell) -> set[str]:
    known = (*cell.analysis.definitions.values(), *cell.analysis.gains.values())
    return {each.name for found in known for each in found if each.kind == "function" or not cell.is_task}


def _sources(imported: Iterable[str]) -> Iterator[str]:
    """The files that what is imported by these paths may come from: ``a.b`` from ``a.py``, too."""
    for path in imported:
        for module in accumulate(path.split("."), "{}/{}".format):
            yield f"{module}.py"
            yield f"{module}/__init__.py"


def _outside() -> Binding:
    """A name that no cell has bound yet: some object from outside."""
    return Binding(objects=frozenset((TrackedObject(),)))


def _either(new: Binding, old: Binding) -> Binding:
    """What a name means after a cell that may have bound it."""
    return Binding(
        new.makers + old.makers, new.objects | old.objects, new.held | old.held, new.definitions | old.definitions
    )
