"""Values of any kind as plain JSON."""

from __future__ import annotations

import decimal
import enum
import json
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import BaseModel, Field, RootModel, SecretBytes, SecretStr

from flowbook.core.jsonable import plain_text, to_json_value


class Colour(enum.Enum):
    RED = "red"


class Plain:
    pass


class Region(BaseModel):
    name: str
    token: SecretStr
    hidden: int = Field(repr=False)


class Names(RootModel[list[str]]):
    pass


@dataclass
class Size:
    width: int
    hidden: str = field(repr=False)


class Rude:
    @property
    def shape(self) -> Any:
        raise RuntimeError("not now")

    def __len__(self) -> int:
        raise RuntimeError("not now")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (2**70, 2**70),
        (10**5000, "<int of 16610 bits>"),
        (1.5, 1.5),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        ("text", "text"),
        ("x" * 1000, "x" * 1000),
        ("x" * 1001, "x" * 999 + "…"),
        ("caf\udce9", r"caf\udce9"),
        (date(2024, 1, 15), "2024-01-15"),
        (datetime(2024, 1, 15, 6, tzinfo=UTC), "2024-01-15T06:00:00+00:00"),
        (timedelta(hours=1), 3600.0),
        (Colour.RED, "red"),
        (PurePosixPath("/tmp/raw"), "/tmp/raw"),
        ({"a": (1, 2)}, {"a": [1, 2]}),
        ({1: None}, {"1": None}),
        (OrderedDict(b=1), {"b": 1}),
        (list(range(200)), list(range(100))),
        ([[[[[[1]]]]]], [[[["<list of 1>"]]]]),
        (b"abc", "<bytes of 3>"),
        (np.zeros((3, 2)), "<ndarray 3x2>"),
        (pd.DataFrame({"a": [1, 2], "b": [3, 4]}), "<DataFrame 2x2>"),
        (np.float64(1.5), 1.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.array(7), 7),
        (np.datetime64("2024-01-15"), "2024-01-15"),
        (decimal.Decimal("1.50"), "1.50"),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (time(6, 30), "06:30:00"),
        (Region(name="north", token=SecretStr("x"), hidden=1), {"name": "north", "token": "**********"}),
        (Names(["a", "b"]), ["a", "b"]),
        (Size(3, "x"), {"width": 3}),
        ([SecretBytes(b"x")], ["**********"]),
        (Plain(), "<Plain>"),
        (Rude(), "<Rude>"),
    ],
    ids=lambda value: str(type(value).__name__),
)
def test_values_in_the_record(value: Any, expected: Any) -> None:
    found = to_json_value(value)
    assert found == expected
    assert json.loads(json.dumps(found, allow_nan=False)) == expected


def test_a_list_that_contains_itself_ends() -> None:
    loop: list[Any] = []
    loop.append(loop)
    json.dumps(to_json_value(loop))


anything = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(some.characters()) | some.binary(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(some.characters()), inner) | some.tuples(inner),
    max_leaves=20,
)


@given(anything)
def test_whatever_it_is_it_can_be_written_as_json_in_utf_8(value: Any) -> None:
    written = json.dumps(to_json_value(value), allow_nan=False, ensure_ascii=False).encode()
    assert json.loads(written) == to_json_value(value)


@given(some.text(some.characters()))
def test_plain_text_can_be_stored_and_is_unchanged_if_it_could_before(text: str) -> None:
    plain = plain_text(text)
    plain.encode()
    assert "\0" not in plain
    if "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text):
        assert plain == text
