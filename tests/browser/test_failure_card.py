"""Why a run failed: in the live view, in what stays in the notebook, and with buttons while the kernel lives."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SHOTS = os.environ.get("FLOWBOOK_SCREENSHOTS")
CELLS = [
    "%load_ext flowbook\nfrom pathlib import Path\nfrom pydantic import SecretStr\n"
    "limit = 1000\nkey = SecretStr('hunter2')",
    "%%task load --define\nrows = [700.0, 647.5]",
    (
        "%%task check --define --retries 1 --log-prints\nimport json\ntotal = sum(rows)\nassert key\n"
        "print('<b>adding</b> up')\n"
        "def within(text):\n    if float(text) > limit:\n"
        "        raise ValueError(f'total {text} above limit {limit}')\n"
        "json.loads(json.dumps([total]), parse_float=within)"
    ),
    "%%task publish --define\nassert total\npublished = True",
    "%%task other --define\nimport time\nwhile not Path('go').exists():\n    time.sleep(0.05)\ndone = True",
    "%flow run",
]


def shot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"card-{name}.png"))


def test_a_failed_run_says_why_and_is_run_again_from_its_output(lab: Any, page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 1100})
    lab.write_notebook("card.ipynb", CELLS)
    lab.open(page, "card.ipynb")
    page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    live = page.locator(".fb-card")
    expect(live).to_contain_text("attempt 2 of 2")
    expect(live).to_contain_text("ValueError: total 1347.5 above limit 1000")
    expect(live.locator("> .fb-source")).to_have_text("> raise ValueError(f'total {text} above limit {limit}')")
    expect(live).to_contain_text("Not run: publish")
    page.locator(".fb-node[tabindex='0']").focus()
    page.keyboard.press("t")
    expect(live.locator(".fb-trace")).to_contain_text("parse_float=within")
    page.keyboard.press("d")
    page.keyboard.press("d")
    expect(page.locator(".fb-head")).to_contain_text("once the run has ended")
    assert page.locator(".jp-Notebook .jp-CodeCell").count() == len(CELLS)  # JupyterLab has not deleted the cell
    shot(page, "live")

    (lab.root / "go").touch()
    card = page.locator(".flowbook-failure").last
    for said in (
        "check",
        "attempt 2 of 2",
        "line 8",
        "Inputs",
        "rows=[700.0, 647.5]",
        "Not run: publish",
        "adding</b> up",
    ):
        expect(card).to_contain_text(said)
    assert page.locator(".fb-dag").count() == 0
    assert "hunter2" not in page.locator(".jp-Notebook").inner_text().partition("SecretStr('hunter2')")[2]
    card.scroll_into_view_if_needed()
    shot(page, "final")
    lab.execute(page, "docmanager:save")
    saved = json.loads((lab.root / "card.ipynb").read_text())

    card.get_by_role("button", name="Rerun from here").focus()
    page.keyboard.press("t")
    expect(card.get_by_text("parse_float=within").first).to_be_visible()
    expect(card.get_by_role("button", name="Debug here")).to_have_attribute("title", "%flow debug last check (d)")
    card.get_by_role("button", name="Debug here").click()
    inserted = page.locator(".jp-Notebook .jp-CodeCell").nth(len(CELLS))
    expect(inserted.locator(".cm-content")).to_have_text("%flow debug last check")
    expect(inserted).to_contain_text("Bound here as check had them in run")
    expect(inserted).to_contain_text("total 1347.5 above limit 1000")
    expect(inserted).to_contain_text("`%debug` opens the frames.")
    shot(page, "debugged")
    card.get_by_role("button", name="Rerun from here (2 of 4)").click()
    rerun = page.locator(".jp-Notebook .jp-CodeCell").nth(len(CELLS))  # right below, too
    expect(rerun.locator(".cm-content")).to_have_text("%flow run --from-failed")
    expect(rerun.locator(".flowbook-failure")).to_contain_text("attempt 2 of 2")
    card = page.locator(".flowbook-failure").first
    card.get_by_role("button", name="Debug here").focus()
    page.keyboard.press("Shift+R")
    expect(card.get_by_role("status")).to_contain_text("out of date")
    expect(card.get_by_role("button", name="Debug here")).to_be_disabled()

    # without the kernel that ran it, and by somebody who does not trust it
    for cell in saved["cells"]:
        cell["id"] = "copied-" + cell["id"]
    (lab.root / "copy.ipynb").write_text(json.dumps(saved))
    lab.open(page, "copy.ipynb", dark=True)
    expect(card).to_contain_text("ValueError: total 1347.5 above limit 1000")
    expect(card.get_by_role("button", name="Debug here")).to_be_disabled()
    expect(card.get_by_role("status")).to_contain_text("kernel that ran this has ended")
    assert page.get_by_text("model not found").count() == 0
    card.scroll_into_view_if_needed()
    shot(page, "reopened-dark")
    outputs = [output["data"] for output in saved["cells"][-1]["outputs"] if "data" in output]
    assert len(json.dumps(outputs)) < 60_000
    text = "".join(outputs[0]["text/plain"])
    assert "x Failed · check · " in text and "Not run: publish" in text
    html = "".join(outputs[0]["text/html"])
    assert "%flow run --from-failed" in html and "&lt;b&gt;adding" in html and "<b>adding" not in html
