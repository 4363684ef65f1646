"""What can be told of the objects and functions of libraries that are in no table: by what they are called."""

from __future__ import annotations

import re
import sys

__all__ = ["does_something", "gives_object", "gives_part", "only_shows", "package_of"]

_KNOWN = frozenset(
    "IPython builtins flowbook joblib keras matplotlib networkx numpy pandas patsy polars pyarrow pydantic pylab "
    "scipy seaborn sklearn statsmodels tensorflow torch tqdm typing_extensions".split()
)
"""Packages whose objects are in the tables, or keep nothing."""

_OF_VALUES = frozenset(
    "abc base64 binascii builtins bisect calendar cmath collections colorsys copy dataclasses datetime decimal difflib "
    "enum fnmatch fractions functools glob hashlib heapq inspect io ipaddress itertools json keyword logging math "
    "numbers operator os pathlib pickle platform pprint re shutil statistics string subprocess sys textwrap time "
    "timeit types typing unicodedata urllib uuid warnings zoneinfo".split()
)
"""Modules of the standard library whose objects are values, or in the tables."""

_SHOWS = re.compile(
    r"(?:show|display|print|pprint|info|describe|head|tail|summary|report|plot|hist|debug|warn|error|critical|exception"
    r"|raise_for_status|assert|wait|sleep|save|to_|export|dump|__repr__)"
)
"""How methods begin that look at their object, or write what it holds elsewhere."""

_DOES = re.compile(
    r"(?:accept|acquire|add|advance|begin|clear|close|commit|configure|consume|create|decrement|delete|disable|download"
    r"|draw|drop|enable|end|enter|exit|feed|fetch|finish|flush|increment|incr|init|insert|install|lease|load|move|next|open"
    r"|pop|pull|push|put|receive|record|recv|register|release|remove|reset|restart|roll|seed|seek|send|set|skip|start|step"
    r"|stop|swap|take|tick|toggle|train|undo|unregister|update|upsert|use|write)(?:_|$)"
)
"""How methods begin that do something to their object, although what they give is used."""

_GIVES_PARTS = re.compile(
    r"(?:add|all|append|child|create|descendants|elements|find|first|get|insert|item|iter|last|make|new|next|one|parent|parse"
    r"|previous|query|root|row|scalar|select|sibling|top|walk|xpath)"
)
"""How methods begin whose result may be a part of their object."""


def package_of(path: str) -> str:
    """The package of an import path, if it is one of those that are in no table and may keep something ('' if not)."""
    package = path.lstrip(".").partition(".")[0]
    return "" if package in _KNOWN or package in sys.stdlib_module_names else package


def gives_object(path: str) -> bool:
    """Whether what a function or class with this import path gives may keep something that its methods change."""
    package = path.partition(".")[0]
    return bool(package) and package not in _KNOWN and package not in _OF_VALUES


def gives_part(name: str) -> bool:
    """Whether a method is called as one whose result may be a part of its object, which is changed with it."""
    return _GIVES_PARTS.match(name) is not None


def only_shows(name: str) -> bool:
    """Whether a function or method is called as one that is only there to show or to save something."""
    return _SHOWS.match(name) is not None


def does_something(name: str) -> bool:
    """Whether a function or method is called as one that does something to its module or its object."""
    return _DOES.match(name) is not None
