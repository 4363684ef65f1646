"""Every change of what holds other things is found, and no mere look at it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flowbook_magics.glimpses import Glimpses


class Box:
    def __init__(self) -> None:
        self.items = [1]
        self.n = 0


class Own(dict[str, int]):
    pass


def swapped(rows: list[Any]) -> None:
    rows[1000], rows[1001] = rows[1001], rows[1000]


Change = Callable[[Any], object]
CHANGES: dict[str, tuple[Any, Change]] = {
    "deep in a list": ([{"n": n} for n in range(2000)], lambda rows: rows[700].update(n=-1)),
    "the order of a list": ([[n] for n in range(2000)], swapped),
    "a key of a dict": ({"a": 1}, lambda value: value.update(b=2)),
    "a value to one that is equal": ({"a": 1}, lambda value: value.update(a=True)),
    "a set": ({1, 2}, lambda value: value.add(3)),
    "a deque": (deque([1]), lambda value: value.append(2)),
    "an attribute": ([Box()], lambda boxes: setattr(boxes[0], "n", 1)),
    "what an attribute holds": (Box(), lambda box: box.items.append(2)),
    "a subclass of dict": (Own(a=1), lambda value: value.update(a=2)),
    "the middle of an array": (np.zeros(100_000), lambda array: array.__setitem__(51_003, 1)),
    "the middle of a view": (np.zeros((1000, 100))[:, 3], lambda array: array.__setitem__(503, 1)),
    "an array of objects": (np.array([1, None], dtype=object), lambda array: array.__setitem__(1, 2)),
    "the middle of a table": (
        pd.DataFrame({"a": np.zeros(100_000)}),
        lambda table: table.__setitem__("a", table["a"].where(table.index != 51_003, 1)),
    ),
    "a column": (pd.DataFrame({"a": [1]}), lambda table: table.insert(1, "b", [2])),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_found(what: str) -> None:
    value, change = CHANGES[what]
    glimpses = Glimpses([value])
    assert not glimpses.changed()
    change(value)
    assert glimpses.changed()


def test_a_look_is_no_change() -> None:
    table = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    table["c"] = [1.0, 2.0]
    values = [table, Box(), Counter("ab"), np.arange(5)]
    glimpses = Glimpses(values)
    assert table.sum(numeric_only=True)["a"] == 3
    assert table.describe().shape[0] > 0
    assert sorted(values[2]) == ["a", "b"]
    assert values[3].sum() == 10
    assert not glimpses.changed()
