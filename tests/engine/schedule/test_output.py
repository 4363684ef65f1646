"""What a run's process prints is there when it is needed, and missing without harm when a cell has removed it."""

from __future__ import annotations

from pathlib import Path

from flowbook.schedule.output import Output


def test_the_last_line_tells_why_a_process_ended(home: Path) -> None:
    path = home / "output.log"
    path.parent.mkdir()
    output = Output("run", path)
    assert output.last_line() == ""
    path.write_text("Traceback:\n" + "x" * 20_000 + "\nStoreError: the disk is full.\n\n")
    assert output.last_line() == "StoreError: the disk is full."
    path.unlink()
    output.hand_on()
    output.finish()
    assert output.last_line() == ""
