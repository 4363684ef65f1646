"""Loading what is defined in a file or module by its entrypoint: ``path/to/file.py:name`` or ``package.module:name``.

The file is executed anew each time, so that it is always what the file says now. Its folder is searched for imports
as it is for a script: before all others while the file is loaded, and after all others from then on, so that a later
import in one of its functions works, and hides nothing.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.machinery import SourceFileLoader
from pathlib import Path
from shlex import quote
from types import CodeType, ModuleType
from typing import Any, TypeVar

from flowbook.core.states import describe_error
from flowbook.errors import UsageError, did_you_mean

__all__ = ["load_from_entrypoint", "load_from_source"]

T = TypeVar("T")


def load_from_source(source: str | os.PathLike[str], entrypoint: str | None, kind: type[T]) -> T:
    """The one object of class `kind` that `entrypoint` names in the folder `source`; for a file, by its name there.

    Raises UsageError for anything but a local path, and as `load_from_entrypoint` does.
    """
    path = _local_path(source)
    if path.is_dir():
        if not entrypoint:
            raise UsageError(f"{path} is a folder; say which flow of it with entrypoint='path/to/file.py:flow_name'.")
        return load_from_entrypoint(entrypoint, kind, folder=path)
    if entrypoint and ":" in entrypoint:
        raise UsageError(f"{path} is no folder, so the entrypoint is just the name of a flow, not {entrypoint!r}.")
    return _load_from_file(path, entrypoint or "", kind)


def load_from_entrypoint(entrypoint: str, kind: type[T], *, folder: Path | None = None) -> T:
    """The object of class `kind` that ``path/to/file.py:name``, ``module:name`` or ``module.name`` names.

    Without a name it is the only one that is defined there. Paths are relative to `folder`, or to the current one.
    Raises UsageError if there is no such file, module or name, if there are several, and if loading it fails.
    """
    where, _, name = entrypoint.rpartition(":")
    if not where or entrypoint.endswith(".py"):
        where, name = entrypoint, ""
    if where.endswith((".py", ".ipynb")) or "/" in where or "\\" in where:
        return _load_from_file(_local_path(where, folder), name, kind)
    with _searched(folder or Path.cwd()):
        return _load_from_module(where, name, kind, folder)


def load_from_code(code: bytes, path: Path, name: str, kind: type[T]) -> T:
    """The object of class `kind` that is called `name` in `code`, which was the content of the file `path` once.

    Raises UsageError if executing it fails, or there is no such object.
    """
    root, module_name = _place(path)
    with _searched(root):
        module = _execute(path, _free_name(module_name, path), code)
    return _choose(module, name, kind, str(path))


def place_of(path: Path) -> tuple[Path, str]:
    """The folder that imports begin in for a file, and what the file is called from there."""
    return _place(path)


def _local_path(source: str | os.PathLike[str], folder: Path | None = None) -> Path:
    if not isinstance(source, str | os.PathLike):
        raise UsageError(f"The source of a flow is a local folder or file, not {source!r}.")
    said = os.fspath(source)
    if "://" in said or said.startswith("git@"):
        raise UsageError(
            f"{said} is not on this machine. Fetch it first (git clone, say), and give the local folder as the source."
        )
    return ((folder or Path.cwd()) / Path(said).expanduser()).resolve()


def _load_from_file(path: Path, name: str, kind: type[T]) -> T:
    if path.suffix == ".ipynb":
        raise UsageError(
            f"{path.name} is a notebook, whose cells would all be executed to load a flow. "
            f"Deploy it with `flowbook promote {quote(path.name)}`, or move the flow to a .py file."
        )
    if not path.is_file():
        near = did_you_mean(path.name, (file.name for file in path.parent.glob("*.py")))
        raise UsageError(f"There is no file {path}.{near}")
    root, module_name = _place(path)
    with _searched(root):
        module = _execute(path, _free_name(module_name, path))
    return _choose(module, name, kind, str(path))


def _load_from_module(where: str, name: str, kind: type[T], folder: Path | None) -> T:
    if not name and _spec(where) is None and "." in where:
        where, _, name = where.rpartition(".")
    if _spec(where) is None:
        raise UsageError(
            f"There is no module {where!r}. Give 'package.module:flow_name', or a file as 'path/to/file.py:flow_name'."
        )
    with _loading(where, None):
        module = importlib.import_module(where)
    found = getattr(module, "__file__", None)
    if folder is not None and found is not None and not Path(found).resolve().is_relative_to(folder):
        raise UsageError(
            f"The module {where!r} is {found}, not one in {folder}. Give the file instead: 'path/to/file.py:flow_name'."
        )
    return _choose(module, name, kind, f"The module {where!r}")


def _choose(module: ModuleType, name: str, kind: type[T], where: str) -> T:
    known = {key: value for key, value in vars(module).items() if isinstance(value, kind)}
    word = kind.__name__.lower()
    if name:
        return _named(module, name, known, kind, where)
    own = {key: value for key, value in known.items() if getattr(value, "__module__", None) == module.__name__}
    distinct = {id(value): value for value in (own or known).values()}
    if len(distinct) == 1:
        return next(iter(distinct.values()))
    if not distinct:
        raise UsageError(f"{where} defines no {word}. Decorate a function in it with @{word}.")
    raise UsageError(f"{where} defines {_listed(own or known)}. Say which one: '...:{next(iter(own or known))}'.")


def _named(module: ModuleType, name: str, known: Mapping[str, T], kind: type[T], where: str) -> T:
    """The one that is called `name` in the module (``Class.method`` as well), or that says it has this name."""
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if isinstance(found, kind):
        return found
    for value in known.values():
        if getattr(value, "name", None) == name:
            return value
    word = kind.__name__.lower()
    if found is not None:
        raise UsageError(f"{name!r} in {where} is no {word} but {found!r}. Decorate its function with @{word}.")
    has = f" It has {_listed(known)}." if known else f" It defines no {word}."
    raise UsageError(f"{where} has no {word} {name!r}.{did_you_mean(name, known)}{has}")


def _listed(known: Mapping[str, object]) -> str:
    return ", ".join(map(repr, known))


def _place(path: Path) -> tuple[Path, str]:
    """The folder that imports begin in for a file, and what the file is called from there: inside a package, or not."""
    parts, folder = [path.stem], path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(parts)


def _free_name(name: str, path: Path) -> str:
    """`name` for the module of this file, unless an import of that name gives something else."""
    known = sys.modules.get(name)
    found = getattr(known, "__file__", None) if known is not None else getattr(_spec(name), "origin", None)
    is_other = known is not None or found is not None
    if is_other and (found is None or Path(found).resolve() != path):
        return f"{name}_{zlib.crc32(os.fsencode(path)):08x}"
    return name


def _spec(name: str) -> Any:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None


def _execute(path: Path, name: str, code: bytes | None = None) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path, loader=_Afresh(name, str(path), code))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    with _loading(str(path), path):
        if spec.parent and spec.parent != name:
            importlib.import_module(spec.parent)
        sys.modules[name] = module  # where dataclasses and type hints look for it
        try:
            spec.loader.exec_module(module)
        except BaseException:
            if before is None:
                del sys.modules[name]
            else:
                sys.modules[name] = before
            raise
    return module


class _Afresh(SourceFileLoader):
    """Compiles `content`, else the file as it is now: what is cached of one that was just edited may be older."""

    def __init__(self, fullname: str, path: str, content: bytes | None = None) -> None:
        super().__init__(fullname, path)
        self.content = content

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        content = self.get_data(path) if self.content is None else self.content
        code: CodeType = self.source_to_code(content, path)
        return code


@contextmanager
def _searched(folder: Path) -> Iterator[None]:
    """Imports are looked for in `folder`: inside before all other places, and afterwards after them."""
    place = str(folder)
    sys.path.insert(0, place)
    try:
        yield
    finally:
        sys.path.remove(place)
        if place not in sys.path:
            sys.path.append(place)


_is_loading: ContextVar[bool] = ContextVar("flowbook_is_loading", default=False)


def is_loading() -> bool:
    """Whether the calling code is at the top of a file that is executed only to take a flow or task from it."""
    return _is_loading.get()


@contextmanager
def _loading(what: str, path: Path | None) -> Iterator[None]:
    """Inside, an error becomes one that says what could not be loaded, where it went wrong and why."""
    before = _is_loading.set(True)
    try:
        yield
    except (Exception, SystemExit) as error:
        line = _line_of(error, path)
        where = f"{what}, line {line}," if line else what
        exits = " What only a script does belongs under `if __name__ == '__main__':`." * isinstance(error, SystemExit)
        raise UsageError(f"{where} could not be loaded: {describe_error(error)}.{exits}") from error
    finally:
        _is_loading.reset(before)


def _line_of(error: BaseException, path: Path | None) -> int | None:
    """The line of the file at which it went wrong."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    line, tb = None, error.__traceback__
    while tb is not None:
        if tb.tb_frame.f_code.co_filename == str(path):
            line = tb.tb_lineno
        tb = tb.tb_next
    return line
