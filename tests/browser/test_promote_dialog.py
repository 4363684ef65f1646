"""The Promote dialog of JupyterLab: what it asks, what it says meanwhile, and what is stored in the end."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from flowbook import engine
from flowbook.promote import promote
from flowbook.runs import recent_runs
from flowbook.store.deployments import find_deployment, manifest_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PARAMETERS = """# parameters
day: date = date(2026, 11, 20)
limit: int = 1000
rate: float = 0.5
loud: bool = False
names: list[str] = ["a", "b"]
mode: Literal["fast", "slow"] = "fast"
note: str | None = None"""
CELLS = [
    "%load_ext flowbook\nimport os\nfrom datetime import date\nfrom typing import Literal",
    PARAMETERS,
    "%%task\nrows = [day] * limit",
    "x = 1\nfound = open('/root/x.csv')",
]


def open_dialog(page: Page) -> Locator:
    """The dialog, opened with the toolbar's button, as soon as it has something to ask."""
    page.get_by_role("button", name="Promote", exact=True).click()
    return ready(page)


def ready(page: Page) -> Locator:
    """The dialog that is open, once the server has read the notebook, for which it first imports much."""
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("region", name="Check")).to_be_visible()
    return dialog


def keep_picture(page: Page, name: str) -> None:
    """A picture for whoever wants to see it."""
    if shots := os.environ.get("FLOWBOOK_SCREENSHOTS"):
        page.screenshot(path=Path(shots) / f"{name}.png")


def stored(name: str) -> dict[str, Any]:
    """What the newest version of a deployment holds."""
    database = engine.engine().database
    found = find_deployment(database, name)
    return manifest_of(database, found.id, found.version)


def focused(page: Page) -> Locator:
    return page.locator("input:focus")


def tab_to(page: Page, control: Locator) -> None:
    """Press Tab until the focus is there."""
    for _ in range(30):
        if control.evaluate("node => node === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"Tab does not lead to {control}")


def test_a_notebook_is_promoted_by_keyboard_alone(lab: Any, page: Page, in_lab: Path) -> None:
    lab.write_notebook("keys.ipynb", CELLS)
    lab.open(page, "keys.ipynb")
    page.get_by_role("button", name="Promote", exact=True).focus()
    page.keyboard.press("Enter")
    expect(focused(page)).to_have_value("keys")
    dialog = ready(page)
    expect(dialog.get_by_role("group", name="Parameters (from cell 2)")).to_be_visible()
    expect(dialog.get_by_label("day")).to_have_value("2026-11-20")

    page.keyboard.press("End")
    page.keyboard.type("-nightly")
    tab_to(page, dialog.get_by_label("limit"))
    page.keyboard.press("Control+A")
    page.keyboard.type("many")
    expect(dialog).to_contain_text("Input should be a valid integer")
    expect(dialog.get_by_label("limit")).to_have_attribute("aria-invalid", "true")
    expect(dialog.get_by_role("button", name="Promote", exact=True)).to_be_disabled()
    expect(dialog).to_contain_text("Correct the parameter limit.")
    keep_picture(page, "ill_typed")
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    page.keyboard.press("Control+A")
    page.keyboard.type("250")
    tab_to(page, dialog.get_by_label("loud"))
    page.keyboard.press("Space")
    tab_to(page, dialog.get_by_label("names"))
    page.keyboard.press("Control+End")
    page.keyboard.press("Enter")
    page.keyboard.type("c")
    tab_to(page, dialog.get_by_label("mode"))
    page.keyboard.press("ArrowDown")

    tab_to(page, dialog.get_by_role("radio", name="On demand"))
    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_role("status", name="Schedule")).to_contain_text("Every 15 minutes")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    expect(focused(page)).to_have_value("0 7 * * 1-5")
    page.keyboard.press("Control+A")
    page.keyboard.type("30 6 * * 1-5")
    told = dialog.get_by_role("status", name="Schedule")
    expect(told).to_contain_text("Weekdays at 06:30")
    expect(told.get_by_role("listitem")).to_have_count(5)
    expect(told.get_by_role("listitem").first).to_contain_text("06:30 CE")
    keep_picture(page, "by_keyboard")
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Promote", exact=True)).to_be_focused()

    found = stored("keys-nightly")
    assert found["parameters"] == {"limit": 250, "loud": True, "names": ["a", "b", "c"], "mode": "slow"}
    [spec] = found["schedules"]
    assert (spec["cron"], spec["timezone"], spec.get("catchup", "one")) == ("30 6 * * 1-5", "Europe/Zurich", "one")

    expect(page.locator(".Toastify")).to_contain_text("keys-nightly is deployed (version 1). Next run: ")
    keep_picture(page, "notification")
    page.get_by_role("button", name="Show deployment").click()
    row = page.get_by_role("region", name="Deployments").get_by_role("listitem").filter(has_text="keys-nightly")
    expect(row).to_contain_text("Weekdays at 06:30, Europe/Zurich · next ")
    expect(row).to_be_focused()
    keep_picture(page, "deployment_in_panel")


def test_a_schedule_that_cannot_be_meant_says_so_beside_its_field(
    lab: Any, page: Page, barriers: Callable[[str], list[str]]
) -> None:
    lab.write_notebook("words.ipynb", CELLS)
    lab.open(page, "words.ipynb")
    dialog = open_dialog(page)
    dialog.get_by_role("radio", name="Cron").check()
    expect(dialog.get_by_label("Zone")).to_have_value("Europe/Zurich")
    told = dialog.get_by_role("status", name="Schedule")
    for preset, words in (("Monthly", "On day 1 of every month at 07:00"), ("Hourly", "Every hour")):
        dialog.get_by_label("Preset").select_option(label=preset)
        expect(told).to_contain_text(words)
    dialog.get_by_label("Cron line").fill("30 2 25 10 *")
    expect(told.get_by_role("listitem").first).to_contain_text("02:30 CE")
    expect(told).to_contain_text("clocks go")

    dialog.get_by_label("Cron line").fill("0 0 31 2 *")
    expect(dialog.get_by_label("Cron line")).to_have_accessible_description(re.compile("never fires"))
    expect(told).to_be_empty()
    dialog.get_by_label("Cron line").fill("0 7 * * *")
    dialog.get_by_label("Zone").fill("Europe/Zurch")
    expect(dialog.get_by_label("Zone")).to_have_accessible_description(re.compile(r"did you mean Europe/Zurich\?"))
    expect(dialog).to_contain_text("Correct the schedule.")
    assert barriers(".jp-Dialog-content") == []
    keep_picture(page, "wrong_zone")
    dialog.get_by_label("Zone").fill("Europe/Zurich")
    expect(dialog.get_by_role("button", name="Promote", exact=True)).to_be_enabled()

    dialog.get_by_text("Captured: 4 cells").click()
    expect(dialog).to_contain_text("Runs use the environment of the worker")
    keep_picture(page, "captured")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_a_finding_leads_to_its_line(lab: Any, page: Page, in_lab: Path, barriers: Callable[[str], list[str]]) -> None:
    lab.write_notebook("unfit.ipynb", [*CELLS, "answer = 1\nother = input()"])
    lab.open(page, "unfit.ipynb", dark=True)
    dialog = open_dialog(page)
    check = dialog.get_by_role("region", name="Check")
    expect(check).to_contain_text("1 error and")
    expect(check).to_contain_text("Cell 5, line 2: input() has nobody to ask")
    expect(dialog.get_by_role("button", name="Promote", exact=True)).to_be_disabled()
    expect(dialog).to_contain_text("1 error (cell 5, line 2): correct it, or tick “Promote it anyway”.")
    assert barriers(".jp-Dialog-content") == []
    keep_picture(page, "findings_dark")
    go = check.get_by_role("button", name="Go to cell 5, line 2")
    go.focus()
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    active = page.locator(".jp-Notebook .jp-mod-active")
    expect(active).to_contain_text("other = input()")
    expect(active.locator(".cm-content")).to_be_focused()
    page.keyboard.press("Shift+End")
    assert page.evaluate("window.getSelection().toString()") == "other = input()"

    dialog = open_dialog(page)
    dialog.get_by_label("Promote it anyway").check()
    dialog.get_by_role("button", name="Promote", exact=True).click()
    expect(dialog).to_have_count(0)
    assert any("input()" in warning for warning in stored("unfit")["warnings"])


def test_a_notebook_that_was_deployed_before(lab: Any, page: Page, in_lab: Path) -> None:
    path = lab.write_notebook("again.ipynb", CELLS)
    options: dict[str, Any] = {"timezone": "America/New_York", "catchup": "skip", "overlap": "skip"}
    promote(path, cron="0 7 * * 1", parameters={"limit": 5}, **options)
    lab.write_notebook("again.ipynb", [*CELLS[:3], "x = 2", "y = x"])
    lab.open(page, "again.ipynb")
    dialog = open_dialog(page)
    expect(dialog.locator("header")).to_have_text("Promote again.ipynb v2 (2 cells changed since v1)")
    expect(dialog.get_by_label("limit")).to_have_value("5")
    expect(dialog.get_by_role("radio", name="Cron")).to_be_checked()
    expect(dialog.get_by_label("Cron line")).to_have_value("0 7 * * 1")
    expect(dialog.get_by_label("Zone")).to_have_value("America/New_York")
    expect(dialog.get_by_label("If missed")).to_have_value("skip")
    expect(dialog.get_by_label("If still running")).to_have_value("skip")
    expect(dialog.get_by_role("status", name="Schedule")).to_contain_text("Mondays at 07:00")
    keep_picture(page, "deployed_before")

    dialog.get_by_label("Name", exact=True).fill("again-other")
    expect(dialog.locator("header")).to_have_text("Promote again.ipynb")
    dialog.get_by_label("Name", exact=True).fill("a/b")
    expect(dialog).to_contain_text("cannot name a deployment")
    dialog.get_by_label("Name", exact=True).fill("again")
    expect(dialog.locator("header")).to_contain_text("v2")
    dialog.get_by_label("limit").fill("6")
    dialog.get_by_role("radio", name="On demand").check()
    dialog.get_by_role("button", name="Promote and run once").click()
    expect(dialog).to_have_count(0)
    expect(page.locator(".Toastify")).to_contain_text("again is deployed (version 2). Run ")
    found = stored("again")
    assert (found["parameters"], found["schedules"]) == ({"limit": 6}, [])
    assert found["settings"]["collision"] == "CANCEL_NEW"
    assert [run.deployment for run in recent_runs(50)].count("again") == 1


def test_data_files_and_the_flow_are_chosen_by_keyboard(
    lab: Any, page: Page, in_lab: Path, barriers: Callable[[str], list[str]]
) -> None:
    first = "@flow\ndef first(a: int = 1):\n    return open('a.csv').read(), open('gone.csv').read()"
    second = "@flow\ndef second(b: int = 2):\n    return open('b.csv').read()"
    path = lab.write_notebook("flows.ipynb", ["from flowbook import flow", first, second])
    for name in ("a.csv", "b.csv", "c.csv"):
        path.with_name(name).write_text("")
    promote(path, flow="first", data=["c.csv"])
    path.with_name("c.csv").unlink()
    lab.open(page, "flows.ipynb")
    page.get_by_role("button", name="Promote", exact=True).click()
    dialog = page.get_by_role("dialog")
    which = dialog.get_by_label("Flow", exact=True)
    expect(which).to_be_visible()
    expect(dialog).to_contain_text("Choose the flow.")
    expect(dialog.get_by_role("button", name="Promote", exact=True)).to_be_disabled()
    tab_to(page, which)
    page.keyboard.press("ArrowDown")
    expect(dialog.get_by_label("Name", exact=True)).to_have_value("first")
    expect(which).to_be_focused()
    expect(dialog.get_by_label("a int")).to_have_value("1")
    expect(dialog.get_by_role("region", name="Check")).to_contain_text("gone.csv")

    files = dialog.get_by_role("group", name="Data files")
    names = ["a.csv", "c.csv", "gone.csv"]
    assert [files.get_by_label(name, exact=True).is_checked() for name in names] == [False, True, False]
    expect(files.get_by_label("gone.csv")).to_be_disabled()
    expect(files.get_by_label("a.csv")).to_have_accessible_description("read in cell 2, line 3")
    expect(files.get_by_label("c.csv")).to_have_accessible_description(re.compile("bring it back, or untick it"))
    expect(dialog).to_contain_text("The data file c.csv is not there: bring it back, or untick it.")
    assert barriers(".jp-Dialog-content") == []
    keep_picture(page, "data_files")
    tab_to(page, files.get_by_label("a.csv"))
    page.keyboard.press("Space")
    tab_to(page, files.get_by_label("c.csv"))
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    assert stored("first")["data_files"] == {"a.csv": "declared"}

    page.get_by_role("button", name="Promote", exact=True).click()
    which.select_option("second")
    expect(dialog.get_by_label("b int")).to_have_value("2")
    expect(files.get_by_role("checkbox")).to_have_count(1)
    dialog.get_by_role("button", name="Promote", exact=True).click()
    expect(dialog).to_have_count(0)
    found = stored("second")
    assert (found["entrypoint"], found["data_files"]) == ("flows.ipynb:second", {"b.csv": "read"})
