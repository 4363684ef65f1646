"""Fingerprints: equal in every process if, and only if, the content is."""

from __future__ import annotations

import enum
import os
import pickle
import subprocess
import sys
import threading
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from tests.examples import examples

from flowbook.core.fingerprints import Incomparable, fingerprint


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Number(enum.IntEnum):
    ONE = 1


@dataclass
class Point:
    x: int
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Slotted:
    x: int


class Plain:
    def __init__(self, **kwargs: Any) -> None:
        self.__dict__.update(kwargs)


class Text(str):
    pass


class Group(set[Any]):
    pass


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


NAIVE = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)
#: No two of them are the same.
DIFFERENT: list[Any] = [
    1, True, 1.0, -1, 0, False, 0.0, -0.0, float("inf"), 1j, None, ..., "1", b"1", bytearray(b"1"), "", b"", Text("1"),
    Number.ONE, Colour.RED, Colour.BLUE, 2**80,
    [], (), set(), frozenset(), {}, [1], (1,), {1}, frozenset({1}), [[1]], [1, 2], [2, 1], [1, [2]], [[1], 2],
    ["ab"], ["a", "b"], {"a": 1}, {"a": True}, {1: "a"}, {"a": {"b": 1}}, {"a": [], "b": 1}, {(1, 2): 3, "x": 1},
    OrderedDict(a=1, b=2), OrderedDict(b=2, a=1), Counter("aab"), defaultdict(list, a=[1]), deque([1, 2]), Group({1}),
    date(2026, 1, 1), time(1), time(1, tzinfo=UTC), timedelta(1), NAIVE, NAIVE.replace(fold=1),
    datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1))),
    datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Zurich")),
    datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Paris")),
    Decimal("1.0"), Decimal("1.00"), UUID(int=1), Path("a"), Path("a/b"), PurePosixPath("a"), range(3), range(4),
    slice(1), slice(1, 2), Point(1), Point(2), Point(1, ["a"]), Slotted(1), Plain(x=1), Plain(y=1), Plain(),
    len, print, int, Point, partial(int, base=2), partial(int, base=3), [1].append, sys,
    np.float64(1), np.int64(1), np.arange(3), np.arange(3.0), np.arange(3, dtype="i4"), np.arange(3)[::-1],
    np.arange(6).reshape(2, 3), np.arange(6).reshape(3, 2), np.array(1), np.array(["a", None], dtype=object),
    np.array(["2026-01-01"], dtype="M8[D]"), np.array(["2026-01-01"], dtype="M8[s]"), np.zeros(0),
    np.array([(1, 2)], dtype=[("a", "i8"), ("b", "i8")]), np.array([(1, 2)], dtype=[("a", "i8"), ("c", "i8")]),
    frame(), frame(a=[1, 2]), frame(a=[1.0, 2.0]), frame(b=[1, 2]), frame(a=[2, 1]), frame(a=[1], b=[2]),
    frame(b=[2], a=[1]), pd.DataFrame({"a": [1, 2]}, index=[1, 2]), pd.DataFrame({"a": [1, 2]}, index=["x", "y"]),
    pd.DataFrame({"a": [1, 2]}, index=pd.Index([0, 1], name="n")), frame(a=["x", "y"]),
    pd.DataFrame({"a": ["x", "y"]}, dtype=object), pd.DataFrame({"a": ["x", "y"]}, dtype="category"),
    pd.Series([1, 2]), pd.Series([1, 2], name="a"), pd.Series([1, None], dtype="Int64"),
    pd.Series([1, 2], dtype="Int64"),
    pd.Series(pd.to_datetime(["2026-01-01"])), pd.Series(pd.to_datetime(["2026-01-01"], utc=True)),
    pd.Series(pd.to_datetime(["2026-01-01"])).dt.tz_localize("Europe/Zurich"),
    pd.Series(pd.Categorical(["a"], ["a", "b"])), pd.Series(pd.Categorical(["a"], ["a"])),
    pd.Series(pd.Categorical(["a"], ["a"], ordered=True)), pd.Index([1, 2]), pd.RangeIndex(3),
    pd.date_range("2026", periods=2, freq="D"), pd.MultiIndex.from_tuples([(1, "a")]),
    pd.MultiIndex.from_tuples([(1, "a")], names=["x", "y"]), pd.Timestamp("2026-01-01"), pd.NA, pd.NaT,
    pd.interval_range(0, 2), pd.period_range("2026", periods=2, freq="M"),
]  # fmt: skip


def test_different_values_have_different_fingerprints() -> None:
    by_fingerprint: dict[bytes, Any] = {}
    for value in DIFFERENT:
        found = by_fingerprint.setdefault(fingerprint(value), value)
        assert found is value, f"{found!r} and {value!r}"


def consolidated_and_not() -> tuple[pd.DataFrame, pd.DataFrame]:
    grown = frame(a=[1, 2])
    grown["b"] = [3, 4]
    return frame(a=[1, 2], b=[3, 4]), grown


SAME: dict[str, tuple[Any, Any]] = {
    "order of a dict": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "order of a dict with keys of many types": ({1: 1, "b": 2}, {"b": 2, 1: 1}),
    "order of a set": ({"a", "b", (1, 2)}, {(1, 2), "b", "a"}),
    "an interned text": (["a" * 3, sys.intern("bcd")], ["aaa", "".join("bcd")]),
    "a shared part": ([[1]] * 2, [[1], [1]]),
    "memory layout": (np.arange(6).reshape(2, 3).T.copy(), np.arange(6).reshape(2, 3).T),
    "strides": (np.arange(10)[::2], np.array([0, 2, 4, 6, 8])),
    "blocks of a frame": consolidated_and_not(),
    "levels of an index": (
        pd.MultiIndex.from_tuples([("a", 1)]),
        pd.MultiIndex.from_tuples([("b", 2), ("a", 1)])[1:],
    ),
    "what is under a missing value": (
        pd.array([1, 2], dtype="Int64")[[0]].take([0, -1], allow_fill=True),
        pd.array([1, None], dtype="Int64"),
    ),
    "objects": (Plain(a=1, b=[2]), Plain(b=[2], a=1)),
    "a copy": (Point(1, ["a"]), Point(1, ["a"])),
    "a set of sets": ({frozenset("ab"), frozenset("cd")}, {frozenset("dc"), frozenset("ba")}),
}


@pytest.mark.parametrize("case", SAME)
def test_what_does_not_count(case: str) -> None:
    one, other = SAME[case]
    assert fingerprint(one) == fingerprint(other)


def looping() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


class Secretive:
    def __reduce_ex__(self, _protocol: Any) -> Any:
        raise KeyError("no")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (threading.Lock(), r"a _thread\.lock cannot be compared \(cannot pickle '_thread\.lock' object\)"),
        ([{"x": (i for i in "ab")}], "generator"),
        (looping(), "contains itself"),
        (Secretive(), r"Secretive cannot be compared \('no'\)"),
    ],
)
def test_what_cannot_be_compared(value: Any, why: str) -> None:
    with pytest.raises(Incomparable, match=why):
        fingerprint(value)


plain = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text() | some.binary()
    | some.dates() | some.datetimes(timezones=some.none() | some.just(UTC)) | some.decimals(allow_nan=False),
    lambda inner: (
        some.lists(inner, max_size=4)
        | some.lists(inner, max_size=3).map(tuple)
        | some.dictionaries(some.text() | some.integers() | some.booleans(), inner, max_size=4)
        | some.sets(some.integers() | some.text(), max_size=4)
        | some.builds(Plain, x=inner)
    ),
    max_leaves=12,
)  # fmt: skip


def spelled(value: Any) -> str:
    """The content of a value as text, by another way than fingerprints go."""
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{spelled(k)}:{spelled(v)}" for k, v in value.items())) + "}"
    if isinstance(value, set):
        return "set(" + ",".join(sorted(map(spelled, value))) + ")"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}[" + ",".join(map(spelled, value)) + "]"
    if isinstance(value, Plain):
        return f"Plain{spelled(value.__dict__)}"
    return f"{type(value).__name__}({value!r})"


@settings(max_examples=examples(300), deadline=None)
@given(plain, plain)
def test_fingerprints_are_equal_if_and_only_if_the_content_is(one: Any, other: Any) -> None:
    assert (fingerprint(one) == fingerprint(other)) == (spelled(one) == spelled(other))


@settings(max_examples=examples(200), deadline=None)
@given(plain)
def test_what_was_pickled_and_read_again_is_the_same(value: Any) -> None:
    assert fingerprint(pickle.loads(pickle.dumps(value))) == fingerprint(value)


@settings(max_examples=examples(200), deadline=None)
@given(some.lists(plain, min_size=1, max_size=4), some.data())
def test_one_part_that_differs_makes_a_difference(values: list[Any], data: some.DataObject) -> None:
    index = data.draw(some.integers(0, len(values) - 1))
    changed = [*values[:index], data.draw(plain), *values[index + 1 :]]
    assert (fingerprint(values) == fingerprint(changed)) == (spelled(values[index]) == spelled(changed[index]))


ELSEWHERE = """
import pickle, sys
from flowbook.core.fingerprints import fingerprint
for value in pickle.load(sys.stdin.buffer):
    print(fingerprint(value).hex())
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["1", "4711"])
def test_fingerprints_are_the_same_in_every_process(seed: str) -> None:
    values = [
        {"names": {"b", "a", "c"}, "pairs": {("x", 1), ("y", 2)}, 1: frozenset({"u", "v", 3.5, None})},
        Counter("hello world"),
        frame(a=["x", None], b=[1.5, 2.5]),
        np.arange(5),
        [Path("x"), datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Zurich")), Decimal("1.5"), "text" * 50],
        partial(int, base=7),
        lru_cache,
    ]
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        input=pickle.dumps(values),
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": seed},
    )
    assert done.stdout.decode().split() == [fingerprint(value).hex() for value in values]
