"""What IPython's magics read, bind and touch, said as Python.

``%time`` and its like run code; ``{x}`` and ``$x`` in the line of any other magic or shell command are names that
IPython looks up (``IPython.utils.text.DollarFormatter``); the body of an unknown cell magic is opaque.
"""

from __future__ import annotations

import ast
import re
import string
from dataclasses import dataclass, field

__all__ = ["AUTOMAGIC", "TIMED", "MagicEffects", "cell_magic", "line_magic"]

AUTOMAGIC = frozenset(
    "cat cd clear conda cp env history hist ldir less ll load load_ext ls lsmagic man matplotlib mkdir more mv pip "
    "prun pwd pycat pylab reset rm rmdir run store time timeit uv who who_ls whos".split()
)

_CODE_MAGICS = {"time": "", "timeit": "nrpv", "prun": "lsTD", "memit": "rti", "lprun": "fmDTsu", "mprun": "fT"}
"""Magics whose line is Python -> their one-letter options that take a value."""

_CODE_CELLS = frozenset(
    "time timeit prun capture memit lprun mprun pyinstrument scalene snakeviz debug skip wandb".split()
)
_LOCAL_CODE = frozenset({"timeit", "memit"})
"""These run the code inside a function: what it binds stays there."""

TIMED = "__timed__"
"""The name of a class that stands for timed statements."""

_SETUP = frozenset("alias autoreload aimport colors config load_ext matplotlib precision reload_ext xmode".split())
_NOT_EXPANDED = frozenset({"time", "timeit", "task", "flow", "tasks", "deploy", "schedule", "runs", "logs"})

_RESOURCES = {
    "cd": "cwd", "pushd": "cwd", "popd": "cwd", "env": "environ", "set_env": "environ", "dotenv": "environ",
    "matplotlib": "pyplot", "pip": "packages", "conda": "packages", "mamba": "packages", "uv": "packages",
    "autoreload": "modules", "aimport": "modules", "reload_ext": "modules",
}  # fmt: skip

_UNKNOWN_BINDINGS = frozenset({"load", "macro", "pylab", "rerun", "recall", "rep", "reset", "reset_selective", "xdel"})
_NAMESPACE_READERS = frozenset({"who", "who_ls", "whos", "debug", "edit", "save", "notebook"})

_DOLLAR = re.compile(r"\$(\$?[A-Za-z_][\w.]*)(?=(?:[^']*'[^']*')*[^']*$)")
_SHELL_LOCAL = re.compile(r"(?:\bfor\s+|\bread\s+|(?:^|[;&|(]\s*|\bexport\s+))([A-Za-z_]\w*)(?:\s+in\b|=)")
_ENVIRONMENT = frozenset(
    "BASHPID CONDA_PREFIX DISPLAY EDITOR HOME HOSTNAME JAVA_HOME LANG LD_LIBRARY_PATH LOGNAME OLDPWD PATH PWD "
    "PYTHONPATH RANDOM SECONDS SHELL SHLVL SSH_CLIENT TEMP TERM TMP TMPDIR UID USER USERNAME VIRTUAL_ENV".split()
)
_OUTPUT_OPTION = re.compile(r"--(?:out|err|proc)[ =]+([A-Za-z_]\w*)")
_OPTION = re.compile(r"-{1,2}[A-Za-z][\w-]*")


@dataclass(kw_only=True, slots=True)
class MagicEffects:
    """What the magics of a cell do besides running the code that stands in their place."""

    flags: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)
    """Shared resources that they change."""
    looks: set[str] = field(default_factory=set)
    """Shared resources that they only look at."""
    optional: set[str] = field(default_factory=set)
    """Names in lines of a shell or a magic: IPython leaves the line as it is where one is missing."""
    runs: set[str] = field(default_factory=set)
    """Files that ``%run`` executes in the namespace."""
    is_setup: bool = True
    """They only load and configure, as imports do."""
    keeps_bindings: bool = True
    """False: the whole cell runs inside a function (``%%timeit``), so that what it binds is lost."""


def line_magic(typed: str, effects: MagicEffects, *, assigned: bool) -> str:
    """Python for ``%magic …``, ``!command …``, ``/f x``, ``,f x`` or ``;f x`` (without indentation)."""
    effects.is_setup = effects.is_setup and _name(typed) in _SETUP
    if typed.startswith("!"):
        return _shell(typed.lstrip("!"), effects, assigned=assigned)
    if typed[0] in ",;/":
        return _autocall(typed)
    name, rest = _name(typed), typed.partition(" ")[2].strip()
    if name in _CODE_MAGICS:
        return _code_line(name, rest, assigned=assigned)
    if name in ("sx", "system", "sc"):
        return _shell(rest, effects, assigned=assigned)
    if name == "store":
        return _store(rest)
    _note(name, rest, effects)
    return _reading(_expanded(rest, effects), assigned=assigned)


def cell_magic(name: str, line: str, effects: MagicEffects) -> tuple[bool, str]:
    """Whether the body of ``%%name line`` is Python of this kernel, and Python that stands for its first line."""
    effects.is_setup = False
    if name in _CODE_CELLS:
        if name in _LOCAL_CODE:
            effects.keeps_bindings = False
            return True, _without_options(name, line)
        if name == "capture":
            effects.flags.add("output")
            target = next((word for word in line.split() if not word.startswith("-")), "")
            return True, f"{target} = 0" if target.isidentifier() else ""
        return True, ""
    if name in ("writefile", "file"):
        effects.changes.add(f"files:{line.split()[-1]}" if line else "files:?")
    elif name in ("bash", "sh", "script", "system", "sx", "!", "cmd", "ruby", "perl"):
        effects.changes.add("files:?")
    else:
        _note(name, line, effects)
    reads = "" if name in _NOT_EXPANDED else _reading(_expanded(line, effects), assigned=False).replace("pass", "")
    bound = "; ".join(f"{target} = 0" for target in _OUTPUT_OPTION.findall(line))
    return False, "; ".join(part for part in (reads, bound) if part)


def _name(typed: str) -> str:
    return typed.lstrip("%").partition(" ")[0]


def _shell(command: str, effects: MagicEffects, *, assigned: bool) -> str:
    """A shell command can write any file; its own variables (``for f in``) are not Python's."""
    own = set(_SHELL_LOCAL.findall(command)) | _ENVIRONMENT
    effects.changes.add("files:?")
    effects.looks |= {"cwd", "environ"}
    words = command.split()
    if words[:1] in (["pip"], ["conda"], ["uv"]):
        effects.changes.add("packages")
    return _reading([name for name in _expanded(command, effects) if name not in own], assigned=assigned)


def _code_line(name: str, rest: str, *, assigned: bool) -> str:
    code = _without_options(name, rest) or "0"
    if name not in _LOCAL_CODE or assigned or _is_expression(code):
        return code
    # A class body runs at once and keeps its names, as the function that timeit makes does.
    return f"class {TIMED}: {code}"


def _store(rest: str) -> str:
    names = [word for word in rest.split() if word.isidentifier()]
    if "-r" in rest.split():
        return " = ".join([*names, "0"])
    return _reading([] if "-" in rest else names[:1], assigned=False)


def _note(name: str, rest: str, effects: MagicEffects) -> None:
    if name in _RESOURCES:
        effects.changes.add(_RESOURCES[name])
    if name == "run":
        path = next((word for word in rest.split() if not word.startswith("-")), "?").strip("\"'")
        effects.runs.add(path)
        effects.looks.add(f"files:{path}")
    elif name in _UNKNOWN_BINDINGS or name in _NAMESPACE_READERS:
        effects.flags.add("dynamic")


def _without_options(name: str, rest: str) -> str:
    """The code of ``-n 10 -r3 code``."""
    takes_value = _CODE_MAGICS.get(name, "")
    while match := _OPTION.match(rest):
        option, rest = match[0], rest[match.end() :].lstrip()
        if len(option) == 2 and option[1] in takes_value:
            rest = rest.partition(" ")[2].lstrip()
    return rest


def _expanded(line: str, effects: MagicEffects) -> list[str]:
    """The expressions that IPython looks up in a line; none if one of them is not Python, as IPython does."""
    try:
        fields = list(string.Formatter().parse(line))
    except ValueError:
        return []
    expressions = []
    for literal, expression, _, _ in fields:
        expressions += [found for found in _DOLLAR.findall(literal) if not found.startswith("$")]
        if expression is not None:
            expressions.append(expression)
    expressions = [expression.rstrip(".") for expression in expressions]
    if not all(map(_is_expression, expressions)):
        return []
    for expression in expressions:
        effects.optional |= {node.id for node in ast.walk(ast.parse(expression.strip())) if isinstance(node, ast.Name)}
    return expressions


def _reading(expressions: list[str], *, assigned: bool) -> str:
    """Python that reads the expressions and whose value is none of them."""
    if not expressions:
        return "0" if assigned else "pass"
    return f"({', '.join(expressions)},) is None"


def _autocall(typed: str) -> str:
    name, _, rest = typed[1:].strip().partition(" ")
    if typed[0] == "/":
        return f"{name}({', '.join(rest.split())})"
    arguments = [rest] if typed[0] == ";" else rest.split()
    return f"{name}({', '.join(map(repr, arguments))})"


def _is_expression(code: str) -> bool:
    try:
        ast.parse(code.strip(), mode="eval")
    except (SyntaxError, ValueError):
        return False
    return True
