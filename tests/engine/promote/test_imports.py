"""What reading a notebook imports in a kernel, where seconds count and code of users may need all of it."""

from __future__ import annotations

import subprocess
import sys

KERNEL = """
import sys
from flowbook.promote.imports import import_nbformat

import_nbformat()
print("lark" in sys.modules, "rfc3987_syntax" in sys.modules)

from jsonschema import FormatChecker

formats = FormatChecker()
print([formats.conforms(text, "iri") for text in ("http://exämple.org/ü", "not an iri")])
print(all(name in formats.checkers for name in ("color", "duration", "iri-reference", "uri-template", "date-time")))
"""


def test_a_kernel_reads_notebooks_without_the_grammar_of_iris_and_still_checks_them() -> None:
    found = subprocess.run([sys.executable, "-c", KERNEL], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines() == ["False False", "[True, False]", "True"]
