"""The files that calls name which are in no table."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["named_files"]

_FILE_NAME = re.compile(
    r"[^\s:*?<>|]+\.(?:bin|bz2|cfg|csv|dat|db|duckdb|feather|geojson|gif|gpkg|gz|h5|hdf5|html?|ini|ipynb|joblib|jpe?g|jsonl?"
    r"|keras|log|md|mp[34]|model|nc|np[yz]|onnx|orc|parquet|pdf|pickle|pkl|png|pth?|py|safetensors|shp|sqlite3?|svg|tar|tiff?"
    r"|toml|tsv|txt|wav|webp|xlsx?|xml|ya?ml|zarr|zip)",
    re.IGNORECASE,
)
"""What is the name of a file, wherever it stands."""
_URL = re.compile(r"(?:sqlite|duckdb)(?:\+\w+)?:///|file://")
"""How the URL of a file begins, before its path."""
_READS = re.compile(
    r"(?:im|is_?)?(?:read|load|open|get|from|parse|exists|file|scan|fetch|show|display|Image|Audio|Video)"
)
_WRITES = re.compile(r"(?:im)?(?:write|save|dump|export|to_|store|create|connect)|[A-Z]")


_NO_FILES = frozenset(
    "argparse builtins click collections dataclasses datetime enum fnmatch functools importlib itertools logging "
    "operator os re requests string textwrap typer typing urllib".split()
)
"""Modules whose functions only name the files that they are told, or are in the tables."""


def named_files(path: str, method: str, constants: Iterable[object]) -> tuple[list[str], bool]:
    """The files that a call which is in no table names, and whether it may change them.

    A function of a library, which has a `path`, may unless it is called as one that reads; a `method` may if it is
    called as one that writes.
    """
    name = path.rpartition(".")[2]
    if path.partition(".")[0] in _NO_FILES:
        return [], False
    named = (_URL.sub("", each) for each in constants if isinstance(each, str))
    files = [f"files:{each.removeprefix('./')}" for each in named if _names_a_file(each)]
    if path.startswith("pathlib."):  # that alone does nothing; what is done with it is found there
        return files, False
    return files, not _READS.match(name) if path else bool(_WRITES.match(method))


def _names_a_file(text: str) -> bool:
    return len(text) < 256 and _FILE_NAME.fullmatch(text) is not None
