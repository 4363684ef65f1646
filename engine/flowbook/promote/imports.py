"""What flowbook's own processes do not need to import."""

from __future__ import annotations

import sys


def skip_grammar_of_iris() -> None:
    """Spare this process more than a second.

    jsonschema, which nbformat imports, compiles a whole grammar for the optional check of a format that notebooks do
    not have (``iri``), if the package for it is there. Only for processes that are flowbook's alone.
    """
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # None makes its import an ImportError
