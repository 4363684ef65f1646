"""What need not be imported to read a notebook."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

# Packages for formats of JSON Schema that notebooks do not have. To import them takes from 20 ms to more than a second.
_FORMATS = (
    "fqdn",
    "isoduration",
    "jsonpointer",
    "rfc3339_validator",
    "rfc3986_validator",
    "rfc3987",
    "rfc3987_syntax",
    "uri_template",
    "webcolors",
)
_GRAMMAR = "rfc3987_syntax"
_spared = False


def spare_formats() -> None:
    """Let `import_nbformat` do without what this process does not need; only for one that runs no code of users."""
    global _spared
    _spared = True


def import_nbformat() -> None:
    """Import nbformat, which imports jsonschema, and that all packages that it can find for formats.

    Where the code of users runs, it goes on to know them all; only the one that takes seconds waits for its first use.
    """
    hidden: dict[str, ModuleType | None] = {each: None for each in _FORMATS if _spared and each not in sys.modules}
    if not _spared and _GRAMMAR not in sys.modules and importlib.util.find_spec(_GRAMMAR) is not None:
        hidden = {_GRAMMAR: _grammar_when_used()}
    sys.modules.update(hidden)  # type: ignore[arg-type]  # None makes an import an ImportError
    try:
        import nbformat  # noqa: F401
    finally:
        for each in hidden:
            del sys.modules[each]


def _grammar_when_used() -> ModuleType:
    """What jsonschema takes from the package that compiles a grammar when it is imported; here when it is called."""

    def is_valid_syntax(*args: Any) -> Any:
        return importlib.import_module(_GRAMMAR).is_valid_syntax(*args)

    stand_in = ModuleType(_GRAMMAR)
    stand_in.is_valid_syntax = is_valid_syntax  # type: ignore[attr-defined]
    return stand_in
