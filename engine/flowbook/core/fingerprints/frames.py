"""What arrays, series and data frames consist of, read in place. Neither numpy nor pandas is imported."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from flowbook.core.fingerprints.reader import of_class

_HOMES = frozenset({"numpy", "pandas"})


def parts_of_array(value: Any) -> Iterator[Any] | None:
    """The content of an array, an index, a series or a frame as plain values and views of memory; None for others."""
    homes = {str(of_class(cls, "__module__")).partition(".")[0] for cls in of_class(type(value), "__mro__")}
    if homes.isdisjoint(_HOMES):
        return None
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    if numpy is not None and (type(value) in (numpy.ndarray, numpy.memmap) or isinstance(value, numpy.generic)):
        return _of_numpy(numpy, value)
    if pandas is None:
        return None
    if isinstance(value, pandas.DataFrame):
        return _of_frame(value)
    if isinstance(value, pandas.Series):
        return _of_series(value)
    if isinstance(value, pandas.Index):
        return _of_index(pandas, value)
    if isinstance(value, pandas.api.extensions.ExtensionArray):
        return _of_extension(pandas, value)
    return None


def _of_numpy(numpy: Any, value: Any) -> Iterator[Any]:
    array = numpy.asarray(value)
    yield array.shape
    yield repr(array.dtype.descr) if array.dtype.names else array.dtype.str
    if array.dtype.hasobject:
        yield array.ravel().tolist()
    else:
        yield memoryview(numpy.ascontiguousarray(array).reshape(-1).view("u1"))


def _of_frame(frame: Any) -> Iterator[Any]:
    yield frame.columns
    yield frame.index
    for position in range(frame.shape[1]):
        column = frame.iloc[:, position]
        yield str(column.dtype)
        yield column.array
    yield from _extras(frame)


def _of_series(series: Any) -> Iterator[Any]:
    yield series.name
    yield series.index
    yield str(series.dtype)
    yield series.array
    yield from _extras(series)


def _extras(value: Any) -> Iterator[Any]:
    yield dict(value.attrs)
    for name in value._metadata:  # what subclasses carry besides
        if name not in ("name", "_name"):
            yield getattr(value, name, None)


def _of_index(pandas: Any, index: Any) -> Iterator[Any]:
    yield list(index.names)
    if isinstance(index, pandas.MultiIndex):
        for level in range(index.nlevels):
            yield index.get_level_values(level)
    elif isinstance(index, pandas.RangeIndex):
        yield (index.start, index.stop, index.step)
    else:
        yield str(index.dtype)
        yield str(getattr(index, "freq", None))
        yield index.array


def _of_extension(pandas: Any, array: Any) -> Iterator[Any]:
    """The parts of an array of pandas itself, by the values that it stands for and not by how it keeps them."""
    yield str(array.dtype)
    if isinstance(array, pandas.arrays.NumpyExtensionArray):
        yield array.to_numpy()
    elif isinstance(array, pandas.Categorical):
        yield (array.ordered, array.categories)
        yield array.codes
    elif hasattr(array, "asi8"):
        yield array.asi8
    else:
        missing = array.isna()
        yield missing
        yield array[~missing].to_numpy(dtype=object)
