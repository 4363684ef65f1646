"""Objects become like copies of them that were changed in another process."""

from __future__ import annotations

import copy
import io
import random
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from flowbook.run.pickles import pack, unpack
from flowbook_magics.code_kinds import Changes
from flowbook_magics.taken_over import Numbered, Takeover, replace_everywhere


class Node:
    def __init__(self, name: str) -> None:
        self.name = name
        self.links: list[Node] = []


class Slotted:
    __slots__ = ("first", "second")

    def __init__(self) -> None:
        self.first, self.second = 1, [1]


@dataclass(frozen=True)
class Frozen:
    items: list[int] = field(default_factory=list)


class Bag(list[int]):
    label = ""


class Pair(NamedTuple):
    one: Any
    other: Any


def grown(value: Any) -> Any:
    value.append(9)
    return value


def labelled(bag: Bag) -> None:
    bag.label = "new"
    bag.append(2)


def drawn(generator: Any) -> None:
    generator.random()


def written(stream: io.StringIO) -> None:
    stream.write("b")


def without_first(value: Slotted) -> None:
    del value.first
    value.second = [2]


Change = Callable[[Any], Any]
CHANGES: dict[str, tuple[Any, Change, Change]] = {
    "a list": ([1], grown, repr),
    "a deque": (deque([1, 2], maxlen=2), grown, repr),
    "a set": ({1}, lambda value: value.add(2), repr),
    "a bytearray": (bytearray(b"a"), lambda value: value.extend(b"b"), repr),
    "an array of bytes": (array("i", [1]), grown, repr),
    "a dict": ({"a": 1, "b": 2}, lambda value: value.pop("a"), repr),
    "a dict in another order": ({"a": 1, "b": 2}, lambda value: value.update(a=value.pop("a")), repr),
    "a counter": (Counter("ab"), lambda value: value.update("bz"), repr),
    "an ordered dict": (OrderedDict(a=1, b=2), lambda value: value.move_to_end("a"), repr),
    "a dict with defaults": (defaultdict(list), lambda value: value["k"].append(1), repr),
    "a subclass of list": (Bag([1]), labelled, lambda bag: (list(bag), bag.label)),
    "an object": (Node("a"), lambda node: node.__dict__.update(name="b", more=1), vars),
    "an object without an attribute": (Node("a"), lambda node: node.__dict__.pop("name"), vars),
    "an object with slots": (Slotted(), without_first, lambda value: (hasattr(value, "first"), value.second)),
    "a frozen object": (Frozen(), lambda value: object.__setattr__(value, "items", [5]), repr),
    "an array": (np.zeros(3), lambda value: value.fill(2), repr),
    "an array of objects": (np.array([[1], None], dtype=object), lambda value: value[0].append(2), repr),
    "a table": (pd.DataFrame({"a": [1]}), lambda table: table.insert(1, "b", [2]), repr),
    "a random generator": (random.Random(1), drawn, lambda generator: generator.random()),
    "one of NumPy's": (np.random.default_rng(1), drawn, lambda generator: generator.random()),
    "an old one of NumPy's": (np.random.RandomState(1), drawn, lambda generator: generator.random_sample()),
    "a stream": (io.StringIO("a"), written, lambda stream: (stream.getvalue(), stream.tell())),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_an_object_is_changed_in_place(kind: str) -> None:
    old, change, look = CHANGES[kind]
    new = copy.deepcopy(old)
    change(new)
    assert Takeover([(old, new)]).of(new) is old
    assert look(old) == look(copy.deepcopy(new))


def test_objects_that_are_known_stay_the_same_wherever_they_stand() -> None:
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


def hold(value: Any) -> dict[str, Any]:
    def closure() -> Any:
        return value

    return {
        "a list": [value],
        "a dict": {"key": value},
        "a key": {value: 1},
        "a set": {value},
        "an object": Frozen(value),
        "a tuple": (1, (value,)),
        "a named tuple": Pair(1, value),
        "a method": value.__init__,
        "a partial function": partial(print, value, end=value),
        "a closure": closure,
        "an array": np.array([value, None], dtype=object),
        "a table": pd.DataFrame({"a": [value]}),
        "a deque": deque([value]),
        "an iterator": zip([value], [value], strict=True),
    }


def held_by(holder: Any) -> Any:
    match holder:
        case Frozen():
            return holder.items
        case tuple():
            return held_by(holder[1]) if len(holder) > 1 else holder[0]
        case partial():
            return holder.args[0] if holder.args[0] is holder.keywords["end"] else None
        case pd.DataFrame():
            return holder["a"].iloc[0]
        case dict():
            key, value = next(iter(holder.items()))
            return value if key == "key" else key
        case zip():
            return next(holder)[1]
        case list() | set() | deque() | np.ndarray():
            return next(iter(holder))
        case _:
            return holder.__self__ if hasattr(holder, "__self__") else holder() if callable(holder) else holder


@pytest.mark.parametrize("kind", hold(Node("")))
def test_what_is_new_holds_the_old_objects(kind: str) -> None:
    old, new = Node("old"), Node("new")
    made = hold(new)[kind]
    takeover = Takeover([(old, new)], [made])
    assert held_by(takeover.of(made)) is old
    assert old.name == "new"


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


def test_a_class_is_changed_by_what_was_bound_and_unbound() -> None:
    class Registry:
        count, gone = 0, 1

    known, new = Node("old"), Node("new")
    Takeover([(known, new), (Registry, Changes({"count": 2, "last": new}, ("gone",)))])
    assert (Registry.count, Registry.last) == (2, known)  # type: ignore[attr-defined]
    assert not hasattr(Registry, "gone")


REPLACED: dict[str, tuple[Any, Any]] = {
    "of another kind": ([1], (1,)),
    "of another shape": (np.zeros(2), np.zeros(3)),
    "a number": (1, 2),
    "a class": (Node, Slotted),
    "an iterator": (iter([1, 2]), iter([1, 2])),
}


@pytest.mark.parametrize("kind", REPLACED)
def test_what_cannot_be_changed_is_replaced(kind: str) -> None:
    old, new = REPLACED[kind]
    takeover = Takeover([(old, new)])
    assert takeover.of(new) is new
    assert takeover.replaced == {id(old): (old, new)}


def test_an_array_that_cannot_be_written_to_is_replaced() -> None:
    fixed, new = np.zeros(2), np.ones(2)
    fixed.flags.writeable = False
    assert Takeover([(fixed, new)]).of(new) is new


def test_what_is_replaced_is_so_wherever_it_stands() -> None:
    old, new = iter([1]), iter([2])
    made, notebook = {"it": old, "holds": {"deep": [(old,)]}}, {"also": old, "other": 1}
    replace_everywhere({id(old): (old, new)}, [made], notebook)
    assert made["it"] is new
    assert made["holds"]["deep"][0][0] is new
    assert notebook == {"also": new, "other": 1}


def numbered_values() -> dict[str, Any]:
    shared = [1]
    counter = make_counter()
    return {
        "b": {"x": shared, "paths": [Path("/tmp/x")], "slots": Slotted()},
        "a": [shared, (shared, {2}), Counter("a"), Pair(shared, "y")],
        "bump": counter[0],
        "kept": [counter[1], Frozen([4]), np.array([[1]], dtype=object)],
    }


def make_counter() -> tuple[Callable[[], int], Callable[[], int]]:
    n = 0

    def bump() -> int:
        nonlocal n
        n += 1
        return n

    return bump, lambda: n


def test_copies_have_the_numbers_of_what_they_are_copies_of() -> None:
    values = numbered_values()
    here, there = Numbered(values), Numbered(unpack(pack(values)))
    numbers = there.known_by(here.parts)
    assert here.parts == there.parts
    assert len(numbers) == sum(map(len, here.objects.values()))
    for name, objects in there.objects.items():
        for index, each in enumerate(objects):
            assert numbers[id(each)] == (name, index)
            assert type(here[name, index]) is type(each)
    assert not any(each is values["a"][0] for each in here.objects["b"])


def test_from_where_numbers_differ_only_what_was_passed_by_name_is_known() -> None:
    here = Numbered({"a": [[1]], "b": [[1], [2]], "c": [[3]]})
    other = Numbered({"a": [[1]], "b": [[1]], "c": [[3]]})
    known = other.known_by(here.parts)
    assert set(known.values()) == {("a", 0), ("a", 1), ("b", 0), ("c", 0)}
