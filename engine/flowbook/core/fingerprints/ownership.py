"""Which code is the user's own, and which comes from the standard library, an installed package or flowbook."""

from __future__ import annotations

import os
import sys
import sysconfig
from functools import cache
from types import FunctionType, ModuleType

_OURS = frozenset({"flowbook", "flowbook_magics", "flowbook_widgets", "flowbook_lab"})
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


def is_own_function(fn: FunctionType) -> bool:
    """Whether somebody who works with flowbook may edit `fn`; a cell, a REPL and ``exec`` count as theirs."""
    return is_own_module(fn.__globals__.get("__name__")) and is_own_file(fn.__code__.co_filename)


def is_own_class(cls: type) -> bool:
    """The same for a class, by the module that it says it is from."""
    name = type.__getattribute__(cls, "__module__")
    module = sys.modules.get(name) if type(name) is str else None
    return is_own(module) if module is not None else True  # made by ``exec`` with a name of its own


def is_own(module: ModuleType) -> bool:
    """The same for a module: what has no file is the user's only if it is ``__main__``."""
    file = vars(module).get("__file__")
    if not isinstance(file, str):
        return module.__name__ == "__main__"
    return is_own_module(module.__name__) and is_own_file(file)


def is_own_module(name: object) -> bool:
    """Whether a module of this name can be the user's."""
    return not isinstance(name, str) or name.partition(".")[0] not in _OURS


@cache
def is_own_file(path: str) -> bool:
    """Whether a file of this path can be the user's; ``<stdin>`` and the like can."""
    return not (path.startswith(("<frozen", *_library_folders())) or any(part in path for part in _INSTALLED))


@cache
def _library_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple(paths[name].rstrip(os.sep) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib"))
