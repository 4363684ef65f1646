"""Executing a flow that a notebook defines: the cells that it needs, and then the flow itself, in the kernel."""

from __future__ import annotations

from flowbook.promote.client import RunClient
from flowbook.promote.folder import RunFolder
from flowbook.promote.marks import call_text
from flowbook.promote.plan import Plan
from flowbook.promote.unattended import BEGIN, run_flow


def flow_is_called(plan: Plan) -> bool:
    """Whether the kernel has come to the flow itself."""
    return bool(plan.notebook.cells[-1].metadata.get("flowbook", {}).get("appended"))


async def run_defined_flow(plan: Plan, client: RunClient, folder: RunFolder) -> None:
    """Execute the slice, then the flow, whose output goes to a cell at the end. The kernel records the flow run."""
    import nbformat

    await client.run_code(BEGIN)
    for step in plan.steps:
        await client.run_cell(step.cell.source, step.cell.index)
        folder.changed()
        if folder.is_due:
            folder.save(growing=True)
    said = call_text(plan.run.flow, plan.values)
    call = nbformat.v4.new_code_cell(said)  # type: ignore[no-untyped-call]
    call.metadata["flowbook"] = {"appended": True}
    plan.notebook.cells.append(call)
    code = run_flow(plan.manifest["flow"], is_async=plan.manifest.get("is_async", False))
    await client.run_code(code, index=len(plan.notebook.cells) - 1, store_history=True)
