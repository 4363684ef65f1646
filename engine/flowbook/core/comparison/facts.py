"""A comparison as plain JSON, for programs. Of pictures it says how many pixels differ, without their content."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flowbook.core.comparison.records import CellPair, Comparison, OutputChange, PictureChange, Side, TableChange
from flowbook.core.comparison.words import verdict


def facts(found: Comparison) -> dict[str, Any]:
    """What is different. Durations are in seconds; of cells only those that are different are there."""
    return {
        "same": found.is_same,
        "verdict": verdict(found),
        "before": _side(found.before),
        "after": _side(found.after),
        "differences": list(found.said),
        "parameters": [asdict(each) for each in found.parameters],
        "tasks": [asdict(each) for each in found.tasks],
        "cells": [_cell(cell) for cell in found.changed_cells],
        "same_cells": len(found.cells) - len(found.changed_cells),
        "program": None if found.program is None else asdict(found.program),
        "log": None if found.log is None else asdict(found.log),
    }


def _side(side: Side) -> dict[str, Any]:
    view = side.view
    return {
        "number": side.number,
        "id": view.id,
        "name": view.name,
        "flow": view.flow,
        "deployment": side.deployment,
        "version": side.version,
        "state": view.look,
        "duration": view.duration(),
    }


def _cell(cell: CellPair) -> dict[str, Any]:
    return {
        "before": cell.before,
        "after": cell.after,
        "about": cell.about,
        "code": None if cell.code is None else asdict(cell.code),
        "outputs": [_output(output) for output in cell.outputs],
    }


def _output(output: OutputChange) -> dict[str, Any]:
    what = output.what
    if isinstance(what, PictureChange):
        sides = {"before": what.before, "after": what.after}
        types = {name: None if picture is None else picture.mime for name, picture in sides.items()}
        counted = what.pixels and {"changed": what.pixels.changed, "total": what.pixels.total}
        return {"kind": "picture", "title": output.title, **types, "pixels": counted}
    kind = "table" if isinstance(what, TableChange) else "text"
    return {"kind": kind, "title": output.title, **asdict(what)}
