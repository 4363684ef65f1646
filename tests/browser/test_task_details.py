"""A task that is opened says more of itself, and a run is cancelled, both while a cell keeps the kernel busy."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import KERNEL_IS_IDLE

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SHOTS = os.environ.get("FLOWBOOK_SCREENSHOTS")
CELLS = [
    "%load_ext flowbook\nfrom pydantic import SecretStr\nlimit = 1000\nkey = SecretStr('hunter2')",
    "%%task load --define\nimport logging\nprint('reading')\nrows = [700.0, 647.5]",
    (
        "%%task check --define\ntotal = sum(rows)\nassert key\n"
        "if total > limit:\n    raise ValueError(f'total {total} above limit {limit}')"
    ),
    "%%task slow --define\nimport time\nfor _ in range(3_000):\n    time.sleep(0.1)\ndone = True",
    "%flow run",
]


def node(page: Page, name: str) -> Any:
    return page.locator(f".fb-node:has(.fb-name:text-is('{name}'))")


def test_a_task_is_opened_and_the_run_cancelled_while_the_cell_runs(lab: Any, page: Page) -> None:
    lab.write_notebook("details.ipynb", CELLS)
    lab.open(page, "details.ipynb")
    page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.locator(".fb-node.fb-failed").wait_for()
    node(page, "check").click()
    details = page.locator(".fb-details")
    expect(details).to_contain_text("ValueError: total 1347.5 above limit 1000")
    expect(details.locator(".fb-more")).to_contain_text("rows")
    expect(details.locator(".fb-more")).to_contain_text("[700.0, 647.5]")
    expect(details.locator(".fb-more")).to_contain_text("never run")
    expect(details.locator(".fb-source").first).to_have_text("raise ValueError(f'total {total} above limit {limit}')")
    expect(details).to_contain_text("line 5")
    expect(details).to_contain_text("**********")
    assert "hunter2" not in page.locator(".fb-dag").inner_text()
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / "dag-details.png"))
    node(page, "load").click()
    expect(details).to_contain_text("Result")

    cancel(page)
    assert page.locator(".fb-dag").count() == 0

    # widgets are not heard while a cell runs, as with older kernels: the server is
    page.wait_for_function(KERNEL_IS_IDLE)
    page.evaluate("jupyterapp.shell.currentWidget.sessionContext.session.kernel.commsOverSubshells = 'disabled'")
    page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-cell')")
    node(page, "slow").and_(page.locator(".fb-running")).wait_for()
    cancel(page)


def cancel(page: Page) -> None:
    """Click on Cancel, which has to say at once that it was heard, and see the run end long before its task would."""
    button = page.get_by_role("button", name="Cancel", exact=True)
    button.wait_for()
    said = button.evaluate("button => { button.click(); return button.textContent; }")
    assert said == "Cancelling…"
    page.get_by_text("Cancelled after").first.wait_for()
    page.locator(".fb-dag").wait_for(state="detached")
