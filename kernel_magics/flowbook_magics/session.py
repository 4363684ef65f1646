"""The session of one shell: the cells it has seen, and running their tasks."""

from __future__ import annotations

import builtins
import contextlib
import contextvars
import copy
import os
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook.cells import declare
from flowbook.cells.cell_lines import marked_line
from flowbook.cells.naming import free_name
from flowbook.errors import CellError, UsageError
from flowbook.run.interrupts import repeat_interrupt
from flowbook_magics import commands
from flowbook_magics.cell_code import CellCode, compile_cell
from flowbook_magics.cell_order import CellOrder
from flowbook_magics.deleted_cells import DeletedCells
from flowbook_magics.moved_cells import arrange
from flowbook_magics.namespace import running
from flowbook_magics.notebook_cells import NotebookCell, NotebookCells, TaskOptions, analyze_cell
from flowbook_magics.plain_state import note_inputs
from flowbook_magics.process_states import ProcessStates
from flowbook_magics.publisher import Publisher
from flowbook_magics.task_notes import TaskNotes
from flowbook_magics.values import check_inputs, drop_unread, not_made_before

if TYPE_CHECKING:
    from flowbook.promote.checks.runs import Ran
    from flowbook.tasks import Task
    from flowbook_magics.background import BackgroundRun
    from flowbook_magics.learned import LearnedFile

_OWN_MAGICS = (
    *{each.magic for each in commands.ALL},
    "%load_ext flowbook",
    "%reload_ext flowbook",
    "%unload_ext flowbook",
)


class Session:
    """What flowbook knows of one shell."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.notebook: dict[str, Any] = shell.user_ns
        """The namespace that plain cells share."""
        self.cells = NotebookCells()
        self.deleted = DeletedCells(self)
        self.states = ProcessStates()
        self.publisher = Publisher(self.notebook, self._position)
        self.order = CellOrder()
        self.here: str | None = None
        """The id that the front end gave the cell being executed."""
        self.next_key: str | None = None
        """In an unattended run, the id of the cell that is executed next."""
        self.typed = ""
        self.unattended: Any = None
        self.learned: LearnedFile | None = None
        """In an unattended run, what earlier ones have seen."""
        self.last_run: str | None = None
        """The id of the last flow run of this notebook in this kernel."""
        self.unfinished: set[str] | None = None
        """The keys of the cells whose tasks were run in the last flow run and have not succeeded since."""
        self.ran: dict[str, tuple[int, str]] = {}
        """Prompt and source of the cells that this kernel has executed, by the front end's id, else by their source."""
        self.ran_before = shell.execution_count
        """The prompt of the cell that loaded the extension: of earlier ones IPython tells the sources."""
        self.background: BackgroundRun | None = None
        """The last flow run that was begun with ``--background``; it may have ended."""
        self.notes = TaskNotes(shell)
        """What is noted of the task runs of the last flow run."""
        self.codes: dict[str, CellCode] = {}
        self.tasks: dict[str, tuple[NotebookCell, Task[..., Any]]] = {}
        """What runs are made from, by the keys of their cells: it holds for the very cell that stands beside it."""
        self.at_home: Callable[[NotebookCell], NotebookCell | None] = lambda cell: cell
        """The cell itself for one of `apart`; None if it was run again, edited or deleted since."""

    # What the shell tells

    def before_cell(self, info: Any) -> None:
        """IPython is about to execute a cell."""
        if running.get() is not None:
            return  # a magic in a task cell executes the rest of it
        try:
            self._begin_cell(info)
        except KeyboardInterrupt:  # IPython would report it, and execute the cell
            repeat_interrupt()

    def _begin_cell(self, info: Any) -> None:
        self.typed = info.raw_cell or ""
        self.here = getattr(info, "cell_id", None) or self.next_key
        self.next_key = None
        if self.unattended is None:
            self._look_at_cells(getattr(info, "cell_meta", None) or {})
        known = self.cells.by_key(self.here) if self.here else None
        if known is not None and known.is_task and _is_plain(self.typed):
            self._give_back(_bound_by(known), known.key)  # a plain cell goes on from what the notebook has

    def _look_at_cells(self, metadata: Mapping[str, Any]) -> None:
        """Take into account how the cells of the notebook stand, and which are no more or again."""
        path = None if _is_plain(self.typed) else notebook_path()
        self.order.hear(metadata, path, self.cells.grown)
        keys = self.order.news()
        if keys is not None:
            arrange(self.cells, self.publisher, keys)
        if gone := self.order.gone():
            self.retire(gone)
        self.deleted.bring_back()

    def after_cell(self, result: Any) -> None:
        """IPython has executed a cell; what a plain cell has bound is what tasks read from it, also if it failed."""
        info = result.info
        source = info.raw_cell or ""
        if running.get() is None and result.success and not info.silent and result.execution_count:
            self._note_run(source, self.here, result.execution_count)
        if running.get() is not None or info.silent or result.error_before_exec or not _is_plain(source):
            return
        key = self._identity(source)
        if self.cells.by_key(key) is None and not result.success:
            return
        try:
            cell = self._put_plain(key, source)
        except UsageError as error:
            # It ran, so it stands. But it has no place among the tasks as long as this is so.
            if result.success and not _is_own_syntax(error):
                sys.stderr.write(f"flowbook: {error}\n")
            return
        self._take_values(cell)
        drop_unread(self.cells)

    def _put_plain(self, key: str, source: str, *, came_before: bool = False) -> NotebookCell:
        """Take in a plain cell that has run. Raises CellError, and then nothing has changed."""
        known = self.cells.by_key(key)
        if known is None and self.cells.by_key(_content_key(source)) is not None:
            self.cells.retire([_content_key(source)])  # it has run before the extension was loaded
        analysis = analyze_cell(source, "the cell", self.modules())
        runs = known.runs + 1 if known else 1
        cell = NotebookCell(key=key, source=source, analysis=analysis, runs=runs, came_before=came_before)
        self.put(cell)
        return cell

    def take_earlier_cells(self) -> None:
        """Take in the cells that were executed before the extension was loaded, as far as what they bound is there.

        The notebook has the last version of each name. The others are not known: it is said if one is needed.
        """
        metadata = _request_of(self.shell)
        self.here = metadata.get("cellId")
        self.order.hear(metadata, None, 0.0)
        self.cells.arrange(self.order.news() or ())
        last: dict[str, NotebookCell] = {}
        ids: dict[str, list[str]] = {}
        for source in self.shell.history_manager.input_hist_raw[: self.ran_before]:
            if source.strip() and _is_plain(source):
                same = ids.setdefault(source, self.order.keys_of(source) or [_content_key(source)])
                key = same.pop(0) if len(same) > 1 else same[0]  # of two cells that say the same each has run once
                last.pop(key, None)
                with contextlib.suppress(UsageError):
                    last[key] = self._put_plain(key, source, came_before=key not in self.order.told)
        names = self.notebook.keys()
        bound = [cell for cell in last.values() if not cell.analysis.writes or cell.analysis.writes & names]
        self.cells.retire({cell.key for cell in self.cells} - {cell.key for cell in bound})
        for cell in bound:
            self._take_values(cell)
        for cell in bound:
            lost = {name for name in cell.analysis.writes if self.publisher.writer(name) != cell.key}
            cell.dropped |= lost & cell.values.keys()
            cell.values = {name: value for name, value in cell.values.items() if name not in lost}

    def _take_values(self, cell: NotebookCell) -> None:
        """Note what a plain cell that has just run has bound, and from what."""
        graph, bound = self.cells.graph, cell.analysis.writes | self.cells.versions_of(cell)
        cell.values = {name: self.notebook[name] for name in bound if name in self.notebook}
        note_inputs(self.cells, cell, self.publisher.bound_behind(graph.inputs(cell.graph_id), cell.key))
        # Not what it only changes: that has the notebook from another cell.
        self.publisher.wrote(cell.analysis.writes | graph[cell.graph_id].late_binds, cell.key)

    def ran_so_far(self) -> dict[str, Ran]:
        """The cells that this kernel has executed, the one being executed too; by the keys of `ran`."""
        from flowbook.promote.checks.runs import Ran

        self._note_run(self.typed, self.here, self.shell.execution_count)
        typed = enumerate(self.shell.history_manager.input_hist_raw[: self.ran_before])
        early = {source.strip(): (count, source) for count, source in typed if source.strip()}
        return {key: Ran(count=count, source=source) for key, (count, source) in (early | self.ran).items()}

    def _note_run(self, source: str, key: str | None, count: int) -> None:
        self.ran[key or source.strip()] = (count, source)

    # Cells

    def register(self, name: str | None, body: str, options: TaskOptions) -> NotebookCell:
        """Take in the task cell being executed. Raises CellError, and then nothing was registered."""
        marked = marked_line(self.typed)
        source, first = (self.typed, marked.number + 1) if marked else (f"%%task\n{body}", 1)
        key = self._identity(source, name)
        known = self.cells.by_key(key)
        place = known.position if known else len(list(self.cells)) + 1
        title = f"task {name!r}" if name else f"cell {place}"
        found, earlier = analyze_cell(source, title, self.modules()), [cell.analysis for cell in self.cells]
        analysis = declare(found, title, reads=options.reads, writes=options.writes, over=options.over, earlier=earlier)
        taken = [cell.label for cell in self.cells.tasks if cell.key != key]
        chosen = name or free_name(analysis, source, taken, place)
        cell = NotebookCell(key=key, source=source, analysis=analysis, name=chosen, options=options)
        self._let_go_of(chosen, key)
        cell.context = contextvars.copy_context()
        needed = analysis.reads - analysis.late_reads - analysis.guarded_reads
        cell.missing = frozenset(name for name in needed if name not in self.notebook)
        _check_cache(cell)
        _check_place(cell)
        code = _compile(self.shell, cell, first)
        if code.is_empty:
            raise CellError(f"{title[0].upper()}{title[1:]} is empty; write below its first line what the task does.")
        from flowbook_magics.cell_task import task_of

        task = task_of(self.shell, self.notebook, self.cells, cell, code)
        if known is not None and known.is_task:
            cell.last, cell.tried = known.last, known.tried
            kept = known.values.keys() & (analysis.writes | known.observed.writes)
            cell.values = known.values if kept == known.values.keys() else {name: known.values[name] for name in kept}
            cell.elements = known.elements
            if known.source == source:
                cell.observed, cell.analysis = known.observed, known.observed.added_to(analysis)
                cell.beside = known.beside
        elif self.learned is not None:
            self.learned.apply(cell)
        self.put(cell)
        self.codes[key] = code
        self.bind_name(cell, task)
        return cell

    def _let_go_of(self, name: str, key: str) -> None:
        """A cell takes the name of a task whose cell says something else by now: it was split, or not run since."""
        for other in self.cells.tasks:
            if other.name == name and other.key != key and self.order.is_edited(other.key, other.source):
                self.retire([other.key])

    def put(self, cell: NotebookCell) -> None:
        """Take in a cell. Raises CellError, and then nothing has changed."""
        known = self.cells.by_key(cell.key)
        self.cells.put(cell)
        if known is not None:
            self._give_back(_bound_by(known) - _bound_by(cell), cell.key)
            self.lose(known, "edited")
        if known is not None and known.label != cell.label:
            self.unbind_name(known)

    def retire(self, keys: Iterable[str]) -> None:
        """Forget cells that were deleted from the notebook."""
        for key in keys:
            self.ran.pop(key, None)
        self.deleted.take(keys)

    def modules(self) -> dict[str, str]:
        """What imported names stand for, from the cells so far."""
        return {name: path for cell in self.cells for name, path in cell.analysis.imports.items()}

    def check_inputs(self, cell: NotebookCell, *, made_meanwhile: Collection[str] = ()) -> None:
        """Raise CellError if a value that the cell reads is not there, naming the cell to run first."""
        check_inputs(self.cells, cell, self.notebook, made_meanwhile=made_meanwhile)
        for sentence in not_made_before(self.cells, cell):
            sys.stderr.write(f"flowbook: {sentence}\n")
        for name, now in self.cells.renamed_since(cell).items():
            sys.stderr.write(
                f"flowbook: Task {cell.label!r} is to wait for {name!r}, which is called {now!r} now: write --after "
                f"{now} in its cell, or it will be refused when the kernel is restarted.\n"
            )

    # Running

    def apart(self) -> Session:
        """This session as it is now, for a flow run beside which the user goes on executing cells.

        What its tasks make reaches this session, too: unless the cell was run again, edited or deleted meanwhile.
        """
        taken, mine = copy.copy(self), self.cells
        copies = {cell.key: copy.copy(cell) for cell in mine}
        for cell in copies.values():
            cell.values, cell.dropped = dict(cell.values), set(cell.dropped)
        originals = {cell.key: cell for cell in mine}
        taken.cells, taken.codes = mine.with_cells(copies.values()), dict(self.codes)
        taken.tasks = {}
        taken.at_home = lambda cell: home if (home := mine.by_key(cell.key)) is originals.get(cell.key) else None
        return taken

    def publish(self, cell: NotebookCell, *, always: bool = False) -> None:
        """Bind what the task of a cell wrote, where the notebook has no later version; `always` does so anyway."""
        if self.at_home(cell) is not None:
            self.publisher.publish(cell.values, cell.analysis.deletes, cell.key, always=always)
            not_bound = cell.analysis.writes - cell.values.keys() - cell.dropped - cell.analysis.deletes
            self.publisher.publish({}, self._give_back(not_bound, cell.key), cell.key)

    def _give_back(self, names: Iterable[str], key: str) -> list[str]:
        """The cell with this key binds or unbinds `names` no more: each has again what the last one gave it that does.

        Returns those that no cell has given anything.
        """
        left = []
        for name in self.publisher.forget(names, key):
            others = (each for each in reversed(list(self.cells)) if each.key != key)
            maker = next((each for each in others if name in each.values), None)
            if maker is not None:
                self.publisher.publish({name: maker.values[name]}, (), maker.key)
            else:
                left.append(name)
        return left

    def values_are_still_there(self, cell: NotebookCell) -> None:
        """A plain cell is back that was deleted: it has bound what no other cell has bound since."""
        for name in cell.analysis.writes:
            if name in self.notebook and self.publisher.writer(name) in (None, cell.key):
                cell.values[name] = self.notebook[name]
            else:
                cell.dropped.add(name)

    def lose(self, cell: NotebookCell, how: str) -> None:
        """A cell was edited or deleted: what nobody else binds is only a rest. The name of a builtin is that again."""
        for name in cell.analysis.writes:
            if not any(name in other.analysis.writes for other in self.cells):
                self.cells.lost[name] = f"{cell.label} made before that cell was {how}"
                if hasattr(builtins, name):
                    self.publisher.publish({}, [name], cell.key, always=True)

    # Names

    def bind_name(self, cell: NotebookCell, task: Task[..., Any]) -> None:
        """The task's name is bound to the task, unless the name is taken by something else, built-in or not."""
        from flowbook.tasks import Task

        name, names = cell.label, self.notebook
        is_variable = hasattr(builtins, name) or any(name in other.analysis.writes for other in self.cells)
        if name.isidentifier() and not is_variable and isinstance(names.get(name), Task | type(None)):
            names[name] = task

    def unbind_name(self, cell: NotebookCell) -> None:
        """The name of a task is bound to it no more."""
        from flowbook.tasks import Task

        bound = self.notebook.get(cell.label)
        if isinstance(bound, Task) and bound.work.key == f"cell.{cell.label}":
            del self.notebook[cell.label]

    def _identity(self, source: str, name: str | None = None) -> str:
        """The front end's id of the cell; else its content, and in a terminal, where cells are edited, its name."""
        if self.here:
            return self.here
        in_terminal = getattr(self.shell, "kernel", None) is None
        return f"name:{name}" if in_terminal and name else _content_key(source)

    def _position(self, key: str) -> int | None:
        cell = self.cells.by_key(key)
        return cell.position if cell is not None else None


def _request_of(shell: Any) -> Mapping[str, Any]:
    """The metadata of the request by which a kernel executes the current cell; empty elsewhere."""
    kernel = getattr(shell, "kernel", None)
    found: Mapping[str, Any] = (kernel.get_parent() or {}).get("metadata") or {} if kernel is not None else {}
    return found


def _content_key(source: str) -> str:
    """The identity of a cell of which no other is known."""
    return f"content:{source.strip()}"


def notebook_path() -> Path | None:
    """The notebook of this kernel, where the server has told it."""
    said = os.environ.get("JPY_SESSION_NAME") or os.environ.get("FLOWBOOK_NOTEBOOK")
    return Path(said) if said and said.endswith(".ipynb") else None


def flow_name() -> str:
    """The name of the flow that the notebook itself is: that of its file."""
    path = notebook_path()
    return path.stem if path else "notebook"


def _compile(shell: Any, cell: NotebookCell, first: int) -> CellCode:
    try:
        return compile_cell(shell, cell.source, first)
    except SyntaxError as error:
        raise CellError(f"Task {cell.label!r}, line {error.lineno}: {error.msg}. It was not registered.") from None


def _check_place(cell: NotebookCell) -> None:
    if cell.options.place == "dask":
        from flowbook.run.dask import check_usable

        check_usable()


def _check_cache(cell: NotebookCell) -> None:
    changed = sorted(cell.analysis.mutates)
    if cell.options.cache != "off" and changed:
        raise CellError(
            f"Task {cell.label!r} changes {', '.join(changed)} in place, which a stored result cannot do again: "
            "leave --cache out, or bind the changed value to a name."
        )


def _is_own_syntax(error: UsageError) -> bool:
    """Whether the analyzer did not understand something that IPython does: such a cell is no input."""
    return isinstance(error.__context__, SyntaxError)


def _is_plain(source: str) -> bool:
    """Whether a cell is neither a task nor made of our own magics only."""
    if marked_line(source) is not None:
        return False
    lines = [line.strip() for line in source.splitlines() if line.strip() and not line.strip().startswith("#")]
    return any(not line.startswith(_OWN_MAGICS) for line in lines)


def _bound_by(cell: NotebookCell) -> frozenset[str]:
    """The names that it binds or unbinds."""
    return cell.analysis.writes | cell.analysis.deletes
