"""What is different between two runs, and what counts as the same; without any run."""

from __future__ import annotations

import io
import re
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from flowbook.core.comparison import Comparison, Side, compare
from flowbook.core.comparison.facts import facts
from flowbook.core.comparison.page import fragment, page
from flowbook.core.comparison.records import PictureChange, TableChange, TextChange
from flowbook.core.comparison.report import WIDTH, report
from flowbook.core.plain import text_width
from flowbook.core.states import State, StateType, completed, failed
from flowbook.core.view import LogLine, NodeView, RunView

Outputs = list[dict[str, Any]]


def side(number: int, *cells: tuple[str, Outputs], **more: Any) -> Side:
    """A run whose notebook has these cells: their code and their outputs."""
    plain = [
        {"cell_type": "code", "id": f"c{i}", "source": source.splitlines(keepends=True), "outputs": outputs}
        for i, (source, outputs) in enumerate(cells)
    ]
    view = more.pop("view", None) or RunView(id=str(number), name=f"name-{number}", flow="f", state=completed())
    return Side(number=number, view=view, notebook={"cells": plain} if cells else None, **more)


def outputs_of(before: Outputs, after: Outputs) -> Comparison:
    return compare(side(1, ("x", before)), side(2, ("x", after)))


def stream(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def display(**data: Any) -> dict[str, Any]:
    """A display; ``text_html`` stands for ``text/html``."""
    named = {name.replace("_", "/", 1).replace("_", "+"): value for name, value in data.items()}
    return {"output_type": "display_data", "data": named, "metadata": {}}


def frame(**columns: Any) -> dict[str, Any]:
    table = pd.DataFrame(columns)
    return display(text_html=table.to_html(), text_plain=repr(table))


def picture(color: str, size: tuple[int, int] = (4, 3), dot: bool = False, **options: Any) -> dict[str, Any]:
    image, content = Image.new("RGB", size, color), io.BytesIO()
    if dot:
        image.putpixel((1, 1), (0, 0, 0))
    image.save(content, "PNG", **options)
    return display(image_png=b64encode(content.getvalue()).decode() + "\n", text_plain="<Figure>")


def lines(found: Comparison) -> list[str]:
    """The changed lines of all texts."""
    kept = [output.what for cell in found.changed_cells for output in cell.outputs]
    return [line for what in kept if isinstance(what, TextChange) for line in what.lines if line[0] in "+-"]


SAME: dict[str, tuple[Outputs, Outputs]] = {
    "an address": ([stream("<A at 0x7f12ab34cd56>")], [stream("<A at 0x7f98ab34cd56>")]),
    "%time": ([stream("CPU times: user 3 ms\nWall time: 3 ms\n")], [stream("CPU times: user 9 ms\nWall time: 8 ms\n")]),
    "a progress bar": (
        [stream("100%|####| 3/3 [00:01<00:00, 2.5it/s]", "stderr")],
        [stream("100%|####| 3/3 [00:09<00:00, 0.5it/s]", "stderr")],
    ),
    "pieces of a stream": ([stream("a\n"), stream("b\n")], [stream("a\nb\n")]),
    "lists of lines": ([{**stream(""), "text": ["a\n", "b"]}], [stream("a\nb")]),
    "colours": ([stream("\x1b[31mred\x1b[0m")], [stream("red")]),
    "interleaving of streams": (
        [stream("a\n"), stream("w", "stderr"), stream("b\n")],
        [stream("a\nb\n"), stream("w", "stderr")],
    ),
    "execution counts": (
        [{**display(text_plain="1"), "execution_count": 3}],
        [{**display(text_plain="1"), "execution_count": 4}],
    ),
    "ids of a styled table": (
        [
            display(
                text_html="<style>#T_12ab3 {}</style><table id='T_12ab3'><tr><td id='T_12ab3_row0'>1</td></tr></table>"
            )
        ],
        [
            display(
                text_html="<style>#T_98cd7 {}</style><table id='T_98cd7'><tr><td id='T_98cd7_row0'>1</td></tr></table>"
            )
        ],
    ),
    "ids in a specification": (
        [display(application_json={"id": "0f3a2b1c9d8e4f0080000123456789ab"})],
        [display(application_json={"id": "1f3a2b1c9d8e4f0080000123456789ab"})],
    ),
    "ids in HTML": (
        [display(text_html='<div id="0f3a2b1c-9d8e-4f00-8000-0123456789ab">x</div>')],
        [display(text_html='<div id="1f3a2b1c-9d8e-4f00-8000-0123456789ab">x</div>')],
    ),
    "how a picture was packed": ([picture("red", compress_level=0)], [picture("red", compress_level=9)]),
    "a widget's id": (
        [display(**{"text_plain": "HBox()", "application_vnd.jupyter.widget-view+json": {"model_id": "a"}})],
        [display(**{"text_plain": "HBox()", "application_vnd.jupyter.widget-view+json": {"model_id": "b"}})],
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_what_is_no_difference(name: str) -> None:
    found = outputs_of(*SAME[name])
    assert found.is_same, report(found)
    assert "Nothing is different but times." in report(found)


DIFFERENT: dict[str, tuple[Outputs, Outputs, list[str]]] = {
    "a line": ([stream("a\nb\nc\n")], [stream("a\nB\nc\n")], ["-b", "+B"]),
    "the other stream": ([stream("a")], [stream("a", "stderr")], ["-a", "+a"]),
    "nothing any more": ([stream("a")], [], ["-a"]),
    "a value": ([display(text_plain="1")], [display(text_plain="2")], ["-1", "+2"]),
    "one in between": ([display(text_plain="1")], [display(text_plain="0"), display(text_plain="1")], ["+0"]),
    "an error": (
        [{"output_type": "error", "ename": "ValueError", "evalue": "a", "traceback": []}],
        [{"output_type": "error", "ename": "KeyError", "evalue": "a", "traceback": []}],
        ["-ValueError: a", "+KeyError: a"],
    ),
    "JSON": (
        [display(application_json={"b": 1, "a": [1]})],
        [display(application_json={"a": [2], "b": 1})],
        ["-  1", "+  2"],
    ),
    "a number in base 16": ([stream(hex(0xABCDEF01))], [stream(hex(0xABCDEF02))], ["-0xabcdef01", "+0xabcdef02"]),
    "a long number in HTML": (
        [display(text_html="<b>12345678</b>")],
        [display(text_html="<b>12345679</b>")],
        ["-12345678", "+12345679"],
    ),
    "words in HTML": (
        [display(text_html="<p>a</p><b>one</b>")],
        [display(text_html="<p>a</p><b>two</b>")],
        ["-one", "+two"],
    ),
    "only how HTML looks": (
        [display(text_html='<b style="color: red">x</b>')],
        [display(text_html='<b style="color: blue">x</b>')],
        ['-<b style="color: red">x</b>', '+<b style="color: blue">x</b>'],
    ),
    "a table became text": ([frame(a=[1])], [display(text_plain="gone")], ["-   a", "-0  1", "+gone"]),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_is_a_difference(name: str) -> None:
    before, after, expected = DIFFERENT[name]
    found = outputs_of(before, after)
    assert not found.is_same
    assert lines(found) == expected


def table(before: dict[str, Any], after: dict[str, Any]) -> TableChange:
    found = outputs_of([before], [after])
    [output] = found.changed_cells[0].outputs
    assert isinstance(output.what, TableChange)
    return output.what


def test_the_cells_of_a_table_that_changed() -> None:
    found = table(frame(price=[1, 2, 3], city=["a", "b", "c"]), frame(price=[1, 5, 3, 4], city=["a", "b", "c", "d"]))
    assert [(row.change, row.label, row.cells) for row in found.rows] == [
        ("changed", ("1",), (("2", "5"), ("b", "b"))),
        ("added", ("3",), ((None, "4"), (None, "d"))),
    ]
    assert found.same_rows == 2
    assert found.heads[-2:] == ("price", "city")


def test_columns_belong_together_by_their_titles() -> None:
    found = table(frame(a=[1], b=[2]), frame(c=[3], b=[2]))
    assert found.heads[1:] == ("c", "b", "a")
    assert found.rows[0].cells == ((None, "3"), ("2", "2"), ("1", None))


def test_rows_without_labels_belong_together_by_what_they_hold() -> None:
    rows = "<table><tr><th>a</th></tr>{}</table>"
    before, after = (
        display(text_html=rows.format("".join(f"<tr><td>{n}</td></tr>" for n in ns))) for ns in ("123", "0123")
    )
    assert [(row.change, row.cells) for row in table(before, after).rows] == [("added", ((None, "0"),))]


def test_labels_that_span_rows_stand_in_each() -> None:
    def grouped(last: int) -> dict[str, Any]:
        index = pd.MultiIndex.from_tuples([("x", 1), ("x", 2), ("y", 1)])
        return display(text_html=pd.DataFrame({"n": [1, 2, last]}, index=index).to_html())

    [row] = table(grouped(3), grouped(4)).rows
    assert (row.label, row.cells) == (("y", "1"), (("3", "4"),))


def test_a_table_that_is_shown_in_part_says_how_large_it_is() -> None:
    def long(n: int) -> dict[str, Any]:
        return display(text_html=pd.DataFrame({"n": [0] * n}).to_html(max_rows=10, show_dimensions=True))

    assert table(long(1000), long(1002)).said == ("1000 rows × 1 columns → 1002 rows × 1 columns",)


@pytest.mark.parametrize(
    "html",
    [
        "<![foo[x]]><table><tr><td>1",
        "<table></table>",
        "<table><tr></tr></table>",
        "<table><tr><td><table><tr><td>1</table></table>",
        "<table><tr><td>1</td></tr></table><table><tr><td>2</td></tr></table>",
        "<table>" + "<tr><td>1" * 2001,
        "<table><tr>" + "<td colspan=200>1" * 2,
        "<table>" + "<tr><td rowspan=99999 colspan=99999>x" * 1500,
        "<p>none",
    ],
)
def test_what_is_no_table_is_compared_as_text(html: str) -> None:
    found = outputs_of([display(text_html=html)], [display(text_html=html + "<p>more")])
    assert not found.is_same
    assert lines(found)[-1].endswith("more")


def test_pictures_are_laid_over_each_other() -> None:
    def change(before: Outputs, after: Outputs) -> PictureChange:
        [output] = outputs_of(before, after).changed_cells[0].outputs
        assert isinstance(output.what, PictureChange)
        return output.what

    pixels = change([picture("white")], [picture("white", dot=True)]).pixels
    assert pixels is not None
    assert (pixels.changed, pixels.total) == (1, 12)
    assert change([picture("red")], [picture("red", (5, 3))]).sizes == "4 × 3 and 5 × 3 pixels"
    assert change([picture("red")], []).after is None
    damaged = display(image_png=b64encode(b"no picture").decode())
    assert change([picture("red")], [damaged]).pixels is None


def test_cells_belong_together_by_id_then_by_code() -> None:
    before = side(1, ("a = 1", []), ("b = 1", []), ("c = 1", []))
    after = side(2, ("a = 1", []), ("b = 2", []), ("c = 1", []))
    [cell] = compare(before, after).changed_cells
    assert (cell.before, cell.after) == (2, 2)
    assert cell.code is not None
    assert cell.code.lines == ("@@ -1,1 +1,1 @@", "-b = 1", "+b = 2")
    assert before.notebook is not None
    inserted = [{"cell_type": "code", "id": "new", "source": "z = 0", "outputs": []}, *before.notebook["cells"]]
    found = compare(before, Side(number=2, view=before.view, notebook={"cells": inserted}))
    assert [(cell.before, cell.after) for cell in found.cells] == [(None, 1), (1, 2), (2, 3), (3, 4)]
    assert [cell.about for cell in found.changed_cells] == ["z = 0"]
    anew = [{**cell, "id": f"other-{i}"} for i, cell in enumerate(before.notebook["cells"])]
    assert compare(before, Side(number=2, view=before.view, notebook={"cells": anew})).is_same


def test_parameters_and_their_defaults() -> None:
    def given(number: int, defaults: dict[str, str], **parameters: Any) -> Side:
        view = RunView(id=str(number), flow="f", state=completed(), parameters=parameters)
        return side(number, ("x", []), view=view, defaults=defaults)

    before = given(1, {"day": "'today'", "n": "1", "old": "0"}, n=1)
    after = given(2, {"day": "'today'", "n": "1", "flag": "False"}, day="friday", n=True)
    found = compare(before, after).parameters
    assert {each.name: (each.before, each.after) for each in found} == {
        "n": ("1", "True"),
        "day": ("'today' (default)", "'friday'"),
        "old": ("0 (default)", None),
        "flag": (None, "False (default)"),
    }
    assert compare(before, given(2, {"day": "'today'", "n": "1", "old": "0"}, day="today")).is_same


def ran(
    number: int, *tasks: tuple[str, State], logs: Sequence[tuple[str, str]] = (), state: State | None = None
) -> Side:
    """A run of these tasks, without a notebook; `logs` are names of tasks and what they logged."""
    ids = {name: f"{number}.{i}" for i, (name, _) in enumerate(tasks)}
    nodes = {
        ids[name]: NodeView(id=ids[name], name=name, state=end, started=0.0, ended=float(number)) for name, end in tasks
    }
    said = tuple(LogLine(time=0.0, level="INFO", message=text, task_run_id=ids.get(task)) for task, text in logs)
    name = f"name-{number}"
    view = RunView(id=str(number), name=name, flow="f", state=state or completed(), nodes=nodes, logs=said)
    return Side(number=number, view=view)


def test_tasks_by_name_with_state_and_duration() -> None:
    error = failed(ValueError("no"))
    found = compare(
        ran(1, ("a", completed()), ("b", completed())), ran(2, ("a", completed()), ("b", error), ("c", completed()))
    )
    assert [(task.name, task.is_changed) for task in found.tasks] == [("a", False), ("b", True), ("c", True)]
    text = report(found)
    assert re.search(r"^  a +Succeeded 1\.0 s +Succeeded 2\.0 s$", text, re.MULTILINE)
    assert re.search(r"^\* b +Succeeded 1\.0 s +Failed 2\.0 s$", text, re.MULTILINE)
    assert re.search(r"^\* c +- +Succeeded 2\.0 s$", text, re.MULTILINE)


def test_a_cell_whose_title_changed_is_found_by_its_number() -> None:
    found = compare(ran(1, ("cell 1 · x", completed())), ran(2, ("cell 1 · y", completed())))
    assert [(task.name, task.is_changed) for task in found.tasks] == [("cell 1 · y", False)]
    moved = compare(
        ran(1, ("cell 1 · x", completed())), ran(2, ("cell 1 · z", completed()), ("cell 2 · x", completed()))
    )
    assert [(task.name, task.before is None) for task in moved.tasks] == [("cell 1 · z", True), ("cell 2 · x", False)]


def test_runs_of_one_task_are_one_row() -> None:
    few, many = ([(f"score-{i}", completed()) for i in range(n)] for n in (3, 9))
    [task] = compare(ran(1, *few), ran(2, *many)).tasks
    assert (task.name, task.before and task.before.note, task.after and task.after.note) == ("score", "3/3", "9/9")


def test_logs_of_runs_without_notebooks() -> None:
    tasks = (("a", completed()), ("b", completed()))
    before = ran(1, *tasks, logs=[("a", "one"), ("b", "two"), ("", "flow run name-1 began")])
    assert compare(before, ran(2, *tasks, logs=[("", "flow run name-2 began"), ("b", "two"), ("a", "one")])).is_same
    changed = compare(before, ran(2, *tasks, logs=[("a", "one"), ("b", "2"), ("", "flow run name-2 began")]))
    assert changed.log is not None
    assert [line for line in changed.log.lines if line[0] in "+-"] == ["-INFO b: two", "+INFO b: 2"]


def test_how_runs_ended_is_said() -> None:
    error = State(type=StateType.FAILED, name="Failed", message="ValueError: x")
    other = State(type=StateType.FAILED, name="Failed", message="ValueError: y")
    assert compare(ran(1), ran(2, state=error)).said == ("Run 1 ended as Succeeded, run 2 as Failed.",)
    assert compare(ran(1, state=error), ran(2, state=other)).said == (
        "Failed with another message: ValueError: x → ValueError: y",
    )
    assert "no executed notebook" in compare(side(1, ("x", [])), ran(2)).said[0]


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\x1b]0;title\x07\u202e $x$"


def hostile() -> Comparison:
    outputs: Outputs = [
        stream(HOSTILE),
        display(text_html=HOSTILE),
        display(text_html=f"<table><tr><th>{HOSTILE.replace('<', '&lt;')}</th><td>1</td></tr></table>"),
        display(image_svg_xml="<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
        display(image_png='"><script>alert(1)</script>'),
        {"output_type": "error", "ename": HOSTILE, "evalue": HOSTILE, "traceback": [HOSTILE]},
    ]
    view = RunView(id="2", name=HOSTILE, flow=HOSTILE, state=completed(), parameters={HOSTILE: HOSTILE})
    return compare(side(1, ("x", [])), side(2, (HOSTILE, outputs), view=view, deployment=HOSTILE))


def test_nothing_that_a_run_put_out_becomes_html() -> None:
    text = page(hostile())
    assert "Content-Security-Policy" in text
    assert "default-src 'none'" in text
    tags = {found.lower() for found in re.findall(r"<([A-Za-z]+)", text)}
    assert not tags & {"script", "svg", "iframe", "object", "link", "a", "form"}
    images = re.findall(r"<img [^>]*>", text)
    assert images
    assert all(
        re.fullmatch(r'<img src="data:image/[a-z+]+;base64,[A-Za-z0-9+/=]+" alt="run 2">', each) for each in images
    )
    assert "mathjax_ignore" in fragment(hostile())


def test_a_terminal_gets_no_control_characters_and_no_wide_lines() -> None:
    text = report(hostile())
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", text)
    long = outputs_of([stream("a" * 300)], [stream("a" * 299 + "b")])
    for line in (*text.splitlines(), *report(long).splitlines()):
        assert text_width(line) <= WIDTH, line
    assert "aab" in report(long)


def test_very_long_texts_are_compared_from_where_they_differ() -> None:
    same, tail = "same\n" * 50_000, "tail\n" * 50_000
    found = outputs_of([stream(same + "old\n" + tail)], [stream(same + "new\n" + tail)])
    assert lines(found) == ["-old", "+new"]
    assert "more lines" not in report(found)
    longer = outputs_of([stream("a\n" * 3000)], [stream("b\n" * 3000)])
    assert "… and 5801 more lines" in report(longer)


def test_as_json_pictures_are_counted_and_not_copied() -> None:
    found = facts(outputs_of([picture("white"), frame(a=[1])], [picture("white", dot=True), frame(a=[2])]))
    assert found["same"] is False
    image, cells = found["cells"][0]["outputs"]
    assert image == {
        "kind": "picture",
        "title": "picture",
        "before": "image/png",
        "after": "image/png",
        "pixels": {"changed": 1, "total": 12},
    }
    assert (cells["kind"], cells["rows"][0]["cells"]) == ("table", (("1", "2"),))


@pytest.mark.parametrize("piece", ["1", "1.", "[1", "at ", "x per loop "])
def test_a_line_of_any_length_is_compared(piece: str) -> None:
    long = piece * (200_000 // len(piece))
    found = outputs_of([stream(long)], [stream(long + "!")])
    assert not found.is_same
