"""A notebook that a person edits while its kernel runs, as JupyterLab tells the kernel of it.

A session is written down as text: the cells as for other notebooks here, each with its id (``# %% a``), and below
``# %% then`` what the person does, one step a line:

===============================  =======================================================================================
``run all``, ``run a``           executes cells as they are written
``define all``                   executes all with ``--define`` in those that are tasks: they wait for a run
``edit a: old => new``           changes the cell and executes it with ``--define`` if it is a task
``edit a:``                      the same with the whole cell, which follows indented
``insert b after a:``            a new cell, which follows indented; ``before`` works as well, here and below
``edit and run``, ``insert and   the same, but the cell is executed as it is written
run``
``move b before a``              as with Ctrl-Shift-Up; this and what follows executes nothing by itself
``delete a b``, ``undo``         the kernel is told of it with the next cell; ``undo`` puts them back where they were
``cut a``, ``paste after b``     the same elsewhere: the cells keep their ids
``flow run --all``               ``%flow run``; then all variables and text files are as in a plain run of the notebook,
                                 unless a run with ``--only`` or ``--from-failed`` leaves out what is stale
``compare``                      says that they are now
``…, which fails``               at the end of a step that executes a cell
===============================  =======================================================================================
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.notebooks.plainly import VALUES, different, values_of_plain_cells

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook
    from tests.notebooks.conftest import PlainNotebook

_FAILS = ", which fails"
_MARKS = ("%%task", "#| task")
_TEXT = (".csv", ".json", ".txt")
_RUN_CELL = "the cell with %flow run"
_WORK_IN = "__import__('os').chdir({!r})"
_PARTIAL = ("--only", "--from-failed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """The cells of a notebook by their ids, and what a person does with them."""

    name: str
    cells: dict[str, str]
    steps: list[str]


def sessions_in(path: Path) -> Iterator[Session]:
    """The sessions of a file; each begins with ``== its name``."""
    for part in ("\n" + path.read_text(encoding="utf-8")).split("\n== ")[1:]:
        name, _, text = part.partition("\n")
        sources = dict(cell.split("\n", 1) for cell in text.split("# %% ")[1:])
        steps = re.findall(r"^\S.*(?:\n(?: .*)?$)*", sources.pop("then"), flags=re.MULTILINE)
        cells = {key: source.strip("\n") for key, source in sources.items()}
        yield Session(name=f"{path.stem}: {name}", cells=cells, steps=[step.rstrip() for step in steps])


@dataclass(kw_only=True, slots=True)
class EditedNotebook:
    """The notebook of one session, open in a `kernel`; in `plain` its cells run when it is compared."""

    kernel: Notebook
    plain: PlainNotebook
    folder: Path
    """An empty one: each of the two kernels works in folders below it."""
    cells: dict[str, str]
    comparisons: int = 0
    _deleted: list[str] = field(default_factory=list)
    """The ids of the cells that were deleted since one was executed last."""
    _before: dict[str, str] = field(default_factory=dict)
    """The cells before some were deleted or cut, in their order."""
    _plain_run: tuple[list[str], dict[str, str], dict[str, str]] | None = None
    """The last plain run: the sources of its cells, what came of it, and its files."""

    def play(self, steps: list[str]) -> None:
        """Do what a person does, step by step."""
        self.kernel.reset()
        for notebook in (self.kernel, self.plain):  # each reset would go through all libraries for garbage
            notebook.value("__import__('gc').freeze()")
        self.kernel.ok(VALUES, silent=True)
        self.kernel.value(_WORK_IN.format(str(self._new_folder("edited"))))
        for number, step in enumerate(steps, 1):
            self._take(step, f"step {number}, {step!r}")

    def _take(self, step: str, where: str) -> None:
        line, _, block = step.partition("\n")
        fails = line.endswith(_FAILS)
        what, _, change = line.removesuffix(_FAILS).partition(":")
        match what.replace(" and run ", " -and-run ").split():
            case ["run", "all"]:
                for key in list(self.cells):
                    self._execute(key, self.cells[key], where)
            case ["define", "all"]:
                for key in list(self.cells):
                    self._execute(key, self._typed(key, what), where)
            case ["run", key]:
                self._execute(key, self.cells[key], where, fails=fails)
            case ["edit", *_, key]:
                self.cells[key] = _changed(self.cells[key], change.strip()) if change else textwrap.dedent(block)
                self._execute(key, self._typed(key, what), where, fails=fails)
            case ["insert", *_, key, ("after" | "before") as side, other]:
                self._put({key: textwrap.dedent(block)}, side, other)
                self._execute(key, self._typed(key, what), where, fails=fails)
            case ["move", key, ("after" | "before") as side, other]:
                self._put({key: self.cells.pop(key)}, side, other)
            case ["delete" | "cut", *keys]:
                self._before = dict(self.cells)
                self._deleted += keys
                self.cells = {key: source for key, source in self.cells.items() if key not in keys}
            case ["undo"]:
                self.cells = {key: self.cells.get(key, source) for key, source in self._before.items()}
            case ["paste", ("after" | "before") as side, other]:
                self._put({key: self._before[key] for key in self._before if key not in self.cells}, side, other)
            case ["flow", "run", *options]:
                self._execute(_RUN_CELL, "%" + what, where, fails=fails)
                if not fails and not any(option in _PARTIAL for option in options):
                    self._compare(where)
            case ["compare"]:
                self._compare(where)
            case _:
                raise AssertionError(f"{where} is nothing that a person does here")

    def _typed(self, key: str, what: str) -> str:
        """The cell as it is executed: a task waits for the next run unless it is also to run."""
        line, rest, body = self.cells[key].partition("\n")
        waits = line.startswith(_MARKS) and " and run " not in what
        return f"{line} --define{rest}{body}" if waits else self.cells[key]

    def _put(self, new: dict[str, str], side: str, other: str) -> None:
        """Put cells beside another one."""
        assert not self.cells.keys() & new.keys(), "these ids are taken"
        keys = list(self.cells)
        place = keys.index(other) + (side == "after")
        both = {**self.cells, **new}
        self.cells = {key: both[key] for key in (*keys[:place], *new, *keys[place:])}

    def _execute(self, key: str, source: str, where: str, *, fails: bool = False) -> None:
        self.kernel.stand(*self.cells, _RUN_CELL)
        deleted, self._deleted = tuple(self._deleted), []
        reply = self.kernel.run(source, key, deleted=deleted)
        assert reply.status == ("error" if fails else "ok"), f"{where}: {key} ends with {self.kernel.output(key)}"

    def _compare(self, where: str) -> None:
        """All variables and text files of a plain run are here, too. Others may be left of earlier versions."""
        sources = [_as_plain_cell(source) for source in self.cells.values()]
        if self._plain_run is None or self._plain_run[0] != sources:
            folder = self._new_folder(f"plain-{self.comparisons}")
            one_by_one = f"for _each in {sources!r}:\n    get_ipython().run_cell(_each).raise_error()"
            values = values_of_plain_cells(self.plain, [f"{_WORK_IN.format(str(folder))}\n{one_by_one}"])
            self._plain_run = (sources, values, _files_in(folder))
        _, values, files = self._plain_run
        assert values, "a notebook that binds nothing proves nothing"
        found = {name: each for name, each in different(self.kernel, values).items() if name in values}
        written = _files_in(self.folder / "edited")
        found |= {name: (written.get(name), text) for name, text in files.items() if written.get(name) != text}
        assert not found, f"{where}: (what is there, what should be) is {found}"
        self.comparisons += 1

    def _new_folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        return folder


def _changed(source: str, change: str) -> str:
    old, new = (each.strip() for each in change.split("=>"))
    assert old in source, f"{old!r} is not in {source!r}"
    return source.replace(old, new)


def _as_plain_cell(source: str) -> str:
    """What a task cell is without its first line; a mapped one, whose last line binds its result, is a loop then."""
    line, _, body = source.partition("\n")
    if not line.startswith(_MARKS):
        return source
    mapped = re.search(r"--map (\S+)", line)
    if mapped is None:
        return body
    names, lists = zip(*(pair.split("=") for pair in mapped[1].split(",")), strict=True)
    made = body.splitlines()[-1].split()[0]
    function = f"def _each({', '.join(names)}):\n{textwrap.indent(body, '    ')}\n    return {made}\n"
    return f"{function}{made} = list(map(_each, {', '.join(lists)}))"


def _files_in(folder: Path) -> dict[str, str]:
    """What the text files in a folder hold."""
    found = (path for path in sorted(folder.rglob("*")) if path.suffix in _TEXT)
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in found}
