"""All that is found in a notebook."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook.promote.checks.calls import call_findings
from flowbook.promote.checks.certainty import used_in
from flowbook.promote.checks.data_reads import DataRead
from flowbook.promote.checks.environment import environment_findings
from flowbook.promote.checks.files import file_findings
from flowbook.promote.checks.finding import Finding
from flowbook.promote.checks.lifetimes import lifetime_findings
from flowbook.promote.checks.magic_lines import magic_findings
from flowbook.promote.checks.modules import module_findings
from flowbook.promote.checks.names import name_findings
from flowbook.promote.checks.order import order_findings
from flowbook.promote.checks.pickling import pickling_findings
from flowbook.promote.checks.runs import Ran, run_findings
from flowbook.promote.checks.threads import thread_findings

if TYPE_CHECKING:
    from flowbook.promote.reading import Reading


def findings(
    reading: Reading,
    *,
    folder: Path,
    reads: Sequence[DataRead],
    variables: Container[str] = (),
    ran: Mapping[str, Ran] | None = None,
    values: Mapping[str, Any] | None = None,
) -> list[Finding]:
    """What is found in the cells that a run executes, in notebook order; what is about no cell comes first.

    `folder` is that of the notebook, and `reads` are the data files that it reads; `variables` are environment
    variables that runs have beside those of this process; `ran` is what a kernel knows of the cells that it has
    executed, and `values` are those of their names in it.
    """
    cells = reading.slice_ or reading.cells
    parameters = {parameter.name for parameter in reading.schema}
    used = used_in(cells, reading.flow)
    found = [
        *reading.findings,
        *name_findings(cells, parameters, used),
        *call_findings(cells, used),
        *magic_findings(cells),
        *environment_findings(cells, variables),
        *file_findings(reads, folder),
        *module_findings(cells, used, folder, reading.kernel),
        *pickling_findings(cells, reading.graph, values or {}),
        *thread_findings(cells, reading.graph),
        *lifetime_findings(cells),
        *run_findings(cells, ran or {}),
        *order_findings(cells, reading.graph),
    ]
    return sorted(found, key=lambda one: (-1 if one.cell is None else one.cell, one.line or 0))
