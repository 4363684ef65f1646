"""`flow.visualize()`: what a flow would run, drawn without running it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from flowbook import allow_failure, flow, get_run_logger, pause_flow_run, quote, tags, task, transaction, unmapped
from flowbook.core.view import RunView
from flowbook.errors import ParameterError, UsageError
from flowbook.futures import as_completed, wait
from flowbook.run.execution import flowless


@task
def extract(n: int = 1) -> Any:
    raise AssertionError("a task has run")


@task
def clean(*args: Any, **kwargs: Any) -> Any:
    raise AssertionError("a task has run")


@task
def load(*args: Any, **kwargs: Any) -> Any:
    raise AssertionError("a task has run")


@task
async def fetch(*args: Any) -> Any:
    raise AssertionError("a task has run")


@task
def pages(*args: Any) -> Iterator[Any]:
    raise AssertionError("a task has run")
    yield


@task
async def later_pages(*args: Any) -> AsyncIterator[Any]:
    raise AssertionError("a task has run")
    yield


@task(viz_return_value=[1000, 2000])
def sizes() -> list[int]:
    raise AssertionError("a task has run")


@task
def split(x: Any) -> Any:
    raise AssertionError("a task has run")


@flow
def report(*args: Any) -> Any:
    raise AssertionError("a flow has run")


@flow
async def later_report(*args: Any) -> Any:
    raise AssertionError("a flow has run")


@flow
def rows_of(*args: Any) -> Iterator[Any]:
    raise AssertionError("a flow has run")
    yield


def edges(view: RunView) -> dict[str, set[str]]:
    """For each node of the graph the names of those before it."""
    names = {node.id: node.name for node in view.nodes.values()}
    return {node.name: {names[source] for source in node.upstream} for node in view.nodes.values()}


def graph_of(fn: Callable[..., Any], *args: Any) -> dict[str, set[str]]:
    return edges(flow(name="drawn")(fn).visualize(*args).view)


def calls() -> Any:
    return load(clean(extract()))


def submits() -> Any:
    first = extract.submit()
    return load.submit(clean.submit(first), wait_for=[first])


def takes_results() -> Any:
    return load(clean.submit(extract.submit().result()).result())


def takes_states() -> Any:
    return load(extract(return_state=True).result(), clean.submit(return_state=True).result())  # type: ignore[call-arg]


def nests() -> Any:
    return load({"deep": [(extract(), {"deeper": clean.submit()})]}, key=quote([fetch.submit()]))  # not looked into


def marks() -> Any:
    return load(allow_failure(extract.submit()), allow_failure([clean()]))


def waits() -> Any:
    futures = [extract.submit(), clean.submit()]
    wait(futures)
    return load([future.result() for future in as_completed(futures)], wait_for=futures)


def computes() -> Any:
    x = extract()
    return load(x["a"].sum() / 2 - 1, -x, 3 * x, x == 1, round(x.rate, 2), x[1:2])


def mixes() -> Any:
    return load(extract() + clean()["x"])


def keeps() -> Any:
    frame = extract()
    frame["total"] = clean()
    return load(frame)


def unpacks() -> Any:
    train, test = split(extract())
    first, *rest = clean(train)
    return load(test, first, rest)


def loops() -> Any:
    for row in extract():
        clean(row)
    return [load(x, i) for i, (x, _) in enumerate(split(1))]


def maps() -> Any:
    return load(clean.map(extract()))


def maps_futures() -> Any:
    return load.map(clean.map(extract.submit()), unmapped(7))


def maps_lists() -> Any:
    return clean.map([1, 2, 3], extract())


def maps_what_is_known() -> Any:
    return clean.map(sizes())


def iterates() -> Any:
    return [load(page) for page in pages(extract())]


def sub_flows() -> Any:
    for row in rows_of(report(extract())):
        load(row)


def delays() -> Any:
    return clean.delay(extract())


async def awaits() -> Any:
    first, second = await asyncio.gather(fetch(1), fetch(2))
    return load(first, await fetch(second))


async def iterates_later() -> Any:
    return [load(page) async for page in later_pages(await later_report(extract()))]


def yields() -> Iterator[Any]:
    x = extract()
    yield x
    yield load(x)


async def yields_later() -> AsyncIterator[Any]:
    yield load(await fetch())


def branches_on_what_is_known() -> Any:
    return load(sizes()) if sum(sizes()) > 10 else clean()


def surrounds() -> Any:
    with tags("a"), transaction(key="drawn"):
        get_run_logger().info("drawn")
        return load(extract())


def pauses() -> Any:
    return load(extract(), pause_flow_run(wait_for_input=int))


async def pauses_later() -> Any:
    return load(await fetch(), await pause_flow_run())


def in_threads() -> Any:
    with ThreadPoolExecutor(1) as pool:
        x = pool.submit(extract).result()
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(clean(x)))
    thread.start()
    thread.join()
    return load(*found)


IN_A_ROW = {"extract": set(), "clean": {"extract"}, "load": {"clean"}}
GRAPHS: list[tuple[Callable[..., Any], dict[str, set[str]]]] = [
    (calls, IN_A_ROW),
    (submits, {"extract": set(), "clean": {"extract"}, "load": {"clean", "extract"}}),
    (takes_results, IN_A_ROW),
    (takes_states, {"extract": set(), "clean": set(), "load": {"extract", "clean"}}),
    (nests, {"extract": set(), "clean": set(), "fetch": set(), "load": {"extract", "clean"}}),
    (marks, {"extract": set(), "clean": set(), "load": {"extract", "clean"}}),
    (waits, {"extract": set(), "clean": set(), "load": {"extract", "clean"}}),
    (computes, {"extract": set(), "load": {"extract"}}),
    (mixes, {"extract": set(), "clean": set(), "load": {"extract", "clean"}}),
    (keeps, {"extract": set(), "clean": set(), "load": {"extract", "clean"}}),
    (unpacks, {"extract": set(), "split": {"extract"}, "clean": {"split"}, "load": {"split", "clean"}}),
    (loops, {"extract": set(), "clean": {"extract"}, "split": set(), "load": {"split"}}),
    (maps, IN_A_ROW),
    (maps_futures, IN_A_ROW),
    (maps_lists, {"extract": set(), "clean": {"extract"}, "clean-1": {"extract"}, "clean-2": {"extract"}}),
    (maps_what_is_known, {"sizes": set(), "clean": {"sizes"}, "clean-1": {"sizes"}}),
    (iterates, {"extract": set(), "pages": {"extract"}, "load": {"pages"}}),
    (sub_flows, {"extract": set(), "report": {"extract"}, "rows-of": {"report"}, "load": {"rows-of"}}),
    (delays, {"extract": set(), "clean": {"extract"}}),
    (awaits, {"fetch": set(), "fetch-1": set(), "fetch-2": {"fetch-1"}, "load": {"fetch", "fetch-2"}}),
    (
        iterates_later,
        {"extract": set(), "later-report": {"extract"}, "later_pages": {"later-report"}, "load": {"later_pages"}},
    ),
    (yields, {"extract": set(), "load": {"extract"}}),
    (yields_later, {"fetch": set(), "load": {"fetch"}}),
    (branches_on_what_is_known, {"sizes": set(), "sizes-1": set(), "load": {"sizes-1"}}),
    (surrounds, {"extract": set(), "load": {"extract"}}),
    (in_threads, IN_A_ROW),
    (pauses, {"extract": set(), "load": {"extract"}}),
    (pauses_later, {"fetch": set(), "load": {"fetch"}}),
]


@pytest.mark.parametrize(("fn", "expected"), GRAPHS, ids=[fn.__name__ for fn, _ in GRAPHS])
def test_the_graph_is_found_without_running_anything(
    fn: Callable[..., Any], expected: dict[str, set[str]], home: Path
) -> None:
    unfinished = set(flowless)
    assert graph_of(fn) == expected
    assert flowless == unfinished
    assert not home.exists()


def test_parameters_decide_what_is_drawn() -> None:
    def choose(n: int, also: bool = False) -> None:
        for _ in range(n):
            extract()
        if also:
            load()

    assert graph_of(choose, 2) == {"extract": set(), "extract-1": set()}
    chosen = flow(choose).visualize(n="1", also="yes")  # type: ignore[arg-type]
    assert edges(chosen.view) == {"extract": set(), "load": set()}
    assert chosen.view.parameters == {"n": 1, "also": True}
    with pytest.raises(ParameterError, match="needs the parameter 'n'"):
        flow(choose).visualize()  # type: ignore[call-arg]
    with pytest.raises(ParameterError, match="does not fit"):
        flow(choose).visualize("many")  # type: ignore[arg-type]


def test_a_method_is_drawn() -> None:
    class Shop:
        @task
        def price(self, n: Any) -> Any:
            raise AssertionError("a task has run")

        @flow
        def sale(self, n: int) -> Any:
            return self.price(self.price(n))

    assert edges(Shop().sale.visualize(2).view) == {"price": set(), "price-1": {"price"}}


def test_it_can_be_drawn_where_a_loop_runs_already() -> None:
    async def notebook() -> dict[str, set[str]]:
        return graph_of(awaits)

    assert set(asyncio.run(notebook())) == {"fetch", "fetch-1", "fetch-2", "load"}


def test_it_can_be_drawn_inside_of_a_run_and_runs_go_on_as_before() -> None:
    ran = []

    @task
    def work() -> None:
        ran.append(True)

    @flow
    def drawn() -> None:
        work()

    @flow
    def outer() -> int:
        found = len(drawn.visualize().view.nodes)
        work()
        return found

    assert outer() == 1
    assert ran == [True]


# What cannot be drawn


def branch_on(x: Any) -> None:
    if x:
        load()


DEPENDS: list[tuple[Callable[[Any], Any], str]] = [
    (branch_on, "whether it is true"),
    (lambda x: x > 3 or load(), "whether it is true"),
    (lambda x: len(x), "how long it is"),
    (lambda x: 3 in x, "whether it contains something"),
    (lambda x: range(x), "a number"),
    (lambda x: int(x.size), "a number"),
    (lambda x: float(x), "a number"),
]


@pytest.mark.parametrize(("use", "said"), DEPENDS, ids=range(len(DEPENDS)))
def test_a_flow_that_depends_on_a_result_says_on_which_and_where(use: Callable[[Any], Any], said: str) -> None:
    @flow(name="choosy")
    def choosy() -> None:
        use(extract())

    with pytest.raises(UsageError) as raised:
        choosy.visualize()
    message = str(raised.value)
    assert message.startswith(f"Flow 'choosy' cannot be drawn without running it: at {__file__}, line ")
    assert said in message
    assert "what task 'extract' returns" in message
    assert "@task(viz_return_value=...)" in message


def test_a_flow_that_depends_on_a_sub_flow_is_told_what_helps() -> None:
    @flow
    def choosy() -> None:
        if report():
            load()

    with pytest.raises(
        UsageError, match=r"of what flow 'report' returns\. What needs it can be drawn if it happens in"
    ):
        choosy.visualize()


def test_an_error_that_a_placeholder_may_have_caused_says_so() -> None:
    @flow(name="joins")
    def joins() -> None:
        ", ".join(extract())

    with pytest.raises(UsageError, match=r"Flow 'joins' cannot be drawn .*TypeError.*viz_return_value") as raised:
        joins.visualize()
    assert isinstance(raised.value.__cause__, TypeError)


def test_an_error_before_any_task_is_the_flow_s_own() -> None:
    @flow
    def broken() -> None:
        raise KeyError("no such thing")

    with pytest.raises(KeyError, match="no such thing"):
        broken.visualize()


# How it is shown


@flow(name="pipeline")
def pipeline() -> Any:
    return load(clean(extract()))


def test_a_script_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    graph = pipeline.visualize()
    assert capsys.readouterr().out == "[. extract] ── [. clean] ── [. load]\n"
    assert str(graph) == repr(graph) == "[. extract] ── [. clean] ── [. load]"


def test_an_interactive_session_shows_what_is_returned(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    graph = pipeline.visualize()
    assert capsys.readouterr().out == ""
    picture = graph._repr_svg_()
    assert picture is not None
    assert picture.startswith("<svg")
    assert all(f">{name}</text>" in picture for name in ("extract", "clean", "load"))


def test_a_flow_without_tasks_is_said_to_have_none(capsys: pytest.CaptureFixture[str]) -> None:
    @flow(name="idle")
    def idle() -> None: ...

    graph = idle.visualize()
    assert str(graph) == "Flow 'idle' calls no task."
    assert graph._repr_svg_() is None


def test_it_is_saved_as_the_ending_says(tmp_path: Path) -> None:
    graph = pipeline.visualize()
    assert graph.save(tmp_path / "a.svg").read_text().startswith("<svg")
    assert graph.save(str(tmp_path / "a.txt")).read_text() == "[. extract] ── [. clean] ── [. load]\n"
    assert graph.save(tmp_path / "a.dot").read_text().startswith("digraph")
    with pytest.raises(UsageError, match=r"a\.png cannot be written; end it in \.svg, \.txt, \.dot, \.gv\."):
        graph.save(tmp_path / "a.png")


def test_text_made_of_a_placeholder_says_what_it_stands_for(capsys: pytest.CaptureFixture[str]) -> None:
    @flow
    def prints() -> None:
        print(f"got {extract():.2f}", extract())

    prints.visualize()
    assert capsys.readouterr().out.startswith("got <what task 'extract' returns> <what task 'extract' returns>\n")


@pytest.mark.slow
def test_a_process_that_draws_never_opens_the_database(home: Path) -> None:
    code = """
        import sys
        from flowbook import flow, task

        @task(tags=["limited"], retries=3)
        def one():
            return 1

        @flow(concurrency_limit={"one": 1})
        def both():
            return one(), one.submit()

        both.visualize()
        print("sqlalchemy" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[. one]", "[. one-1]", "False"]
    assert not home.exists()
