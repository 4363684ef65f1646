"""One thing that was found in a notebook, and how it is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from flowbook.errors import NotebookError
from flowbook.promote.notebook import CodeCell


class Severity(StrEnum):
    """With an error the run certainly fails; a warning is about what may go wrong."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What was found, where, why it matters and what to do; `why` and `fix` are sentences.

    `cell` counts all cells of the notebook from 0 and `line` the lines of the cell from 1. Without a cell the `title`
    says what it is about: ``Kernel``, ``Schedule``.
    """

    severity: Severity
    title: str
    cell: int | None = None
    line: int | None = None
    why: str
    fix: str

    @property
    def where(self) -> str:
        """``Cell 3, line 2``."""
        return self.title if self.line is None else f"{self.title}, line {self.line}"

    @property
    def sentence(self) -> str:
        """All of it on one line."""
        said = f"{self.why} {self.fix}"
        return said if self.cell is None else f"{self.where}: {said}"


def in_cell(severity: Severity, cell: CodeCell, line: int | None, why: str, fix: str) -> Finding:
    """A finding in `cell`."""
    return Finding(severity=severity, title=cell.title.capitalize(), cell=cell.index, line=line, why=why, fix=fix)


class UnfitNotebook(NotebookError):
    """A notebook was not promoted, because its runs would certainly fail. `findings` are all, warnings too."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        errors = [finding.sentence for finding in findings if finding.severity is Severity.ERROR]
        super().__init__("\n".join(errors))
        self.findings = tuple(findings)


def refuse_errors(findings: Sequence[Finding]) -> None:
    """Raise UnfitNotebook if there is an error among the findings."""
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise UnfitNotebook(findings)


def listed(findings: Sequence[Finding], called: str) -> str:
    """The findings as text, two lines for each and how many there are; `called` is the notebook's name."""
    if not findings:
        return f"Nothing found: {called} can run unattended."
    lines = []
    for finding in findings:
        lines.append(f"{finding.severity:<7}  {finding.where}: {finding.why}")
        lines.append(f"{'':<7}  -> {finding.fix}")
    return "\n".join([*lines, "", f"{counted(findings)} in {called}."])


def counted(findings: Iterable[Finding]) -> str:
    """``2 errors and 1 warning``."""
    counts = Counter(finding.severity for finding in findings)
    return " and ".join(
        f"{count} {severity}{'s' * (count > 1)}" for severity in Severity if (count := counts[severity])
    )
