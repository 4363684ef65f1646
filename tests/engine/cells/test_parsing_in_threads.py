"""Cells are parsed in the threads of tasks, beside each other."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from flowbook.cells.source import parse_cell


@pytest.fixture
def impatient() -> Iterator[None]:
    """Threads take turns far more often than they do, also where the collector calls code of Python."""

    def turn(_phase: str, _info: object) -> None:
        time.sleep(0)

    before, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(50)
    gc.callbacks.append(turn)
    try:
        yield
    finally:
        gc.callbacks.remove(turn)
        gc.set_threshold(*threshold)
        sys.setswitchinterval(before)


@pytest.mark.usefixtures("impatient")
def test_cells_are_parsed_in_several_threads() -> None:
    deep = "x = " + "+".join(f"f({n}, [{n}])" for n in range(100))
    with ThreadPoolExecutor(8) as pool:
        trees = list(pool.map(lambda _: parse_cell(deep)[0], range(50)))
    assert len(trees) == 50
    assert all(tree.body for tree in trees)
