"""What a cell task sees while it runs."""

from __future__ import annotations

import builtins
import sys
import threading
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, MutableMapping, Set
from contextvars import ContextVar
from dataclasses import dataclass
from types import FunctionType, MappingProxyType
from typing import Any
from weakref import WeakSet

from flowbook.errors import CellError
from flowbook_magics.functions import is_defined_in, mentioned, rehomed, uses_any, writes_globals

MISSING = object()
"""Stands for the value of a name that has none."""
running: ContextVar[CellNamespace | None] = ContextVar("flowbook_cell_namespace", default=None)
"""The namespace of the cell task that the calling code is part of."""


class CellNamespace:
    """The names of one run of a cell task: its inputs, then what it binds.

    Any other name is read through from the notebook's namespace, so that helpers, imports and constants are there as
    they are in a plain cell. Names that are known to be read stand in it from the start: reading through costs many
    times more than finding.
    """

    def __init__(
        self,
        inputs: Mapping[str, Any],
        notebook: dict[str, Any],
        builtin: Iterable[str] = (),
        version: Callable[[str, Any], Any] = lambda _, value: value,
        *,
        open_to_all: bool = False,
        around: Mapping[str, Any] = MappingProxyType({}),
        deletes: Set[str] = frozenset(),
    ) -> None:
        """`version` gives the value that a name has at the cell's place, told the one that it has in the notebook.

        `open_to_all` is for a cell with code that looks names up in its namespace by itself, as magics do; `around`
        has those that it finds when it asks which there are. `deletes` are names that it deletes.
        """
        known = {**around, **{name: getattr(builtins, name) for name in builtin if name not in notebook}}
        # The body of a class looks for its name in the globals only, without reading through.
        known.update(inputs, __name__=notebook.get("__name__", "__main__"))
        self.names: dict[str, Any]
        """The globals of the cell's code."""
        if open_to_all:
            self.names = _Through(known, self)
        else:
            # CPython finds globals fast in a dict, not in its subclasses, and asks the builtins for what is not there.
            rest = _Through(vars(builtins), self)
            for name in rest.keys() & notebook.keys():
                # What IPython binds stays: NumPy looks for ``open`` in the builtins without reading through.
                if getattr(notebook[name], "__globals__", {}).get("__name__", "").startswith("IPython."):
                    rest[name] = notebook[name]
                else:
                    rest.pop(name)
            self.names = {**known, "__builtins__": rest}
        self._notebook = notebook
        self._given = dict(self.names)
        self._deletes = deletes
        self._inside: set[str] = set()
        self.is_closed = False
        self._version = version
        self._is_called = running.get() is not None
        """Whether code of another cell calls it, and waits for it."""
        self._shared: set[str] = set()
        """The names that `share` has put into the notebook, until the cell has ended."""
        _namespaces.add(self)
        self.moved: dict[int, tuple[Any, Any]] = {}
        """Functions that others hold, too, each with what it is now: one that finds its names in the notebook."""
        self.seen: dict[str, Any] = {}
        """What was read through to the notebook: undeclared reads, with the values that they gave."""
        self.at_first_read: Callable[[str, Any], None] = lambda name, value: None
        """Told of an undeclared read, before the code that reads it gets the value."""

    def read_through(self, name: str) -> Any:
        """The value of a name that does not stand in it. Raises KeyError if it has none."""
        # Code that an earlier task defined is called by another one: it sees what that one sees.
        caller = running.get()
        if caller is not None and name in caller._shared:
            return caller._shared_value(name)
        if name in self._shared:  # a thread that the cell began is none of its own
            return self._shared_value(name)
        if caller is not None and caller is not self and dict.__contains__(caller.names, name):
            return caller.names[name]
        if not self.is_closed and (name in self._given or name in self._deletes):
            return vars(builtins)[name]  # the cell has deleted it
        if caller is None or name in caller.seen:
            return self._last(name)
        return caller._read_first(name)

    def _last(self, name: str) -> Any:
        if name in self._notebook:
            return self._notebook[name]
        if name in vars(builtins):
            return vars(builtins)[name]
        # A thread that the cell began goes on although a later cell deletes, or has deleted, the name.
        value = self._version(name, MISSING)
        if value is MISSING:
            raise KeyError(name)
        return value

    def _read_first(self, name: str) -> Any:
        """A name that was not foreseen is read for the first time."""
        last = self._notebook.get(name, MISSING)
        value = self._version(name, last)
        if value is MISSING and name in vars(builtins):
            return vars(builtins)[name]
        self.seen[name] = value
        if value is MISSING:
            raise KeyError(name)
        self.at_first_read(name, value)
        if self._finds_other_names(value):
            value = rehomed(value, self._notebook, self.names)
        if value is not last:
            self.names[name] = self._given[name] = value
        return value

    def _finds_other_names(self, value: Any) -> bool:
        """Whether a function of the notebook finds there something else than it has to where the cell stands."""
        seen: set[str] = set()
        pending = [value]
        while pending:
            function = pending.pop()
            if not is_defined_in(function, self._notebook):
                continue
            for name in mentioned(function.__code__) - seen:
                last = self._notebook.get(name, MISSING)
                used = self._version(name, last)
                if used is not last:
                    return True
                pending.append(used)
            seen |= mentioned(function.__code__)
        return False

    def bind_functions(self, outdated: Set[str], held: Collection[FunctionType] = ()) -> Set[str]:
        """Have the notebook's functions among the inputs look their names up here where that makes a difference.

        It does for those that bind globals, and for those that use a name whose version here is not the notebook's
        last (`outdated`), directly or through another function. The others stay the same objects, as pickling them by
        name demands. So do those that are `held` by inputs, where others may know them: returns the names that they
        must find at home instead.
        """
        bound: set[str] = set()
        pending = {name for name, value in self._given.items() if is_defined_in(value, self._notebook)}
        while more := {
            name
            for name in pending
            if writes_globals(self._given[name]) or uses_any(self._given[name], {*outdated, *bound})
        }:
            bound |= more
            pending -= more
        kept = set(map(id, held))
        copies: dict[int, Any] = {}
        for name in bound:
            value = self._given[name]
            if id(value) not in kept:
                copy = copies.setdefault(id(value), rehomed(value, self._notebook, self.names))
                self.names[name] = self._given[name] = copy
        at_home = (function for function in held if is_defined_in(function, self._notebook))
        needed = {name for function in at_home for name in mentioned(function.__code__)} & (outdated | bound)
        return needed & self._given.keys()

    def share(self, names: Iterable[str]) -> None:
        """Have these names live where methods and callbacks look them up and bind them (``global n``).

        That is the notebook, or the namespace of the cell that defined them. While another cell has something else
        there for one of them, this one waits.
        """
        wanted = {name: dict.get(self.names, name, MISSING) for name in names}
        with _lending:
            while not self._is_called and any(
                _is_lent_otherwise(self._notebook, name, value) for name, value in wanted.items()
            ):
                _lending.wait(_INTERRUPTIBLE)
            for name, value in wanted.items():
                loan = _Loan(self._notebook.get(name, MISSING), value)
                _loans.setdefault((id(self._notebook), name), loan).borrowers += 1
        for name, value in wanted.items():
            self.names.pop(name, None)
            self._shared.add(name)
            self._bind_at_home(name, value)

    def take_back(self) -> None:
        """Take what was bound of the shared names for the cell's own, and give the notebook back what it had."""
        for name in self._shared:
            value = self._shared_value(name, MISSING)
            with _lending:
                loan = _loans[id(self._notebook), name]
                loan.borrowers -= 1
                if not loan.borrowers:
                    _put(self._notebook, name, _loans.pop((id(self._notebook), name)).before)
                    _lending.notify_all()
            if value is not MISSING and self._is_new(name, value):
                self.names[name] = value
        self._shared = set()

    def variables(self, names: Container[str]) -> MutableMapping[str, Any]:
        """The mapping in which the cell's code binds its names: that of its globals, unless some of them are shared."""
        return _Variables(self) if any(name in names for name in self._shared) else self.names

    def _bind_at_home(self, name: str, value: Any) -> None:
        _put(self._notebook, name, value)
        for other in list(_namespaces):
            if other is not self and other.is_closed:
                other.names.pop(name, None)

    def _shared_value(self, name: str, *otherwise: Any) -> Any:
        homes = [self.names, *(each.names for each in list(_namespaces) if each.is_closed), self._notebook]
        for home in homes:
            value = dict.get(home, name, MISSING)
            if value is not MISSING:
                return value
        if otherwise:
            return otherwise[0]
        return vars(builtins)[name]

    def written(self, names: frozenset[str], only: Container[str] | None = None) -> dict[str, Any]:
        """What the cell has bound: those of `names` that hold something, and what was bound in other ways.

        What is not among `only`, if that is given, stays inside, as private names do.
        A function that the cell has defined looks its names up in the notebook from now on, as one of a plain cell
        does, unless it uses a name that stays inside.
        """
        bound = [name for name, value in self.names.items() if name in names or self._is_new(name, value)]
        public = {name for name in bound if name[0] != "_" and (only is None or name in only)}
        private = {name for name in self.names if name.startswith("_")}
        self._inside = {name for name in private.union(bound) - public if not name.startswith("__")}
        own = {name: self.names[name] for name in public if is_defined_in(self.names[name], self.names)}
        held = {id(own[name]) for name in own if _references(own, name) > _ONLY_HERE}
        moved = {
            id(value): (value, rehomed(value, self.names, self._notebook))
            for value in own.values()
            if not uses_any(value, self._inside)
        }
        self.moved = {key: moved[key] for key in held & moved.keys()}
        return {name: moved.get(id(value), (value, value))[1] for name, value in self.names.items() if name in public}

    @property
    def inside(self) -> Set[str]:
        """The names that stay inside, once what it has written is known."""
        return self._inside

    @classmethod
    def of(cls, function: FunctionType) -> CellNamespace | None:
        """The namespace of a cell that has run in which a function looks its names up."""
        names = function.__globals__
        through = names if isinstance(names, _Through) else names.get("__builtins__")
        namespace = through._namespace if isinstance(through, _Through) else None
        return namespace if namespace is not None and namespace.names is function.__globals__ else None

    def check_outputs(self, declared: Iterable[str] | None, label: str) -> None:
        """Raise CellError if the cell called `label` has ended without a value for an output that it declares."""
        unbound = [name for name in declared or () if not dict.__contains__(self.names, name)]
        if unbound:
            raise CellError(
                f"Task {label!r} declares --out {','.join(unbound)}, which the cell has not bound when it ended. "
                "Bind it on every path, or leave it out of --out."
            )

    def _is_new(self, name: str, value: Any) -> bool:
        return name not in self._given or value is not self._given[name]

    def close(self) -> None:
        """The cell has run: what it left behind (methods, closures, generators) reads from the notebook from now on.

        What stays inside stays, because only here it can be found; the inputs are let go of.
        """
        self._given.clear()
        self.is_closed = True
        for name in [name for name in self.names if not name.startswith("_") and name not in self._inside]:
            dict.pop(self.names, name)  # its code has not deleted it


def _references(functions: Mapping[str, Any], name: str) -> int:
    return sys.getrefcount(functions[name])


_probe = {"f": lambda: None}
_ONLY_HERE = _references(dict(_probe), "f")
"""The references to a function that only two dicts hold."""
_namespaces: WeakSet[CellNamespace] = WeakSet()
_lending = threading.Condition()
_INTERRUPTIBLE = 0.1  # seconds: a thread that waits for longer would not hear that it is to stop


@dataclass(slots=True)
class _Loan:
    """What a notebook has for a name while cells that run have put there what the name is for them."""

    before: Any
    lent: Any
    borrowers: int = 0


_loans: dict[tuple[int, str], _Loan] = {}


def _is_lent_otherwise(notebook: Mapping[str, Any], name: str, value: Any) -> bool:
    loan = _loans.get((id(notebook), name))
    return loan is not None and loan.lent is not value


def _put(names: dict[str, Any], name: str, value: Any) -> None:
    if value is MISSING:
        names.pop(name, None)
    else:
        names[name] = value


def bind_at_home(notebook: dict[str, Any], name: str, value: Any) -> None:
    """Bind a name in the notebook, or unbind it (MISSING); if a cell has borrowed it, once that has given it back."""
    with _lending:
        loan = _loans.get((id(notebook), name))
        if loan is None:
            _put(notebook, name, value)
        else:
            loan.before = value


class _Through(dict[str, Any]):
    """A dict that asks a namespace for the names that it does not hold.

    As globals or builtins of code: CPython calls ``__missing__`` of either.
    """

    def __init__(self, held: Mapping[str, Any], namespace: CellNamespace) -> None:
        super().__init__(held)
        self._namespace = namespace
        self._deleted: set[object] = set()

    def __missing__(self, name: str) -> Any:
        if name in self._deleted:
            raise KeyError(name)
        return self._namespace.read_through(name)

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self._deleted.add(name)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (name not in self._deleted and name in self._namespace._notebook)

    def get(self, name: str, default: Any = None) -> Any:
        """As of a dict, reading through to the notebook."""
        return self[name] if name in self else default  # noqa: SIM401 - it is what it suggests

    def copy(self) -> dict[str, Any]:
        """Another one that reads through, too: IPython makes one for each shell line, in which a few names are read."""
        copied = _Through(self, self._namespace)
        copied._deleted |= self._deleted
        return copied


class _Variables(MutableMapping[str, Any]):
    """The names of a cell's code, where it binds some that other code looks up at its home."""

    def __init__(self, namespace: CellNamespace) -> None:
        self._namespace = namespace

    def __getitem__(self, name: str) -> Any:
        namespace = self._namespace
        if name not in namespace._shared:
            return namespace.names[name]
        value = namespace._shared_value(name, MISSING)
        if value is MISSING:
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: Any) -> None:
        if name in self._namespace._shared:
            self._namespace._bind_at_home(name, value)
        else:
            self._namespace.names[name] = value

    def __delitem__(self, name: str) -> None:
        if name in self._namespace._shared:
            self._namespace._bind_at_home(name, MISSING)
        else:
            del self._namespace.names[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._namespace.names, **dict.fromkeys(self._namespace._shared)})

    def __len__(self) -> int:
        return len(list(iter(self)))
