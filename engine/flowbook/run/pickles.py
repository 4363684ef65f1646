"""What goes from one process to another: pickles by cloudpickle, and what to say when something cannot be pickled.

Functions and classes of an importable module go by name, all others (of a notebook, of the script that was started, of
a function's inside) by value. A task or flow in a module goes by its name as well, although the function under it can
no longer be found there.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import io
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from functools import _lru_cache_wrapper, cached_property, lru_cache
from itertools import islice
from types import CellType, CodeType, FunctionType, MemberDescriptorType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

import cloudpickle
from cloudpickle.cloudpickle import _function_setstate, _make_skeleton_class

from flowbook.errors import FlowbookError, NotPicklable
from flowbook.run.channel import Part

_APART = 1 << 16  # bytes: a smaller buffer is copied into the pickle
_DEEPEST = 4
_MOST = 1000  # members of a container that are looked at
_IN_A_THREAD = (
    "run the task in a thread (by ThreadPoolTaskRunner; a cell without `--isolate process` and `--runner dask`)."
)
_ADVICE = (
    f"Hand over what it is made from (a path, an address, a key) and make it inside of the task, or {_IN_A_THREAD}"
)
_TOO_DEEP = f"Hand over a flat form of it, such as a list of its members, or {_IN_A_THREAD}"


def pack(value: Any, pickler: Callable[..., Pickler] | None = None) -> list[Part]:
    """`value` as the parts of a message; raises whatever keeps it from being pickled."""
    buffers: list[pickle.PickleBuffer] = []

    def goes_along(buffer: pickle.PickleBuffer) -> bool:
        if memoryview(buffer).nbytes < _APART:
            return True
        buffers.append(buffer)
        return False

    with io.BytesIO() as file:
        (pickler or Pickler)(file, protocol=5, buffer_callback=goes_along).dump(value)
        return [file.getvalue(), *(buffer.raw() for buffer in buffers)]


def dumps(value: Any) -> bytes:
    """`value` as one pickle; raises whatever keeps it from being pickled."""
    with io.BytesIO() as file:
        Pickler(file, protocol=5).dump(value)
        return file.getvalue()


def unpack(parts: Sequence[Part]) -> Any:
    """The value that `pack` was given."""
    return pickle.loads(parts[0], buffers=parts[1:])  # noqa: S301 - from a process of our own


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
    """That of cloudpickle, with what is said at the top of this module."""

    def reducer_override(self, obj: Any) -> Any:
        if type(obj).__module__ == "dataclasses" and (name := _MARKS.get(id(obj))) is not None:
            return name
        if type(obj) is CodeType:  # cloudpickle forgets the file, without which a traceback shows no code
            make, parts = self.dispatch_table[CodeType](obj)[:2]
            return _code_of, (obj.co_filename, make, parts)
        if isinstance(obj, FunctionType | type):
            module = obj.__module__
            if module in sys.modules and not is_importable(module):
                cloudpickle.register_pickle_by_value(sys.modules[module])
            elif type(obj) is FunctionType and (depth := _wrappers_of(obj)):
                return _unwrapped, (module, obj.__qualname__, depth)
        if isinstance(obj, _lru_cache_wrapper) and name_elsewhere(obj) is None:
            return _cached_again, (obj.__wrapped__, obj.cache_parameters())
        if type(obj) is cached_property:  # that of Python 3.11 has a lock
            return _property_again, (obj.func, obj.attrname)
        if type(obj) in _WEAK:
            return type(obj), (dict(obj) if isinstance(obj, MutableMapping) else list(obj),)
        if type(obj) is CellType:  # cloudpickle gives each function its own, but what one of them binds others see
            return _variable, (), _content_of(obj), None, None, _bind
        reduced = super().reducer_override(obj)
        if not isinstance(reduced, tuple):
            return reduced
        if reduced[-1] is _function_setstate:
            reduced[2][1]["__closure__"] = None
            return reduced[0], (*reduced[1][:-1], obj.__closure__), *reduced[2:]
        return _of_class(obj, reduced) if reduced[0] is _make_skeleton_class else reduced


def _of_class(cls: type, reduced: tuple[Any, ...]) -> tuple[Any, ...]:
    """How a class is made elsewhere, as cloudpickle has `reduced` it: with its slots, if it has some."""
    _, (metaclass, name, bases, namespace, *rest), (attributes, slots), *how = reduced
    if "__slots__" in attributes and not issubclass(cls, tuple):
        namespace["__slots__"] = attributes.pop("__slots__")
        members = [name for name, value in attributes.items() if isinstance(value, MemberDescriptorType)]
        for member in (*members, "__slotnames__"):
            attributes.pop(member, None)
    return _made_again, (metaclass, name, bases, namespace, *rest), (attributes, slots), *how


def _made_again(metaclass: Any, name: str, bases: tuple[Any, ...], *rest: Any) -> type:
    """A class without what code of the user's does whenever one is defined, since it did that where it was."""
    above = {each for base in bases if isinstance(base, type) for each in base.__mro__}
    own = [each for each in above if not is_importable(each.__module__)]
    hooks = [(each, hook) for each in own if (hook := vars(each).get("__init_subclass__")) is not None]
    for each, _ in hooks:
        type.__delattr__(each, "__init_subclass__")
    try:
        made: type = _make_skeleton_class(_quiet(metaclass), name, bases, *rest)
        return made
    finally:
        for each, hook in hooks:
            type.__setattr__(each, "__init_subclass__", hook)


def _quiet(metaclass: Any) -> Any:
    """For a metaclass of the user's what makes its classes without its own code."""
    if not isinstance(metaclass, type) or is_importable(metaclass.__module__):
        return metaclass
    library: Any = next(each for each in metaclass.__mro__ if is_importable(each.__module__))

    def made(name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
        cls: type = library.__new__(metaclass, name, bases, namespace)
        library.__init__(cls, name, bases, namespace)
        return cls

    return made


_MARKS = {
    id(vars(dataclasses)[name]): name for name in ("MISSING", "KW_ONLY", "_FIELD", "_FIELD_CLASSVAR", "_FIELD_INITVAR")
}
"""What stands for something in the fields of dataclasses, and is known by being itself."""


def _variable() -> CellType:
    return CellType()


def _content_of(cell: CellType) -> tuple[Any] | None:
    try:
        return (cell.cell_contents,)
    except ValueError:  # nothing is bound to it yet
        return None


def _bind(cell: CellType, content: tuple[Any]) -> None:
    (cell.cell_contents,) = content


def _cached_again(function: Callable[..., Any], parameters: Mapping[str, Any]) -> Callable[..., Any]:
    """A function with a cache, which is empty in another process."""
    cached: Callable[..., Any] = lru_cache(**parameters)(function)
    return cached


def _property_again(function: Callable[..., Any], name: str | None) -> cached_property[Any]:
    made = cached_property(function)
    made.attrname = name
    return made


_WEAK = (WeakKeyDictionary, WeakValueDictionary, WeakSet)


def _code_of(filename: str, make: Callable[..., CodeType], parts: tuple[Any, ...]) -> CodeType:
    return make(*parts).replace(co_filename=filename)


def name_elsewhere(obj: Any) -> str | None:
    """The name under which another process finds `obj` in the module it says it is from; None if it does not."""
    module, name = getattr(obj, "__module__", None), getattr(obj, "__qualname__", None)
    return name if _found(module, name) is obj and is_importable(str(module)) else None


_importable: dict[str, bool] = {"__main__": False, "__mp_main__": False}


def is_importable(name: str) -> bool:
    """Whether a new interpreter with the same ``sys.path`` would find the module that is known by `name` here."""
    if name not in _importable:
        _importable[name] = _would_be_found(name)
    return _importable[name]


def _would_be_found(name: str) -> bool:
    spec = getattr(sys.modules.get(name), "__spec__", None)
    if spec is None:
        return False
    if spec.origin in ("built-in", "frozen"):
        return True
    path: Sequence[str] | None = None
    found = None
    for n in range(len(parts := name.split("."))):
        full = ".".join(parts[: n + 1])
        found = next((s for finder in sys.meta_path if (s := _spec_by(finder, full, path)) is not None), None)
        if found is None:
            return n > 0 and not spec.has_location  # put in place by its package, as in the other process
        path = found.submodule_search_locations
    return found is not None and found.origin == spec.origin


def _spec_by(finder: Any, name: str, path: Sequence[str] | None) -> Any:
    try:
        return finder.find_spec(name, path)
    except Exception:  # a finder of somebody else's
        return None


def _wrappers_of(function: FunctionType) -> int:
    """How many wrappers (a task, a flow, any decorator by the rules) are around `function` in its module."""
    found = _found(function.__module__, function.__qualname__)
    depth = 0
    while found is not None and found is not function:
        found = inspect.getattr_static(found, "__wrapped__", None)
        depth += 1
    return depth if found is function else 0


def _found(module: str | None, name: str | None) -> Any:
    found: Any = sys.modules.get(module) if module and name else None
    for part in (name or "").split("."):
        found = getattr(found, part, None)
    return found


def _unwrapped(module: str, name: str, depth: int) -> Any:
    """The function under so many wrappers."""
    importlib.import_module(module)
    found = _found(module, name)
    for _ in range(depth):
        found = inspect.getattr_static(found, "__wrapped__")
    return found


def cannot_be_sent(title: str, function: Callable[..., Any], arguments: Mapping[str, Any]) -> FlowbookError:
    """The error that names what of a call cannot be pickled."""
    suspects = [(f"its argument {name!r}", name, value) for name, value in arguments.items()]
    suspects += [(f"{name!r}, which its function uses,", name, value) for name, value in _used_by(function)]
    for subject, name, value in suspects:
        error = _error_of(value)
        if isinstance(error, FlowbookError):
            return error
        if error is not None:
            what = f"{_what(subject, name, value)}, which cannot be pickled ({_said(error)})"
            advice = _TOO_DEEP if _is_too_deep(error) else _ADVICE
            return NotPicklable(f"{title} cannot be sent to another process: {what}. {advice}")
    error = _error_of(function)
    if isinstance(error, FlowbookError):
        return error
    why = _said(error) if error is not None else "together with its arguments"
    return NotPicklable(
        f"{title} cannot be sent to another process: its function {getattr(function, '__qualname__', function)!r} "
        f"cannot be pickled ({why}). Define it at the top of a module, a script or a notebook cell, or {_IN_A_THREAD}"
    )


def why_not_pickled(subject: str, name: str, value: Any) -> str | None:
    """Why the value of `name` cannot be pickled, as in ``it is a _thread.lock, which …``; None if it can."""
    error = _error_of(value)
    return None if error is None else f"{_what(subject, name, value)}, which cannot be pickled ({_said(error)})"


def why_not_by_value(function: Callable[..., Any]) -> str | None:
    """Which name that a function uses keeps it from being pickled, and why; None if none does."""
    reasons = (why_not_pickled(f"{name!r}, which it uses,", name, value) for name, value in _used_by(function))
    return next((reason for reason in reasons if reason is not None), None)


def cannot_be_returned(title: str, value: Any, error: Exception) -> NotPicklable:
    """The error that says that the result of a call cannot be pickled."""
    return NotPicklable(
        f"The result of {title[0].lower()}{title[1:]} cannot be sent back from the process that made it: "
        f"{_what('it', 'result', value)}, which cannot be pickled ({_said(error)}). Return plain data, or write it to "
        f"a file and return the path; or {_IN_A_THREAD}"
    )


def _error_of(value: Any) -> Exception | None:
    try:
        pack(value)
    except Exception as error:
        return error
    return None


def _is_too_deep(error: Exception) -> bool:
    """Each object inside of another one takes a call of the pickler, which Python's limit of recursion ends."""
    return isinstance(error, RecursionError) or isinstance(error.__cause__, RecursionError)


def _said(error: Exception) -> str:
    if _is_too_deep(error):
        return "too many objects inside of each other"
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _what(subject: str, name: str, value: Any) -> str:
    """`subject` is a …, or holds one at a place that is named."""
    where, guilty = _guilty(value, _DEEPEST)
    kind = type(guilty)
    said = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{subject} holds at {name}{where} a {said}" if where else f"{subject} is a {said}"


def _guilty(value: Any, depth: int) -> tuple[str, Any]:
    """Where in plain containers that is which cannot be pickled, and what it is."""
    for where, part in _members(value) if depth else ():
        if _error_of(part) is not None:
            deeper, guilty = _guilty(part, depth - 1)
            return where + deeper, guilty
    return "", value


def _members(value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(f"[{key!r}]", member) for key, member in islice(value.items(), _MOST)]
    if isinstance(value, list | tuple):
        return [(f"[{n}]", member) for n, member in enumerate(islice(value, _MOST))]
    return []


def _used_by(function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """The names outside of a function that it uses, and what they stand for: of its closure and its globals."""
    function = inspect.unwrap(getattr(function, "__func__", function))
    if not isinstance(function, FunctionType):
        return
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not bound yet
            continue
    for name in code.co_names:
        found = function.__globals__.get(name)
        if found is not None and not isinstance(found, ModuleType):
            yield name, found
