"""Artifacts in a real JupyterLab, which runs the scripts in the Markdown and HTML of a cell just executed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SHOTS = os.environ.get("FLOWBOOK_SCREENSHOTS")
HOSTILE = (
    "See <script>window.ran = 1</script> <img src=x onerror='window.ran = 2'> [click](javascript:window.ran=3) "
    "$\\href{javascript:window.ran=4}{formula}$"
)
CELL = f"""\
from flowbook.artifacts import *
bad = {HOSTILE!r}
create_markdown("# Sales\\n\\n" + bad + "\\n\\n$a_1$ costs $5 and $6", description=bad)
create_table_artifact([{{"price": "$5 or $6", bad: bad}}])
create_link_artifact("javascript:window.ran=5", bad)
create_link_artifact("https://flowbook.invalid/", "a link")
bar = create_progress_artifact(0)
for i in range(1001):
    _ = update_progress_artifact(bar, i / 10)
"""


def test_artifacts_are_shown_and_never_run(lab: Any, page: Page) -> None:
    lab.write_notebook("artifacts.ipynb", [CELL])
    lab.open(page, "artifacts.ipynb")
    lab.execute(page, "notebook:run-all-cells")
    artifacts = page.locator(".flowbook-artifact")
    expect(artifacts).to_have_count(5)
    expect(artifacts.nth(4)).to_contain_text("100.0 %")
    expect(artifacts.nth(0).get_by_role("heading")).to_contain_text("Sales")
    expect(artifacts.nth(0)).to_contain_text("<script>window.ran = 1</script>")
    expect(artifacts.nth(0)).to_contain_text("costs $5 and $6")
    expect(artifacts.nth(0).locator("mjx-container")).to_have_count(2)
    expect(artifacts.nth(1)).to_contain_text("$5 or $6")
    expect(artifacts.nth(1).locator("mjx-container")).to_have_count(0)
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / "artifacts.png"))
    assert artifacts.locator("script").count() == 0
    links = [link.get_attribute("href") for link in artifacts.locator("a").all()]
    assert links == ["https://flowbook.invalid/"]
    artifacts.nth(0).get_by_text("click").last.click()
    artifacts.nth(0).locator("mjx-container").first.click()
    assert page.evaluate("window.ran") is None
