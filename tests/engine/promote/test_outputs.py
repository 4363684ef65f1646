"""Outputs of a cell are capped, the cap is said once, and an error is kept whatever came before it."""

from __future__ import annotations

from typing import Any

import nbformat

from flowbook.promote.outputs import MOST_OUTPUTS, MOST_TEXT, add_output, is_left_out

NOTE = "\n… flowbook left out the rest of this output.\n"


new_output: Any = nbformat.v4.new_output  # which has no types


def stream(name: str, text: str) -> Any:
    return new_output("stream", name=name, text=text)


def test_streams_that_alternate_without_end_are_cut_and_said() -> None:
    outputs: list[Any] = []
    for _ in range(MOST_OUTPUTS):
        add_output(outputs, stream("stdout", "o"))
        add_output(outputs, stream("stderr", "e"))
    assert len(outputs) == MOST_OUTPUTS + 1
    assert [each["text"] for each in outputs[-2:]] == ["e", NOTE]
    assert is_left_out(outputs, "stream", "stdout")
    assert is_left_out(outputs, "stream", "stderr")


def test_an_error_after_more_displays_than_are_kept_is_shown() -> None:
    outputs: list[Any] = []
    for number in range(MOST_OUTPUTS + 5):
        add_output(outputs, new_output("display_data", {"text/plain": str(number)}))
    add_output(outputs, new_output("error", ename="ValueError", evalue="no", traceback=[]))
    assert len(outputs) == MOST_OUTPUTS + 2
    assert (outputs[-2]["text"], outputs[-1]["output_type"]) == (NOTE, "error")


def test_one_long_stream_is_cut_and_what_follows_is_kept() -> None:
    outputs: list[Any] = []
    add_output(outputs, stream("stdout", "x" * (MOST_TEXT + 1)))
    add_output(outputs, stream("stdout", "more"))
    add_output(outputs, new_output("display_data", {"text/plain": "a table"}))
    assert len(outputs[0]["text"]) == MOST_TEXT + len(NOTE)
    assert outputs[1]["data"] == {"text/plain": "a table"}
