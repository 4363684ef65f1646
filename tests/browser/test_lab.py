"""What a person sees of flowbook in JupyterLab: the Promote button and the list of runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from flowbook import flow, task
from flowbook.runs import recent_runs, run_folder

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CELLS = ["%load_ext flowbook", "%%task\nday = '2026-11-20'", "%%task\nrows = [day] * 3"]


HTML = "<b>shown</b><script>{}</script>"


@task
def extract() -> list[int]:
    return [1, 2, 3]


@task
def validate(rows: list[int]) -> int:
    return len(rows)


@flow
def nightly() -> int:
    return validate(extract())


@flow
def invoices() -> None:
    raise ValueError("total 1347.5 above limit 1000, and <b>this</b> is text")


def open_panel(page: Page) -> Locator:
    """The list of runs, opened as a person does."""
    page.get_by_role("tab", name="flowbook: runs").click()
    return page.get_by_role("region", name="flowbook runs")


def runs_in(panel: Locator) -> Locator:
    """The rows of the list of runs."""
    return panel.get_by_role("list", name="Runs, newest first").get_by_role("listitem")


def test_promotes_what_was_typed_last(lab: Any, page: Page) -> None:
    path = lab.write_notebook("typed.ipynb", CELLS)
    lab.open(page, "typed.ipynb")
    page.locator(".jp-Notebook .cm-content").last.click()
    page.keyboard.press("End")
    page.keyboard.type("  # typed just now")
    page.get_by_role("button", name="Promote").click()
    expect(page.get_by_role("dialog").get_by_label("Name")).to_have_value("typed")
    assert "typed just now" in path.read_text()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_palette_promotes_too(lab: Any, page: Page) -> None:
    lab.write_notebook("palette.ipynb", CELLS)
    lab.open(page, "palette.ipynb")
    page.get_by_role("menuitem", name="View").click()
    page.get_by_role("menuitem", name="Activate Command Palette").click()
    page.get_by_role("textbox", name="SEARCH").fill("promote notebook")
    page.locator(".lm-CommandPalette-item", has_text="Promote Notebook to a Deployment").click()
    expect(page.get_by_role("dialog").get_by_label("Name")).to_have_value("palette")


def test_nothing_has_run(lab: Any, page: Page) -> None:
    page.route("**/flowbook/api/runs*", lambda route: route.fulfill(json={"runs": []}))
    lab.open(page)
    panel = open_panel(page)
    expect(panel).to_contain_text("Nothing has run here. %flow run, or")
    expect(panel.get_by_role("button", name="Promote a notebook")).to_be_visible()


def test_lists_the_runs_and_follows_them(lab: Any, page: Page, in_lab: Path) -> None:
    nightly()
    with pytest.raises(ValueError, match="total"):
        invoices()
    failed = recent_runs(1)[0]
    run_folder(failed.id).mkdir(parents=True)
    (run_folder(failed.id) / "notebook.html").write_text("<h1>Executed</h1><script>document.title = 'ran'</script>")
    lab.open(page)
    panel = open_panel(page)
    rows = runs_in(panel)
    first, second = rows.nth(0), rows.nth(1)
    expect(first).to_contain_text(f"Failedinvoices · run {failed.number}")
    expect(first).to_contain_text("ValueError: total 1347.5 above limit 1000, and <b>this</b> is text")
    expect(first).to_contain_text("CET")
    expect(second).to_contain_text("Succeeded")
    expect(second).to_contain_text("2/2 tasks")
    assert first.locator("svg path").get_attribute("d") != second.locator("svg path").get_attribute("d")

    with page.expect_popup() as opened:
        first.get_by_role("link", name=f"Report of run {failed.number}").click()
    expect(opened.value.get_by_role("heading")).to_have_text("Executed")
    assert opened.value.title() != "ran"

    nightly()
    expect(runs_in(panel).first).to_contain_text("nightly")


def test_the_executed_notebook_of_a_run_opens_and_is_not_trusted(lab: Any, page: Page, in_lab: Path) -> None:
    loud = HTML.format("document.title = 'ran'")
    for outputs in ([], [nbformat.v4.new_output("display_data", {"text/html": loud})]):
        nightly()
        run = recent_runs(1)[0]
        run_folder(run.id).mkdir(parents=True)
        cell = nbformat.v4.new_code_cell("show()", id="c", outputs=outputs)
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), run_folder(run.id) / "notebook.ipynb")
    lab.write_notebook("compares.ipynb", ["%load_ext flowbook\n%runs open last", "%runs diff prev last"])
    lab.open(page, "compares.ipynb")
    lab.execute(page, "notebook:run-all-cells")
    expect(page.locator(".fb-diff")).to_contain_text("Different: 1 output.")
    expect(page.locator(".fb-diff pre")).to_contain_text("+shown")
    assert page.locator(".fb-diff script").count() == 0
    expect(page.locator(".fb-diff td").first).to_have_css("text-align", "left")

    name = f"Compare with previous run ({run.number - 1} with {run.number}), in a new tab"
    with page.expect_popup() as compared:
        runs_in(open_panel(page)).first.get_by_role("link", name=name).click()
    expect(compared.value.get_by_role("heading", level=1)).to_have_text(f"Run {run.number - 1} and run {run.number}")
    expect(compared.value.locator("pre")).to_contain_text("+shown")
    assert compared.value.locator("script").count() == 0
    if shots := os.environ.get("FLOWBOOK_SCREENSHOTS"):
        page.screenshot(path=Path(shots) / "compare_in_panel.png")
        compared.value.screenshot(path=Path(shots) / "compared.png")

    page.get_by_role("link", name=f"nightly-run-{run.number}.ipynb").click()
    tab = page.get_by_role("tab", name=f"nightly-run-{run.number}.ipynb")
    expect(tab).to_have_attribute("aria-selected", "true")
    opened = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    expect(opened.locator(".jp-OutputArea-output")).to_contain_text("shown")
    assert page.evaluate("window.jupyterapp.shell.currentWidget.content.model.cells.get(0).trusted") is False
    assert "ran" not in page.title()


def test_says_so_when_the_server_is_gone(lab: Any, page: Page, in_lab: Path) -> None:
    nightly()
    lab.open(page)
    panel = open_panel(page)
    expect(runs_in(panel).first).to_contain_text("nightly")
    page.route("**/flowbook/api/runs*", lambda route: route.abort())
    problems = panel.get_by_role("status", name="Problems")
    expect(problems).to_contain_text("The Jupyter server cannot be reached.")
    expect(runs_in(panel).first).to_contain_text("nightly")
    page.unroute("**/flowbook/api/runs*")
    expect(problems).to_be_empty()


def test_says_who_executes_deployments(lab: Any, page: Page, in_lab: Path) -> None:
    lab.write_notebook("hosted.ipynb", CELLS)
    lab.open(page, "hosted.ipynb")
    panel = open_panel(page)
    workers = panel.get_by_role("status", name="Workers")
    page.get_by_role("button", name="Promote", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("radio", name="Cron").check()
    dialog.get_by_role("button", name="Promote", exact=True).click()
    expect(workers).to_contain_text("Worker: this server, 0 of 2 busy.")
    expect(workers).to_contain_text("Next run: ")
    expect(workers.get_by_role("button")).to_have_count(0)
    shot = os.environ.get("FLOWBOOK_SCREENSHOTS")
    if shot:
        page.screenshot(path=Path(shot) / "worker_line.png")


def test_offers_to_start_a_worker_where_schedules_do_not_fire(lab: Any, page: Page) -> None:
    nobody = {
        "workers": [],
        "hosting": "auto",
        "starting": False,
        "deployments": 1,
        "schedules": 1,
        "fires": False,
        "idle_pools": ["default"],
        "next_fire": None,
    }
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.method)
        route.fulfill(json={**nobody, "starting": "POST" in asked})

    page.route("**/flowbook/api/workers*", answer)
    lab.open(page)
    panel = open_panel(page)
    workers = panel.get_by_role("status", name="Workers")
    expect(workers).to_contain_text("No worker: schedules are not firing.")
    shot = os.environ.get("FLOWBOOK_SCREENSHOTS")
    if shot:
        page.screenshot(path=Path(shot) / "no_worker_line.png")
    workers.get_by_role("button", name="Start one").click()
    expect(workers).to_contain_text("Worker: this server, starting…")
    assert asked.count("POST") == 1
