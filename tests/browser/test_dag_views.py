"""What a person does with the live view: zoom, find, choose another view of the run."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from tests.browser.dag_page import DagPage, failed_run

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def dag(page: Page) -> DagPage:
    """The view alone, without a run."""
    made = DagPage(page)
    made.open()
    return made


def width(dag: DagPage) -> float:
    box = dag.page.locator(".fb-graph").bounding_box()
    assert box
    return box["width"]


def test_the_graph_is_zoomed_panned_and_fitted(dag: DagPage) -> None:
    dag.page.set_viewport_size({"width": 700, "height": 600})
    dag.run(*failed_run())
    fitted = width(dag)
    frame = dag.page.locator(".fb-frame")
    frame.hover(position={"x": 20, "y": 20})
    dag.page.keyboard.down("Control")
    dag.page.mouse.wheel(0, -300)
    dag.page.keyboard.up("Control")
    expect(frame).to_have_class("fb-frame fb-zoomed")
    assert width(dag) > 2 * fitted
    assert frame.evaluate("frame => frame.scrollLeft") > 10  # it grew about the pointer
    frame.evaluate("frame => frame.scrollLeft = 0")
    dag.page.keyboard.down("Shift")
    dag.page.mouse.wheel(0, 90)
    dag.page.keyboard.up("Shift")
    assert frame.evaluate("frame => frame.scrollLeft") == 90
    box = frame.bounding_box()
    assert box
    dag.page.mouse.move(box["x"] + 300, box["y"] + 60)
    dag.page.mouse.down()
    dag.page.mouse.move(box["x"] + 250, box["y"] + 40, steps=4)
    dag.page.mouse.up()
    assert frame.evaluate("frame => frame.scrollLeft") == 140
    expect(dag.page.locator(".fb-details")).to_be_empty()  # a drag chooses nothing
    dag.shot("zoomed")
    dag.page.locator(".fb-node[tabindex='0']").focus()
    dag.page.keyboard.press("f")
    assert width(dag) == fitted
    dag.page.keyboard.press("+")
    assert width(dag) == pytest.approx(1.25 * fitted, abs=2)
    dag.page.keyboard.press("-")
    assert width(dag) == fitted


def test_find_dims_the_others_and_goes_on_by_enter(dag: DagPage) -> None:
    dag.run(*failed_run())
    dag.page.locator(".fb-node[tabindex='0']").focus()
    dag.page.keyboard.press("/")
    dag.page.keyboard.type("ate")
    expect(dag.page.locator(".fb-node:not(.fb-dim) .fb-name")).to_have_text(["fetch_rates", "aggregate", "validate"])
    expect(dag.page.get_by_text("3 found")).to_be_visible()
    for _ in range(3):
        dag.page.keyboard.press("Enter")
    expect(dag.page.get_by_text("3 of 3")).to_be_visible()
    expect(dag.page.locator(".fb-details")).to_contain_text("validate")
    dag.shot("find")
    dag.page.keyboard.press("Escape")
    assert dag.page.locator(".fb-dim").count() == 0
    dag.page.keyboard.press("?")
    expect(dag.page.get_by_text("next and previous failed task")).to_be_visible()
    dag.shot("keys")
    dag.page.keyboard.press("?")
    expect(dag.page.get_by_text("next and previous failed task")).not_to_be_visible()
