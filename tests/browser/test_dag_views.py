"""What a person does with the live view: zoom, find, choose another view of the run."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from tests.browser.dag_page import DagPage, event, failed_run

from flowbook.core import states
from flowbook.core.events import state_to_json
from flowbook.core.states import State
from flowbook_widgets.live import STATIC

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


def test_a_bar_is_where_its_task_was_and_the_axis_ends_with_the_run(dag: DagPage) -> None:
    dag.run(*failed_run())
    dag.page.get_by_role("tab", name="Timeline").click()
    lane = dag.page.locator(".fb-lane").first.bounding_box()
    bars = {}
    for row in dag.page.locator(".fb-row").all():
        bar = row.locator(".fb-bar").bounding_box()
        if bar and lane:
            bars[row.locator("bdi").inner_text()] = (
                round((bar["x"] - lane["x"]) / lane["width"] * 15.1, 1),
                round(bar["width"] / lane["width"] * 15.1, 1),
            )
    assert bars["extract_orders"] == pytest.approx((0, 2.5), abs=0.15)
    assert bars["validate"] == pytest.approx((12.5, 2.5), abs=0.15)
    assert "publish" not in bars  # it never began
    expect(dag.page.locator(".fb-axis span").last).to_have_text("15.1 s")
    dag.shot("timeline")
    dag.page.get_by_role("button", name="validate:").click()
    expect(dag.page.locator(".fb-details")).to_contain_text("ValueError: total 1347.5 above limit 1000")


def test_the_table_is_put_in_order_by_its_heads(dag: DagPage) -> None:
    dag.run(*failed_run())
    dag.page.get_by_role("tab", name="Graph").focus()
    for _ in range(2):
        dag.page.keyboard.press("ArrowRight")
    expect(dag.page.get_by_role("tab", name="Table")).to_be_focused()
    names = dag.page.locator(".fb-table tbody td:nth-child(2)")
    expect(names.first).to_have_text("extract_orders")
    dag.page.get_by_role("button", name="State").click()
    expect(names.first).to_have_text("validate")
    expect(dag.page.get_by_role("columnheader", name="State")).to_have_attribute("aria-sort", "ascending")
    dag.page.get_by_role("button", name="Attempts").click()
    dag.page.get_by_role("button", name="Attempts").click()
    expect(names.first).to_have_text("fetch_rates")
    row = dag.page.get_by_role("row").filter(has_text="fetch_rates")
    expect(row.get_by_role("cell")).to_have_text(["Succeeded", "fetch_rates", "0:00", "2.5 s", "2", ""])
    dag.shot("table")


def test_the_log_opens_at_the_first_error_in_colours_and_never_as_html(dag: DagPage) -> None:
    events = [event("flow-run", 1000.0, flow="nightly"), event("task-run", 1000.0, "a", name="load")]
    events.append(event("state", 1000.0, **state_to_json(states.running())))
    for i in range(120):
        level, message = (
            ("ERROR", "\x1b[31mbroken\x1b[0m <img src=x onerror=alert(1)>") if i == 40 else ("INFO", f"{i}")
        )
        events.append(event("log", 1000.0 + i, "a", level=level, message=message))
    events.append(event("state", 1200.0, **state_to_json(states.failed(ValueError("no")))))
    dag.show(events)
    dag.page.locator(".fb-node[tabindex='0']").focus()
    dag.page.keyboard.press("l")
    error = dag.page.locator(".fb-log-error")
    expect(error).to_have_text("0:40ERRORloadbroken <img src=x onerror=alert(1)>")
    expect(error).to_be_in_viewport()
    expect(error.locator(".fb-ansi-red")).to_have_text("broken")
    assert dag.page.locator(".fb-log").count() == 120
    assert dag.page.locator(".fb-logs img").count() == 0
    dag.shot("logs")


def test_a_mapped_task_lists_its_failed_runs_first(dag: DagPage) -> None:
    graph: dict[str, list[str]] = {"load": [], **{f"score-{i}": ["load"] for i in range(12)}}
    happened: list[tuple[str | None, State, float]] = [(None, states.running(), 1000.0)]
    for name in graph:
        end = states.failed(ValueError("bad row"), attempt=1) if name == "score-9" else states.completed(attempt=1)
        happened += [(name, states.running(), 1000.0), (name, end, 1001.0)]
    dag.run(graph, happened)
    dag.node("score").click()
    members = dag.page.locator(".fb-members li")
    expect(members).to_have_count(12)
    expect(members.first).to_contain_text("Failed" + "score-9")
    expect(members.first).to_contain_text("ValueError: bad row")
    dag.shot("members")


@pytest.mark.parametrize(
    "name",
    [
        'a "quoted" name',
        "<script>window.evil = 1</script>",
        '"><img src=x onerror="window.evil = 1">',
        "two\nlines",
        "x]; a -> b [label=c",
        "שלום עולם",
        "🎉 party",
        "\x1b[31mred",
    ],
)
def test_a_name_is_text_in_every_view(dag: DagPage, name: str) -> None:
    failure = states.failed(ValueError(name), attempt=1)
    happened = [(None, states.running(), 1000.0), (name, states.running(), 1000.0), (name, failure, 1001.0)]
    dag.run({name: []}, happened)
    shown = " ".join(name.split())
    dag.page.locator(".fb-node").click()
    for view in ("Timeline", "Table", "Graph"):
        dag.page.get_by_role("tab", name=view).click()
        visible = dag.page.locator(".fb-panel:not([hidden])")
        assert shown.split()[0].strip("\x1b") in visible.inner_text()
    assert dag.page.evaluate("window.evil") is None
    assert dag.page.locator(".fb-dag img, .fb-dag script").count() == 0


def test_the_view_is_small() -> None:
    assert (STATIC / "dag.js").stat().st_size < 40_000
