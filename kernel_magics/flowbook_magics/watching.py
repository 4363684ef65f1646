"""What task cells do that their code does not show: it is noticed as they run, and from then on it has its order.

`disturbed` tells which may have seen the wrong version of something meanwhile.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any

from flowbook.cells import Observed
from flowbook.cells.resources import ELEMENTS, describe
from flowbook_magics.notebook_cells import Audit, NotebookCell, NotebookCells
from flowbook_magics.opened_files import OpenedFiles, end_watch, watch_files
from flowbook_magics.random_states import drawn_numbers
from flowbook_magics.surveys import Survey


class Watch:
    """Watches one run of a task cell."""

    def __init__(self, cells: NotebookCells, cell: NotebookCell, inputs: Mapping[str, Any]) -> None:
        self._cells, self._cell = cells, cell
        self._node = cells.graph[cell.graph_id]
        self._survey = Survey(inputs)
        self._files = self._watch()
        self._began = time.perf_counter()
        cell.watch = self

    def _watch(self) -> OpenedFiles:
        """Begin to note what it opens and draws."""
        drawn_numbers.begin(self, self._node.touches)
        return watch_files()

    def add(self, name: str, value: Any) -> None:
        """A name that was not foreseen is read for the first time."""
        self._survey.add(name, value)

    def held_functions(self) -> list[FunctionType]:
        """The functions that its inputs hold."""
        return self._survey.held(FunctionType)

    def missed(self, error: BaseException) -> None:
        """The run fails with this error; that a file is not there yet may be why."""
        self._files.missed(error)

    def end(self, seen: Mapping[str, Any], written: Collection[str]) -> None:
        """The run has ended; `seen` are the undeclared reads, and `written` the names that it has bound."""
        end_watch()
        self._end(seen, written, self._survey.changed())

    def _end(self, seen: Mapping[str, Any], written: Collection[str], objects: frozenset[int]) -> None:
        cells, cell = self._cells, self._cell
        cell.watch = None
        changed = self._unforeseen(objects)
        mixed = self._mixed(objects, changed)
        again = f"its elements shared {mixed} and ran beside each other" if mixed else self._drawn_apart()
        audit = Audit(self._began, time.perf_counter(), dict(seen), self._files, self._survey, objects, again)
        cell.audit, cell.wrote = audit, frozenset(self._files.written)
        read = {name: maker for name, value in seen.items() if (maker := self._maker(name, value)) is not None}
        bound = frozenset(written) - cell.analysis.writes if cell.options.writes is None else frozenset()
        used = self._used()
        observed = Observed(reads=frozenset(read), mutates=changed, writes=frozenset(bound), resources=used)
        if observed != Observed():
            cells.observe(cell, observed)
        audit.notices.extend(
            f"Task {cell.label!r} read {name!r}, which its code does not show; "
            f"from now on it waits for {maker.label}, which makes it."
            for name, maker in sorted(read.items())
        )
        audit.notices.extend(_of_changes(cell, changed))
        audit.notices.extend(_of_resources(cell, used - {ELEMENTS}))
        if mixed:
            audit.notices.append(
                f"The elements of task {cell.label!r} share {mixed}, which one of them changed and its code does not "
                "show; from now on they run one after the other."
            )
        audit.notices.extend(self._keep_order(audit))
        for notice in audit.notices:
            say(notice)

    def _unforeseen(self, objects: frozenset[int]) -> frozenset[str]:
        """The names of what it has changed unforeseen, as these objects were changed meanwhile."""
        return frozenset(self._survey.names_of(objects) - self._node.changes)

    def _used(self) -> frozenset[str]:
        """The shared resources that it has used unforeseen."""
        return drawn_numbers.end(self) - self._node.touches

    def _drawn_apart(self) -> str:
        """Why random numbers that it has drawn are not those of this process ('' if they are)."""
        return ""

    def _mixed(self, objects: frozenset[int], changed: frozenset[str]) -> str:
        """What elements have shared that ran beside each other, and one of them has changed ('' if nothing)."""
        return ""

    def _keep_order(self, audit: Audit) -> Iterator[str]:
        """Have the cell keep its order with those that share with it what one of the two changes; says with which."""
        left_traces = audit.left_traces
        for other in self._cells:
            if other is self._cell or other.audit is None or not (left_traces or other.audit.left_traces):
                continue
            what = self._shared(audit, other.audit)
            if what and self._cells.keep_order(self._cell, other, what):
                first, second = sorted((self._cell, other), key=lambda each: each.position)
                yield (
                    f"Tasks {first.label!r} and {second.label!r} share {what}, which their code does not show; "
                    "from now on they keep their order."
                )

    def _shared(self, own: Audit, theirs: Audit) -> str:
        """What two runs of cells had in common and one of them has changed ('' if nothing)."""
        if what := own.files.shared_with(theirs.files):
            return what
        if theirs.reached is None or not (own.changed or theirs.changed):
            return ""
        objects = (own.changed & theirs.reached.reached) | (self._survey.reached & theirs.changed)
        names = self._survey.names_of(objects)
        return f"what {min(names)!r} is or holds" if names else ""

    def _maker(self, name: str, value: Any) -> NotebookCell | None:
        """The cell behind which an undeclared read of `name` has to be ordered, if any: a flagged cell is already."""
        cells, cell = self._cells, self._cell
        node = cells.graph[cell.graph_id]  # as it is by now
        if isinstance(value, ModuleType) or name in node.inputs or node.flags or cell.options.reads is not None:
            return None
        before = reversed(list(cells)[: cell.position - 1])
        return next((each for each in before if name in each.analysis.writes), None)


class RemoteWatch(Watch):
    """Watches one run of a task cell in another process, by what that tells in the end."""

    def _watch(self) -> OpenedFiles:
        self._drawn: frozenset[str] = frozenset()
        self._changed: frozenset[str] = frozenset()
        return OpenedFiles()

    def end_there(
        self,
        files: OpenedFiles,
        objects: frozenset[int],
        changed: frozenset[str],
        drawn: frozenset[str],
        written: Collection[str],
    ) -> None:
        """It has run there: it has opened these `files`, and changed the `objects` here with these ids.

        Unforeseen it has `changed` inputs and `drawn` random numbers.
        """
        self._files.update(files)
        self._drawn, self._changed = drawn, changed
        self._end({}, written, objects)

    def _unforeseen(self, objects: frozenset[int]) -> frozenset[str]:
        return self._changed

    def _used(self) -> frozenset[str]:
        return self._drawn

    def _drawn_apart(self) -> str:
        return _drawn_apart(self._drawn)


def _drawn_apart(drawn: Collection[str]) -> str:
    return f"it used {describe(min(drawn))} in another process, to which it was not sent" if drawn else ""


class MappedWatch(Watch):
    """Watches one run of a mapped cell: the elements that run in this process, each by an `ElementWatch`."""

    def __init__(self, cells: NotebookCells, cell: NotebookCell, inputs: Mapping[str, Any], *, in_turn: bool) -> None:
        super().__init__(cells, cell, inputs)
        self.shared: dict[str, Any] = {}
        """What all elements are given."""
        self._in_turn = in_turn
        self._ending = threading.Lock()
        self._seen: dict[str, Any] = {}
        self._shared_files: set[str] = set()
        self._drawn: set[str] = set()
        self._changed_there: set[int] = set()
        self._overlaps = self._is_mixed = False

    def element_ended(self, seen: Mapping[str, Any], files: OpenedFiles) -> None:
        """An element has run, which has read these names undeclared and opened these files."""
        with self._ending:
            self._seen.update(seen)
            self._shared_files.update(filter(None, [self._files.shared_with(files)]))
            self._files.update(files)

    def element_ended_there(self, files: OpenedFiles, objects: frozenset[int], drawn: frozenset[str]) -> None:
        """An element has run in another process, and changed these objects and drawn numbers there."""
        self.element_ended({}, files)
        with self._ending:
            self._drawn |= drawn
            self._overlaps |= not objects.isdisjoint(self._changed_there)
            self._changed_there |= objects

    def end_all(self) -> None:
        """All elements have ended."""
        self.end(self._seen, ())

    def _used(self) -> frozenset[str]:
        together = self._shared_files or self._is_mixed
        return super()._used() | self._drawn | ({ELEMENTS} if together else frozenset())

    def _drawn_apart(self) -> str:
        return _drawn_apart(self._drawn)

    def _mixed(self, objects: frozenset[int], changed: frozenset[str]) -> str:
        # In other processes they change copies, and one of two changes is lost.
        is_elsewhere = self._cell.options.place != "threads"
        names = (self._survey.names_of(objects) if is_elsewhere else changed).difference(self._cell.options.over_names)
        mixed = self._shared_files.union(map(repr, names), ["what they hold"] if self._overlaps else ())
        self._is_mixed = bool(mixed) and not self._in_turn
        return min(mixed) if self._is_mixed else ""


class ElementWatch:
    """Watches the run of one element of a mapped cell, for the watch of all of them."""

    def __init__(self, whole: Watch | None) -> None:
        assert isinstance(whole, MappedWatch)
        self._whole = whole
        self._files = watch_files()
        self.add, self.held_functions = whole.add, whole.held_functions

    def missed(self, error: BaseException) -> None:
        """The element fails with this error. What it has written it may write again when it is tried again."""
        self._files = OpenedFiles()
        self._files.missed(error)

    def end(self, seen: Mapping[str, Any], _written: Collection[str]) -> None:
        """The element has run."""
        end_watch()
        self._whole.element_ended(seen, self._files)


class RemoteElementWatch:
    """Watches the run of one element in another process, for the watch of all of them."""

    def __init__(self, whole: Watch | None) -> None:
        assert isinstance(whole, MappedWatch)
        self._whole = whole

    def end_there(
        self,
        files: OpenedFiles,
        objects: frozenset[int],
        _changed: frozenset[str],
        drawn: frozenset[str],
        _written: Collection[str],
    ) -> None:
        """It has run there: it has opened these `files`, changed `objects` (ids of those here), and `drawn` numbers."""
        self._whole.element_ended_there(files, objects, drawn)


def _of_changes(cell: NotebookCell, changed: Collection[str]) -> list[str]:
    return [
        f"{name!r} was changed in place while task {cell.label!r} ran, which its code does not show; "
        f"from now on the cells that read {name!r} keep their order with it."
        for name in sorted(changed)
    ]


def _of_resources(cell: NotebookCell, used: Collection[str]) -> list[str]:
    return [
        f"Task {cell.label!r} used {describe(resource)}, which its code does not show; "
        "from now on it keeps its order with the others that do."
        for resource in sorted(used)
    ]


def say(sentence: str) -> None:
    """Tell the user, under the cell that is being executed."""
    sys.stderr.write(f"flowbook: {sentence}\n")
