"""What is found out about two runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flowbook.core.view import WORDS, RunView


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One of the two runs.

    `defaults` are the values of parameters that are not given, as they stand in the code; `notebook` is the executed
    notebook as JSON, `source` the program of a Python flow.
    """

    number: int
    view: RunView
    deployment: str | None = None
    version: int | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)
    notebook: Mapping[str, Any] | None = None
    source: str | None = None

    @property
    def title(self) -> str:
        """How the report calls it."""
        return f"run {self.number}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TextChange:
    """Lines of a unified diff: they begin with ``-``, ``+``, a space, or ``@@``. `left_out` more are not kept."""

    lines: tuple[str, ...]
    left_out: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ParameterChange:
    """A parameter with its two values as Python writes them; None where a run has none."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskFace:
    """What became of a task. The duration is in seconds, `look` a key into WORDS, `note` says of how many runs."""

    look: str
    duration: float | None
    message: str | None
    note: str = ""

    @property
    def word(self) -> str:
        """The word for its state."""
        return WORDS[self.look]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskPair:
    """A task in both runs; None where it is not part of the run."""

    name: str
    before: TaskFace | None
    after: TaskFace | None
    is_changed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRow:
    """A row that is not the same: its label, and for each column what stood there before and after; None for nothing.

    `change` is ``changed``, ``added`` or ``removed``.
    """

    change: str
    label: tuple[str, ...]
    cells: tuple[tuple[str | None, str | None], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class TableChange:
    """What is different in a table. `heads` are the titles of the label's columns and of the others.

    `said` are sentences about the table as a whole; `left_out` more rows are different and not kept.
    """

    heads: tuple[str, ...]
    rows: tuple[TableRow, ...]
    same_rows: int
    said: tuple[str, ...] = ()
    left_out: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A picture: its media type, and its content in base64."""

    mime: str
    content: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Pixels:
    """How many pixels of a picture changed, and a PNG in base64 that shows them in red."""

    changed: int
    total: int
    overlay: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureChange:
    """Two pictures that are not the same; `pixels` is None unless they can be laid over each other.

    `sizes` says of pictures of two sizes what those are.
    """

    before: Picture | None
    after: Picture | None
    pixels: Pixels | None = None
    sizes: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputChange:
    """An output that is not the same: `title` says what it is, `what` how it differs."""

    title: str
    what: TextChange | TableChange | PictureChange


@dataclass(frozen=True, kw_only=True, slots=True)
class CellPair:
    """A code cell in both runs, by the number of its prompt; None where the notebook does not have it."""

    before: int | None
    after: int | None
    about: str
    code: TextChange | None
    outputs: tuple[OutputChange, ...]

    @property
    def is_changed(self) -> bool:
        """Whether its code or what it put out is different."""
        return self.code is not None or bool(self.outputs) or None in (self.before, self.after)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """All that is different between two runs; `said` are sentences about them as a whole."""

    before: Side
    after: Side
    said: tuple[str, ...]
    parameters: tuple[ParameterChange, ...]
    tasks: tuple[TaskPair, ...]
    cells: tuple[CellPair, ...]
    program: TextChange | None
    log: TextChange | None

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both runs."""
        return self.before, self.after

    @property
    def is_same(self) -> bool:
        """Whether nothing is different but times."""
        found = (self.said, self.parameters, self.changed_cells, self.changed_tasks, self.program, self.log)
        return not any(found)

    @property
    def changed_cells(self) -> tuple[CellPair, ...]:
        """The cells that are different."""
        return tuple(cell for cell in self.cells if cell.is_changed)

    @property
    def changed_tasks(self) -> tuple[TaskPair, ...]:
        """The tasks that ended in another way, or are part of one run only."""
        return tuple(task for task in self.tasks if task.is_changed)
