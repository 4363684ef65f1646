"""What axe-core finds wrong with the views of a run, by WCAG 2.2 A and AA: nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from tests.browser.dag_page import DagPage, event, failed_run

from flowbook.core.events import state_to_json
from flowbook.core.failure import failure_of
from flowbook.core.view import RunReducer
from flowbook_widgets import final_bundle

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Barriers = Callable[[str], list[str]]
KNOWN = {
    "attempts": 1,
    "inputs": [["total", "1347.5"], ["limit", "1000"]],
    "facts": [["Usually takes", "2.0 s"]],
    "last_success": "run 127, 2026-11-26 07:00 CET",
    "frames": [
        {"where": "cell In[7], line 1", "code": "check(total)", "own": True},
        {"where": "/lib/shop.py, line 9 in check", "code": "raise ValueError", "own": False},
    ],
}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_live_view_with_card_and_details_in_every_tab(page: Page, barriers: Barriers, dark: bool) -> None:
    dag = DagPage(page, details=lambda node, view: KNOWN)
    dag.open()
    dag.colours(dark=dark)
    graph, happened = failed_run()
    dag.run(graph, happened)
    expect(page.locator(".fb-card")).to_contain_text("Last success")
    dag.node("validate").click()
    expect(page.locator(".fb-more")).to_contain_text("1347.5")
    page.get_by_role("button", name="Keys").click()
    for fold in page.locator(".fb-dag details > summary").all():
        if fold.is_visible():
            fold.click()
    for tab in ("Graph", "Timeline", "Table", "Logs"):
        page.get_by_role("tab", name=tab).click()
        dag.page.locator(".fb-panel:not([hidden])").wait_for()
        assert barriers("html") == [], tab


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_what_stays_in_the_notebook(page: Page, barriers: Barriers, dark: bool) -> None:
    graph, happened = failed_run()
    reducer = RunReducer("f")
    tasks = [{"id": name, "name": name, "upstream": before} for name, before in graph.items()]
    reducer.apply([event("flow-run", 1000.0, flow="nightly"), event("graph", 1000.0, tasks=tasks)])
    reducer.apply([event("state", at, task, **state_to_json(state)) for task, state, at in happened])
    html = final_bundle(reducer.view, failure=failure_of(reducer.view, KNOWN))["text/html"]
    page.set_content(f"<!doctype html><html lang='en'><title>A run</title><main>{html}</main>")
    ink, paper = ("#e6edf3", "#16191d") if dark else ("#1f2328", "#fff")
    page.evaluate(f"document.body.style = 'color: {ink}; background: {paper}'")
    assert barriers("html") == []
