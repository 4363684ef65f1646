"""Serializers: what is written comes back, and what does not fit is refused."""

from __future__ import annotations

import io
import json
import lzma
import threading
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some

from flowbook import task
from flowbook.cache_policies import INPUTS
from flowbook.errors import UsageError
from flowbook.serializers import (
    ArrowSerializer,
    CompressedSerializer,
    JSONSerializer,
    PandasSerializer,
    PickleSerializer,
    Serializer,
    serializer_for,
)

json_values = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
    max_leaves=10,
)
values = some.recursive(
    json_values | some.binary() | some.datetimes(),
    lambda inner: some.tuples(inner, inner) | some.dictionaries(some.integers() | some.text(), inner),
    max_leaves=10,
)

NAMES = ["pickle", "compressed/pickle", "gzip/pickle", "bz2/pickle"]
JSON_NAMES = ["json", "compressed/json", "gzip/json"]


def by_file(serializer: Serializer, value: Any) -> Any:
    file = io.BytesIO()
    serializer.dump(value, file)
    file.seek(0)
    return serializer.load(file)


@pytest.mark.parametrize("name", NAMES)
@given(values)
def test_pickles_come_back(name: str, value: Any) -> None:
    serializer = serializer_for(name)
    assert repr(serializer.loads(serializer.dumps(value))) == repr(value)
    assert repr(by_file(serializer, value)) == repr(value)


@pytest.mark.parametrize("name", JSON_NAMES)
@given(json_values)
def test_json_comes_back(name: str, value: Any) -> None:
    serializer = serializer_for(name)
    assert repr(serializer.loads(serializer.dumps(value))) == repr(value)
    assert repr(by_file(serializer, value)) == repr(value)


def test_functions_of_notebooks_come_back() -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec("def twice(x): return 2 * x", names)
    serializer = PickleSerializer()
    assert serializer.loads(serializer.dumps(names["twice"]))(4) == 8


def test_json_is_json() -> None:
    assert json.loads(JSONSerializer().dumps({"é": [1, 2.5, None, True]})) == {"é": [1, 2.5, None, True]}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ((1, 2), "the result is a tuple, which JSON does not give back as it is"),
        ({"a": [1, {2}]}, r"the result\['a'\]\[1\] is a set"),
        ({1: 2}, "the result is a dict with the key 1, and keys in JSON are text"),
        (np.float64(1), "the result is a float64"),
        (b"x", "the result is a bytes"),
    ],
)
def test_what_json_would_change_does_not_fit(value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        JSONSerializer().dumps(value)


def test_a_value_that_contains_itself_does_not_fit() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="contains itself"):
        JSONSerializer().dumps(loop)


def test_what_cannot_be_pickled_does_not_fit() -> None:
    with pytest.raises(TypeError, match="cannot pickle"):
        PickleSerializer().dumps(threading.Lock())


def test_compressed_files_are_what_their_names_say() -> None:
    data = CompressedSerializer("json").dumps(["x"] * 1000)
    assert len(data) < 200
    assert json.loads(lzma.decompress(data)) == ["x"] * 1000
    assert CompressedSerializer("json").suffix == ".json.xz"
    assert CompressedSerializer(compressionlib="gzip").name == "gzip/pickle"
    assert CompressedSerializer(JSONSerializer(), "bz2").name == "bz2/json"
    assert repr(CompressedSerializer()) == "CompressedSerializer(PickleSerializer(), compressionlib='lzma')"


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ("jsn", r"There is no result serializer 'jsn'\. Did you mean 'json'\?"),
        ("zip/json", "There is no result serializer 'zip/json'"),
        ("compressed/jsn", "There is no result serializer 'jsn'"),
        (7, "result_serializer is 7; give a name such as 'json'"),
        (json, "give a name such as 'json'"),
    ],
)
def test_what_is_no_serializer_is_refused(chosen: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        task(result_serializer=chosen)(len)


def test_a_compression_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match=r"compressionlib is 'zip'; it can be 'lzma', 'gzip', 'bz2'"):
        CompressedSerializer(compressionlib="zip")


@pytest.mark.parametrize("name", [*NAMES, *JSON_NAMES])
def test_a_serializer_is_found_by_the_name_that_it_records(name: str) -> None:
    serializer = serializer_for(name)
    assert serializer_for(serializer.name).name == serializer.name
    assert serializer_for(serializer) is serializer


class Reversed(Serializer):
    def dumps(self, value: Any) -> bytes:
        return str(value)[::-1].encode()

    def loads(self, data: bytes) -> Any:
        return data.decode()[::-1]


class ByFile(Serializer):
    def dump(self, value: Any, file: Any) -> None:
        file.write(str(value).encode())

    def load(self, file: Any) -> Any:
        return file.read().decode()


class Empty(Serializer):
    pass


@pytest.mark.parametrize("serializer", [Reversed, ByFile, Reversed()])
def test_a_serializer_of_one_s_own(serializer: Any) -> None:
    calls: list[str] = []

    @task(cache_policy=INPUTS, result_serializer=serializer)
    def make(x: str) -> str:
        calls.append(x)
        return x

    assert [make("ab"), make("ab"), make("c" * 10_000), make("c" * 10_000)] == ["ab"] * 2 + ["c" * 10_000] * 2
    assert len(calls) == 2
    kind = type(serializer_for(serializer))
    assert serializer_for(serializer).name == f"{kind.__module__}.{kind.__name__}"


def test_a_serializer_needs_methods() -> None:
    with pytest.raises(NotImplementedError, match=r"Empty has neither dumps\(\) nor dump\(\)"):
        Empty().dumps(1)
    with pytest.raises(NotImplementedError, match=r"Empty has neither loads\(\) nor load\(\)"):
        Empty().loads(b"")


@pytest.fixture
def no_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


@pytest.mark.parametrize("name", ["pandas", "arrow", "compressed/pandas"])
def test_tables_need_pyarrow(no_pyarrow: None, name: str) -> None:
    with pytest.raises(UsageError, match=r"needs pyarrow\. Install it: pip install pyarrow"):
        task(result_serializer=name)(len)


def frames() -> dict[str, pd.DataFrame]:
    return {
        "plain": pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": [1.5, None]}),
        "index": pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="i")),
        "levels": pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_tuples([("x", 1)], names=["p", "q"])),
        "times": pd.DataFrame({"a": pd.to_datetime(["2026-01-01"], utc=True), "b": pd.Categorical(["x"])}),
        "empty": pd.DataFrame(),
    }


@pytest.mark.parametrize("case", frames())
@pytest.mark.parametrize("name", ["pandas", "gzip/pandas"])
def test_frames_come_back(case: str, name: str) -> None:
    pytest.importorskip("pyarrow")
    frame = frames()[case]
    serializer = serializer_for(name)
    pd.testing.assert_frame_equal(serializer.loads(serializer.dumps(frame)), frame)

    @task(cache_policy=INPUTS, result_serializer=serializer)
    def make(x: int) -> Any:
        return pd.concat([frame] * 500)

    pd.testing.assert_frame_equal(make(1), make(1))


def test_tables_come_back() -> None:
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": list(range(5000)), "b": ["x"] * 5000})
    serializer = ArrowSerializer()
    assert serializer.loads(serializer.dumps(table)) == table

    @task(cache_policy=INPUTS, result_serializer="arrow")
    def make(x: int) -> Any:
        return table

    assert make(1) == make(1) == table


def test_what_is_no_table_does_not_fit() -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(TypeError, match="it is a list, and the serializer 'pandas' is for data frames"):
        PandasSerializer().dumps([1])
    with pytest.raises(TypeError, match="it is a DataFrame, and the serializer 'arrow' is for tables of pyarrow"):
        ArrowSerializer().dumps(pd.DataFrame())
