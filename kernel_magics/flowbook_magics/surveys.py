"""Surveys of objects: what can be reached from some values, and which of it is changed in place from then on.

A survey notes, for each object that it reaches, a length, a shape and a sample of the content, so it costs microseconds
whatever the size. It keeps what it has reached alive, so that an object is known by its id.
"""

from __future__ import annotations

import gc
import sys
from collections import ChainMap, deque
from collections.abc import Iterable, Mapping, Set
from functools import _lru_cache_wrapper, partial
from itertools import count, islice
from operator import length_hint
from types import BuiltinFunctionType, CellType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any, NamedTuple

from flowbook.core.fingerprints.ownership import is_own, is_own_class

_SAMPLE = 32
_MOST = 300  # objects that are reached from one value
_SMALL_ARRAY = 16_384  # bytes: such a one is looked at whole
_LARGE_SAMPLE = 1024
_FIXED = (bool, int, float, complex, str, bytes, type(None), range)
_CODE = (type, FunctionType, ModuleType)
_BOUND = (MethodType, BuiltinFunctionType, partial)


class _Look(NamedTuple):
    """What a glance at one object tells."""

    mark: tuple[Any, ...] = ()
    """It differs if the object was changed in place."""
    parts: Iterable[Any] = ()
    """The objects that it holds."""


_NOTHING = _Look()


class Survey:
    """What can be reached from values that have names."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        """Look at these values, and go on from there."""
        self._marks: dict[int, tuple[Any, ...]] = {}
        self._parts: dict[int, list[int]] = {}
        self._objects: dict[int, Any] = {}
        self._roots: dict[str, int] = {}
        for name, value in values.items():
            self.add(name, value)

    def add(self, name: str, value: Any) -> None:
        """Look at one more value."""
        if isinstance(value, _FIXED):
            return
        self._roots[name] = id(value)
        pending, most = deque([value]), len(self._objects) + _MOST
        while pending and len(self._objects) < most:
            each = pending.popleft()
            if id(each) in self._objects:
                continue
            look = _look(each)
            self._objects[id(each)] = each
            parts = [part for part in look.parts if not isinstance(part, _FIXED)]
            self._parts[id(each)] = list(map(id, parts))
            pending.extend(parts)
            if look.mark:
                self._marks[id(each)] = look.mark

    @property
    def reached(self) -> Set[int]:
        """The ids of the objects that can be changed in place."""
        return self._marks.keys()

    def changed(self) -> frozenset[int]:
        """The ids of the objects that look otherwise now."""
        looks = ((key, mark, _look(self._objects[key]).mark) for key, mark in self._marks.items())
        return frozenset(key for key, before, now in looks if now and _differs(before, now))

    def held(self, kind: type) -> list[Any]:
        """The objects of this kind that another one holds."""
        parts = {part for some in self._parts.values() for part in some}
        return [each for key, each in self._objects.items() if isinstance(each, kind) and key in parts]

    def names_of(self, ids: Set[int]) -> set[str]:
        """The names from whose values one of these objects can be reached."""
        return {name for name in self._roots if self._reaches(name, ids)} if ids else set()

    def _reaches(self, name: str, ids: Set[int]) -> bool:
        seen, pending = set[int](), [self._roots[name]]
        while pending:
            each = pending.pop()
            if each in ids:
                return True
            if each not in seen:
                seen.add(each)
                pending += self._parts.get(each, ())
        return False


def _differs(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    try:
        return one != other
    except Exception:  # a class of the user's that cannot be compared
        return False


def _look(value: Any) -> _Look:
    try:
        return _glance(value)
    except Exception:  # an object of the user's that cannot be looked at, or that another thread changes meanwhile
        return _NOTHING


def _glance(value: Any) -> _Look:
    kind = type(value)
    if kind is list or kind is tuple or kind is deque:
        return _of_items((len(value),), _ends(value))
    if isinstance(value, dict) and not is_own_class(kind):
        keys, items = _ends(dict.keys(value)), _ends(dict.values(value))
        return _of_items((dict.__len__(value), *map(_known, keys)), items)
    if kind is set:
        return _of_items((len(value),), islice(value, _SAMPLE))
    if kind is frozenset:
        return _Look((), islice(value, _SAMPLE))
    if kind is bytearray:
        return _Look((len(value), bytes(value[:_SAMPLE]), bytes(value[-_SAMPLE:])))
    if isinstance(value, _CODE):
        return _of_code(value)
    if kind is CellType:
        return _of_items((), [_content_of(value)])
    if kind in _BOUND:
        return _Look((), [value.func, *value.args, *value.keywords.values()] if kind is partial else [value.__self__])
    if (numpy := sys.modules.get("numpy")) is not None and isinstance(value, numpy.ndarray):
        return _of_array(value)
    if kind.__module__.partition(".")[0] == "pandas":
        return _of_table(value) if hasattr(value, "_mgr") else _NOTHING
    if kind.__module__ == "_io":
        return _of_stream(value)
    if hasattr(kind, "__next__"):
        return _of_iterator(value)
    if kind is ChainMap:
        return _Look((), value.maps)
    if kind is _lru_cache_wrapper:
        return _Look((), _cached_by(value))
    if kind.__module__ == "itertools":
        return _of_iterator(value)
    if is_own_class(kind):
        return _of_object(value, kind)
    return _of_library(value, kind)


def _known(value: Any) -> Any:
    """How a mark has what an object holds: as it is if it cannot be changed, else by its identity."""
    return value if isinstance(value, _FIXED) else id(value)


def _of_items(mark: tuple[Any, ...], items: Iterable[Any]) -> _Look:
    held = list(items)
    return _Look((*mark, *map(_known, held)), held)


def _ends(values: Any) -> list[Any]:
    if len(values) <= _SAMPLE:
        return list(values)
    return [*islice(values, _SAMPLE // 2), *islice(reversed(values), _SAMPLE // 2)]


def _of_iterator(value: Any) -> _Look:
    if type(value) is GeneratorType:
        frame = value.gi_frame
        return _Look((None,)) if frame is None else _of_items((frame.f_lasti,), frame.f_locals.values())
    # Those of C, and what they share (itertools.tee), tell what they hold to nobody but the garbage collector.
    parts = [part for part in gc.get_referents(value)[:_SAMPLE] if not isinstance(part, type)]
    where = repr(value) if type(value) is count else length_hint(value, -1)
    return _of_items((where, len(parts)), parts)


def _of_object(value: Any, kind: type) -> _Look:
    """An object of the user's: its attributes, and what it holds if its class is one of containers."""
    state = own_attributes(value, kind)
    items = [*state.values(), kind]
    length = -1
    base: Any
    for base in (list, tuple, set, deque):
        if isinstance(value, base):
            length = base.__len__(value)
            items += islice(base.__iter__(value), _SAMPLE)
    if isinstance(value, dict):
        length = dict.__len__(value)
        items += islice(dict.values(value), _SAMPLE)
    return _of_items((length, *state), items)


def own_attributes(value: Any, kind: type) -> dict[str, Any]:
    """The attributes of an object, without those that a mere look at it stores."""
    state = {name: part for name, part in getattr(value, "__dict__", {}).items() if not _is_cached(kind, name)}
    slots = (name for each in kind.__mro__ for name in _names(vars(each).get("__slots__", ())))
    state.update((name, getattr(value, name)) for name in slots if not _is_private(name) and hasattr(value, name))
    return state


def _cached_by(function: Any) -> list[Any]:
    """What a function with a cache may give again: that it is there already does not change it."""
    found: list[Any] = []
    for part in islice(gc.get_referents(function), _SAMPLE):
        if type(part) is not dict:
            found.append(part)
        elif part is not function.__dict__:  # results lie in it, or the links of a list whose results are parts, too
            found += (each for each in _ends(part.values()) if type(each).__name__ != "_lru_list_elem")
    return found


def _of_library(value: Any, kind: type) -> _Look:
    """An object of a library, where it is known how to tell that it was changed."""
    module, name = kind.__module__, kind.__name__
    if module == "_hashlib":
        return _Look((value.digest(),))
    if name in ("Element", "_Element") and hasattr(value, "attrib"):
        return _of_items((value.text, value.tail, *value.attrib.items()), _ends(value))
    if module == "array":
        return _Look((len(value), *_ends(value)))
    if kind is memoryview:
        return _Look((), [value.obj])
    if module.startswith("numpy.random") or module == "random":
        return _of_generator(value)
    if module.partition(".")[0] in _USED_UP:
        return _NOTHING
    state = {key: part for key, part in own_attributes(value, kind).items() if part is not None and "lock" not in key}
    known = _Attributes((key, _known(part)) for key, part in state.items())
    return _Look((known,), state.values()) if state else _NOTHING


def _of_stream(stream: Any) -> _Look:
    """An open file or a stream in memory. Of one that writes to a file nothing is asked: it would write what waits."""
    in_memory = type(stream).__name__ in ("BytesIO", "StringIO")
    position = stream.tell() if not stream.closed and (in_memory or not stream.writable()) else -1
    return _Look((stream.closed, position))


def _of_generator(value: Any) -> _Look:
    """A generator of random numbers, which moves on with each that it gives."""
    if hasattr(value, "getstate"):
        return _Look((value.getstate(),))
    state = value.get_state(legacy=False) if hasattr(value, "get_state") else value.bit_generator.state
    return _Look((repr(state),))


_USED_UP = frozenset(
    "IPython _thread asyncio concurrent flowbook flowbook_magics ipykernel logging matplotlib multiprocessing queue "
    "rich sqlalchemy sqlite3 tensorflow threading torch tqdm".split()
)
"""Packages whose objects are changed by being used, or are in the tables of the analysis."""


def _names(slots: str | Iterable[str]) -> Iterable[str]:
    return [slots] if isinstance(slots, str) else slots


def _of_code(code: Any) -> _Look:
    """What a function, class or module of the user keeps from one use to the next."""
    if isinstance(code, FunctionType):
        return _of_function(code)
    if isinstance(code, type):
        if not is_own_class(code):
            return _NOTHING
        functions = {name: part for name, part in vars(code).items() if isinstance(part, FunctionType)}
        keeping = [each for each in functions.values() if each.__defaults__ or each.__kwdefaults__ or each.__closure__]
        look = _of_variables(vars(code).items(), [*keeping, *code.__mro__[1:], type(code)])
        methods = ((name, id(function.__code__)) for name, function in functions.items())  # one may be replaced
        return _Look((*look.mark, *methods), look.parts)
    return _of_variables(vars(code).items()) if _is_imported(code) else _NOTHING


def _of_function(function: FunctionType) -> _Look:
    parts: list[Any] = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    parts += function.__closure__ or ()
    home = sys.modules.get(function.__module__)
    if home is not None and vars(home) is function.__globals__ and _is_imported(home):
        parts.append(home)
    return _of_variables(function.__dict__.items(), parts)


def _of_variables(items: Iterable[tuple[str, Any]], parts: Iterable[Any] = ()) -> _Look:
    kept = [(name, part) for name, part in items if not (isinstance(part, _CODE) or _is_private(name))]
    look = _of_items((len(kept), *(name for name, _ in kept)), (part for _, part in kept))
    return _Look(look.mark, [*look.parts, *parts])


def _is_imported(module: ModuleType) -> bool:
    """Whether it is a module that the user has written to a file."""
    return module.__name__ != "__main__" and is_own(module)


def _content_of(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing is bound to it yet
        return None


def _is_private(name: str) -> bool:
    return name.startswith("__") or "cache" in name


def _is_cached(kind: type, name: str) -> bool:
    """Whether an attribute is one that a mere look at the object stores (``functools.cached_property``)."""
    is_private = name.startswith("__") if is_own_class(kind) else _is_private(name)
    return is_private or hasattr(type(getattr(kind, name, None)), "__get__")


class _Attributes(dict[str, Any]):
    """Those of an object of a library, which may make some when they are first asked for: that is no change."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Attributes) and all(self[name] == other[name] for name in self.keys() & other.keys())


class Blocks(tuple[Any, ...]):
    """What lies together in the memory of a table. Another number of blocks is none that differ: pandas joins them
    when a table is only read, and what adds or replaces columns changes the axes or the content."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Blocks) and (len(self) != len(other) or tuple(self) == tuple(other))

    __hash__ = None  # type: ignore[assignment]


def _of_table(table: Any) -> _Look:
    manager = table._mgr
    arrays = [block.values for block in manager.blocks]
    contents = Blocks(_content(array) if hasattr(array, "flat") else id(array) for array in arrays)
    return _Look((*map(id, manager.axes), contents), [*manager.axes, *arrays])


def _of_array(array: Any) -> _Look:
    """An array, or a view: what can be changed is the memory of the array that has it."""
    base = array.base
    while base is not None and type(base).__name__ == "DummyArray":  # as_strided
        base = base.base
    if type(base).__module__ == "numpy":
        return _Look((*array.shape,), [base])
    objects = array.flat[:_SAMPLE].tolist() if array.dtype.hasobject else ()
    return _Look((*array.shape, array.dtype.str, _content(array)), objects)


def _content(array: Any) -> Any:
    """The content of an array, or a sample of it."""
    flat = array.reshape(-1) if array.flags.c_contiguous and type(array).__name__ == "ndarray" else array.flat
    if array.dtype.hasobject:
        return tuple(map(_known, flat[:: max(1, array.size // _SAMPLE)].tolist()))
    step = 1 if array.nbytes <= _SMALL_ARRAY else max(1, array.size // _LARGE_SAMPLE)
    return flat[::step].tobytes()
