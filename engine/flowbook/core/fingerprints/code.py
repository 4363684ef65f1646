"""How functions and classes are read: by what they do, with what they use of the user's code."""

from __future__ import annotations

from functools import lru_cache
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    GenericAlias,
    MemberDescriptorType,
    MethodType,
    ModuleType,
    UnionType,
)
from typing import Any

from flowbook.core.fingerprints.ownership import is_own, is_own_class, is_own_function
from flowbook.core.fingerprints.reader import Reader, ReadsInto, name_of, of_class
from flowbook.core.fingerprints.references import references_of


def _read_function(reader: Reader, fn: FunctionType) -> None:
    if reader.is_known(fn):
        return
    lenient, reader.lenient = reader.lenient, True  # what a function uses is read without running anything
    if is_own_function(fn):
        reader.put("function", _code_digest(fn.__code__))
        reader.read_many("defaults", fn.__defaults__ or ())
        reader.read_mapping("keyword defaults", fn.__kwdefaults__ or {})
        _read_globals(reader, fn)
    else:
        reader.put("library function", name_of(fn).encode())
        reader.read(fn.__dict__.get("__wrapped__"))
    _read_closure(reader, fn)
    reader.lenient = lenient


def _read_globals(reader: Reader, fn: FunctionType) -> None:
    references = references_of(fn.__code__)
    for chain in references.names:
        name = chain[0]
        if name in references.assigned or name not in fn.__globals__:
            continue
        value, rest = fn.__globals__[name], chain[1:]
        while rest and issubclass(type(value), ModuleType) and is_own(value) and rest[0] in vars(value):
            value, rest = vars(value)[rest[0]], rest[1:]
        reader.read_used(".".join(chain), value, changed=name in references.changed)


def _read_closure(reader: Reader, fn: FunctionType) -> None:
    references = references_of(fn.__code__)
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
        if name in references.assigned:
            continue
        try:
            value = cell.cell_contents
        except ValueError:  # it is empty
            continue
        reader.read_used(name, value, changed=name in references.changed)


def read_class(reader: Reader, cls: type) -> None:
    """Read what instances of a class can do; of a class that is not the user's, the name."""
    if not is_own_class(cls):
        reader.put("type", name_of(cls).encode())
        return
    if reader.is_known(cls):
        return
    lenient, reader.lenient = reader.lenient, True
    reader.put("class", name_of(cls).encode())
    reader.read_many("bases", of_class(cls, "__bases__"))
    members = of_class(cls, "__dict__")
    for name in sorted(members):
        value = _content(members[name])
        if name == "__annotations__" and type(value) is dict:
            reader.read_mapping("annotations", {key: _hint(hint) for key, hint in value.items()})
        elif not name.startswith("__") or type(value) is FunctionType:
            reader.read_used(name, value, changed=True)
    reader.lenient = lenient


def _content(member: Any) -> Any:
    """What a member of a class body consists of."""
    kind = type(member)
    if issubclass(kind, staticmethod | classmethod):
        return member.__func__
    if issubclass(kind, property):
        return (member.fget, member.fset, member.fdel)
    return None if kind is MemberDescriptorType else member


def _hint(hint: Any) -> str:
    kind = type(hint)
    if kind is str:
        return str(hint)
    if kind in (GenericAlias, UnionType) or kind.__module__ == "typing":
        return repr(hint)
    return name_of(hint if issubclass(kind, type) else kind)


@lru_cache(maxsize=4096)
def _code_digest(code: CodeType) -> bytes:
    """What the code does: its instructions, constants and names, without where it was written."""
    from flowbook.core.fingerprints.values import READERS as VALUES
    from flowbook.core.fingerprints.values import read_other

    reader = Reader({**VALUES, **READERS}, read_other, lenient=True)
    reader.read(
        (
            code.co_code,
            code.co_exceptiontable,
            code.co_flags,
            (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount),
            (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars),
            code.co_consts,
        )
    )
    return reader.digest()


def _read_code(reader: Reader, code: CodeType) -> None:
    reader.put("code", _code_digest(code))


def _read_method(reader: Reader, value: MethodType) -> None:
    reader.put("method")
    reader.read(value.__func__)
    owner = value.__self__
    if reader.lenient and not issubclass(type(owner), type):
        read_class(reader, type(owner))
    else:
        reader.read(owner)


def _read_builtin(reader: Reader, value: BuiltinFunctionType) -> None:
    reader.put("builtin", f"{value.__module__}.{value.__qualname__}".encode())
    owner = value.__self__
    if not (reader.lenient or owner is None or isinstance(owner, ModuleType)):
        reader.read(owner)


def _read_module(reader: Reader, value: ModuleType) -> None:
    reader.put("module", value.__name__.encode())


READERS: dict[type, ReadsInto] = {
    type: read_class,
    FunctionType: _read_function,
    BuiltinFunctionType: _read_builtin,
    MethodType: _read_method,
    ModuleType: _read_module,
    CodeType: _read_code,
}
