"""Task cells in JupyterLab as a person uses them: marked, run as a graph that is seen live, promoted, listed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SHOTS = os.environ.get("FLOWBOOK_SCREENSHOTS")
CELLS = [
    (
        "%load_ext flowbook\nimport time\nfrom pathlib import Path\n"
        "from flowbook.visualize import render\nrender('digraph { a }')\n"
        "failures = ['503']\n"
        "def until(seen):\n    while not Path(seen).exists():\n        time.sleep(0.05)"
    ),
    "%%task orders --define\nprint('orders: read')\nuntil('orders')\norders = [3, 1, 2]",
    (
        "#| task rates --define --retries 2 --retry-delay 500ms\n"
        "print('rates: read')\nuntil('orders')\n"
        "if failures:\n    raise ConnectionError(failures.pop())\nuntil('rates')\nrates = 2"
    ),
    "%%task priced --define\nuntil('priced')\npriced = sorted(order * rates for order in orders)\npriced",
    "%flow run",
]

#: Every look that a node of the live graph has had, by its name, and the prompt of the last cell meanwhile.
WATCH = """
() => {
  window.looks = {};
  const note = (group) => {
    const look = /fb-(waiting|running|retrying|succeeded|failed|reused)/.exec(group.getAttribute("class"));
    const label = group.getAttribute("aria-label");
    if (!look || !label) return;
    const prompt = [...document.querySelectorAll(".jp-Notebook .jp-InputPrompt")].at(-1).textContent;
    const seen = (window.looks[label.split(":")[0]] ??= []);
    if (seen.at(-1)?.look !== look[1]) seen.push({ look: look[1], prompt });
  };
  setInterval(() => document.querySelectorAll("g[data-node]").forEach(note), 20);
}
"""
#: Each of these lengthens the list, and the last cell shows it.
STEPS = [
    "%load_ext flowbook",
    "%%task first --define\nnumbers = [1]",
    "%%task second --define\nnumbers = [*numbers, 2]",
    "%%task third --define\nnumbers = [*numbers, 3]",
    "%flow run\nnumbers",
]
#: Make the cell of an index the active one.
AT = "(index) => { jupyterapp.shell.currentWidget.content.activeCellIndex = index; }"
WRITE = "(source) => jupyterapp.shell.currentWidget.content.activeCell.model.sharedModel.setSource(source)"
READY = "() => jupyterapp.shell.currentWidget?.context?.sessionContext?.session?.kernel?.status === 'idle'"


#: Begin to run all cells, without waiting for their end.
RUN_ALL = "() => { jupyterapp.commands.execute('notebook:run-all-cells'); }"


def shot(page: Page, name: str) -> None:
    """Take a screenshot where one was asked for by FLOWBOOK_SCREENSHOTS."""
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"cells-{name}.png"))


@pytest.mark.parametrize("front_end", ["JupyterLab", "Notebook 7"])
def test_nodes_go_from_waiting_to_done_before_the_cell_ends_and_output_lands_under_its_own_cell(
    lab: Any, page: Page, front_end: str
) -> None:
    in_lab = front_end == "JupyterLab"
    name = lab.write_notebook("report.ipynb" if in_lab else "report7.ipynb", CELLS).name
    (lab.open if in_lab else lab.open_in_notebook_7)(page, name)
    for each in ("orders", "rates", "priced"):
        (lab.root / each).unlink(missing_ok=True)
    page.wait_for_function(READY)
    page.evaluate(WATCH)
    page.evaluate(RUN_ALL)
    for name, look in {"orders": "running", "rates": "retrying", "priced": "running"}.items():
        page.locator(f"g[data-node][aria-label^='{name}:'].fb-{look}").wait_for()
        if look == "retrying":
            shot(page, "live")
        (lab.root / name).touch()
    cells = page.locator(".jp-Notebook .jp-CodeCell")
    expect(cells.nth(4).locator("img[alt]")).to_be_visible()
    page.wait_for_function(READY)
    shot(page, "done")

    looks = page.evaluate("window.looks")
    seen = {name: [each["look"] for each in looks[name]] for name in looks}
    assert seen["orders"][-2:] == ["running", "succeeded"]
    assert seen["rates"][-2:] == ["retrying", "succeeded"]  # its first attempt may be over before the view is open
    assert seen["priced"][:2] == ["waiting", "running"]
    assert {each["prompt"] for name in ("orders", "rates") for each in looks[name]} == {"[*]:"}

    expect(cells.nth(1).locator(".jp-OutputArea-output")).to_have_text("orders: read")
    expect(cells.nth(2).locator(".jp-OutputArea-output").last).to_contain_text("rates: read")
    expect(cells.nth(3).locator(".jp-OutputArea-output")).to_have_text("[2, 4, 6]")
    expect(cells.nth(4)).to_contain_text("3 succeeded, 1 after a retry")
    expect(page.locator(".jp-Notebook g[data-node]")).to_have_count(0)


def test_the_run_is_in_the_panel_and_the_picture_is_there_on_reopening(lab: Any, page: Page) -> None:
    for name in ("orders", "rates", "priced"):
        (lab.root / name).touch()
    lab.write_notebook("listed.ipynb", CELLS)
    lab.open(page, "listed.ipynb")
    page.wait_for_function(READY)
    page.evaluate(RUN_ALL)
    cells = page.locator(".jp-Notebook .jp-CodeCell")
    expect(cells.nth(4).locator("img[alt]")).to_be_visible()
    page.wait_for_function(READY)
    lab.execute(page, "docmanager:save")
    page.get_by_role("tab", name="flowbook").click()
    run = page.get_by_role("listitem").filter(has_text="listed").first
    expect(run).to_contain_text("Succeeded")
    expect(run).to_contain_text("3/3 tasks")
    shot(page, "panel")

    lab.open(page, "listed.ipynb")
    expect(page.locator(".jp-Notebook .jp-CodeCell").nth(4).locator("img[alt]")).to_be_visible()


@pytest.mark.parametrize("front_end", ["JupyterLab", "Notebook 7"])
def test_cells_that_were_inserted_moved_cut_and_pasted_run_where_they_stand(
    lab: Any, page: Page, front_end: str
) -> None:
    in_lab = front_end == "JupyterLab"
    name = lab.write_notebook("order.ipynb" if in_lab else "order7.ipynb", STEPS).name
    (lab.open if in_lab else lab.open_in_notebook_7)(page, name)
    page.wait_for_function(READY)

    def runs(command: str, shown: str) -> None:
        """A command, then the last cell executed: what it shows in the end."""
        cells = page.locator(".jp-Notebook .jp-Cell")
        lab.execute(page, command)
        page.evaluate(AT, cells.count() - 1)
        lab.execute(page, "notebook:run-cell")
        expect(cells.last.locator(".jp-OutputArea-output").last).to_have_text(shown)

    runs("notebook:run-all-cells", "[1, 2, 3]")
    page.evaluate(AT, 1)
    lab.execute(page, "notebook:insert-cell-below")
    page.evaluate(WRITE, "%%task extra\nnumbers = [*numbers, 9]")
    runs("notebook:run-cell", "[1, 9, 2, 3]")
    page.evaluate(AT, 3)
    runs("notebook:move-cell-down", "[1, 9, 3, 2]")
    page.evaluate(AT, 2)
    lab.execute(page, "notebook:cut-cell")
    page.evaluate(AT, 3)
    runs("notebook:paste-cell-below", "[1, 3, 2, 9]")

    page.evaluate(AT, 2)
    lab.execute(page, "notebook:change-cell-to-markdown")
    runs("notebook:render-all-markdown", "[1, 2, 9]")
    page.evaluate(AT, 2)
    lab.execute(page, "notebook:change-cell-to-code")
    runs("notebook:run-cell", "[1, 3, 2, 9]")

    lab.execute(page, "docmanager:save")
    page.reload()
    page.wait_for_function(f"window.jupyterapp && ({READY})()")
    page.evaluate(AT, 4)
    runs("notebook:move-cell-up", "[1, 3, 9, 2]")


def test_interrupting_ends_the_run_and_leaves_nothing_running(lab: Any, page: Page) -> None:
    cells = [CELLS[0], "%%task long --define\nwhile True:\n    time.sleep(0.05)", "%flow run"]
    lab.write_notebook("endless.ipynb", cells)
    lab.open(page, "endless.ipynb")
    page.wait_for_function(READY)
    page.evaluate(RUN_ALL)
    page.locator("g[data-node].fb-running").wait_for()
    page.get_by_role("button", name="Interrupt the kernel").click()
    flow = page.locator(".jp-Notebook .jp-CodeCell").nth(2)
    expect(flow).to_contain_text("Cancelled")
    page.wait_for_function(READY)
    shot(page, "interrupted")
