"""Objects become like copies of them that were changed in another process."""

from __future__ import annotations

import copy
from collections import OrderedDict, deque
from typing import Any

import numpy as np
import pytest

from flowbook_magics.taken_over import Takeover


class Node:
    def __init__(self, name: str) -> None:
        self.name = name
        self.links: list[Node] = []


class Slotted:
    __slots__ = ("n",)

    def __init__(self) -> None:
        self.n = 1


def grown(value: Any) -> Any:
    value.append(9)
    return value


CHANGES: dict[str, tuple[Any, Any]] = {
    "a list": ([1], grown),
    "a deque": (deque([1, 2], maxlen=2), grown),
    "a set": ({1}, lambda value: value.add(2)),
    "a bytearray": (bytearray(b"a"), lambda value: value.extend(b"b")),
    "a dict": ({"a": 1, "b": 2}, lambda value: value.pop("a")),
    "an array": (np.zeros(3), lambda value: value.fill(2)),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_an_object_is_changed_in_place(kind: str) -> None:
    old, change = CHANGES[kind]
    new = copy.deepcopy(old)
    change(new)
    assert Takeover([(old, new)]).of(new) is old
    assert repr(old) == repr(new)


def test_what_was_passed_by_a_name_stays_the_same_object_wherever_it_stands() -> None:
    inner = [1]
    outer = {"a": inner, "t": (inner, [2]), "n": 0}
    new_outer = copy.deepcopy(outer)
    new_inner = new_outer["a"]
    new_inner.append(3)
    new_outer["again"], new_outer["n"] = [new_inner], 1
    takeover = Takeover([(outer, new_outer), (inner, new_inner)])
    assert takeover.of(new_outer) is outer
    assert outer == {"a": [1, 3], "t": ([1, 3], [2]), "again": [[1, 3]], "n": 1}
    assert outer["a"] is inner
    assert outer["t"][0] is inner
    assert outer["again"][0] is inner
    made = {"holds": new_inner}
    assert takeover.of(made)["holds"] is inner


def test_what_an_object_holds_is_never_taken_for_another_one() -> None:
    first, second = {"id": 1}, {"id": 2}
    queue = [first, second]
    new = copy.deepcopy(queue)
    new.pop(0)
    Takeover([(queue, new)])
    assert (queue, first, second) == ([{"id": 2}], {"id": 1}, {"id": 2})


def test_objects_that_hold_each_other() -> None:
    one, two = Node("one"), Node("two")
    one.links, two.links = [two], [one]
    new = copy.deepcopy(one)
    new.links[0].name = "TWO"
    new.links.append(Node("three"))
    assert Takeover([(one, new)]).of(new) is one
    assert [each.name for each in one.links] == ["TWO", "three"]
    assert one.links[0].links[0] is one


REPLACED: dict[str, tuple[Any, Any]] = {
    "of another kind": ([1], (1,)),
    "of another shape": (np.zeros(2), np.zeros(3)),
    "with slots": (Slotted(), Slotted()),
    "of a class in C": (OrderedDict(a=1), OrderedDict(b=1)),
    "a number": (1, 2),
    "a class": (Node, Slotted),
}


@pytest.mark.parametrize("kind", REPLACED)
def test_what_cannot_be_changed_is_replaced(kind: str) -> None:
    old, new = REPLACED[kind]
    assert Takeover([(old, new)]).of(new) is new


def test_an_array_that_cannot_be_written_to_is_replaced() -> None:
    fixed, new = np.zeros(2), np.ones(2)
    fixed.flags.writeable = False
    assert Takeover([(fixed, new)]).of(new) is new
