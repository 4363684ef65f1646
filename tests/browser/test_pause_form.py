"""A paused flow asks in JupyterLab, under the cell that is still running."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SHOTS = os.environ.get("FLOWBOOK_SCREENSHOTS")
CELLS = [
    """
from typing import Literal
from flowbook import flow, pause_flow_run
from flowbook.input import RunInput
from pydantic import Field

class Approval(RunInput):
    name: str = Field(description="whoever approves")
    rows: int = Field(100, ge=1)
    target: Literal["staging", "production"] = "staging"
    sure: bool = False

@flow
def publish():
    return pause_flow_run(
        wait_for_input=Approval.with_initial_data(description="**Publish** the *report*?"), timeout=60
    )
""",
    "publish()",
]


def test_a_form_in_the_output_of_the_running_cell(lab: Any, page: Page) -> None:
    lab.write_notebook("pause.ipynb", CELLS)
    lab.open(page, "pause.ipynb")
    page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    resume = page.get_by_role("button", name="Resume", exact=True)
    resume.wait_for()
    expect(page.locator("strong", has_text="Publish").first).to_be_visible()
    expect(page.get_by_text("whoever approves", exact=True)).to_be_visible()
    page.get_by_label("Name", exact=True).fill("Ada")
    page.get_by_label("Rows", exact=True).fill("none")
    page.get_by_label("Target", exact=True).select_option("production")
    page.get_by_label("Sure", exact=True).check()
    resume.click()
    problem = page.get_by_role("alert").filter(has_text="Field 'rows' of the input")
    expect(problem).to_be_visible()
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / "pause-form.png"))
    page.get_by_label("Rows", exact=True).fill("7")
    resume.click()
    answer = page.get_by_text("Approval(name='Ada', rows=7, target='production', sure=True)")
    answer.wait_for()
    expect(page.get_by_text("Resumed.", exact=True)).to_be_visible()
    expect(resume).to_have_count(0)
