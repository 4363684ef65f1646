"""What flowbook's own processes do not need to import."""

from __future__ import annotations

import sys

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
_spared = False


def spare_formats() -> None:
    """Let `import_nbformat` do without what this process does not need; only for one that runs no code of users."""
    global _spared
    _spared = True


def import_nbformat() -> None:
    """Import nbformat, which imports jsonschema, and that all packages that it can find for formats."""
    hidden = [each for each in _FORMATS if _spared and each not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None makes an import an ImportError
    try:
        import nbformat  # noqa: F401
    finally:
        for each in hidden:
            del sys.modules[each]
