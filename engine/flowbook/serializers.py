"""Serializers: how results are written to files and read back.

==================================  =========================================  ===========================
``result_serializer=``              fits                                       file
==================================  =========================================  ===========================
``"pickle"`` (the default)          what cloudpickle can pickle                ``.pkl``
``"json"``                          JSON values: text, numbers, lists, dicts   ``.json``
``"pandas"``                        pandas data frames (needs pyarrow)         ``.parquet``
``"arrow"``                         pyarrow tables (needs pyarrow)             ``.arrow``
``"compressed/pickle"`` and so on   what the other one fits                    ``.pkl.xz`` and so on
==================================  =========================================  ===========================

Or an instance, such as ``CompressedSerializer("json", compressionlib="gzip")``, or one of a subclass of `Serializer`.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import IO, Any

from flowbook.errors import UsageError, did_you_mean

__all__ = [
    "ArrowSerializer",
    "CompressedSerializer",
    "JSONSerializer",
    "PandasSerializer",
    "PickleSerializer",
    "Serializer",
    "serializer_for",
]


class Serializer:
    """How values become bytes. A subclass has `dumps` and `loads`, or, for large values, `dump` and `load`."""

    suffix: str = ""
    """The end of the names of its files."""

    @property
    def name(self) -> str:
        """What is recorded with each result, so that it is read by the serializer that wrote it."""
        return f"{type(self).__module__}.{type(self).__qualname__}"

    def dumps(self, value: Any) -> bytes:
        """`value` as bytes. Raises anything if it does not fit."""
        if type(self).dump is Serializer.dump:
            raise NotImplementedError(f"{type(self).__name__} has neither dumps() nor dump().")
        file = io.BytesIO()
        self.dump(value, file)
        return file.getvalue()

    def loads(self, data: bytes) -> Any:
        """The value that `dumps` made `data` of."""
        if type(self).load is Serializer.load:
            raise NotImplementedError(f"{type(self).__name__} has neither loads() nor load().")
        return self.load(io.BytesIO(data))

    def dump(self, value: Any, file: IO[bytes]) -> None:
        """Write `value` to a file that can only be written on."""
        file.write(self.dumps(value))

    def load(self, file: IO[bytes]) -> Any:
        """The value that `dump` wrote to `file`."""
        return self.loads(file.read())

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class PickleSerializer(Serializer):
    """Pickles of cloudpickle, which take functions and classes of notebooks along. Arrays are written in place."""

    suffix = ".pkl"
    name = "pickle"

    def dump(self, value: Any, file: IO[bytes]) -> None:
        """Write `value` as a pickle of protocol 5."""
        import cloudpickle

        cloudpickle.Pickler(file, protocol=5).dump(value)

    def load(self, file: IO[bytes]) -> Any:
        """The value of a pickle, which must come from a trusted place."""
        import pickle

        return pickle.load(file)  # noqa: S301 - results are verified before they get here


class JSONSerializer(Serializer):
    """JSON (RFC 8259, and NaN), for values that come back from it as they were."""

    suffix = ".json"
    name = "json"

    def dumps(self, value: Any) -> bytes:
        """`value` as JSON in UTF-8. Raises ValueError for what would not come back as it is, such as a tuple."""
        import json

        _check_json(value, "the result", 0)
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")

    def loads(self, data: bytes) -> Any:
        """The value of JSON in UTF-8."""
        import json

        return json.loads(data.decode("utf-8", "surrogatepass"))


class CompressedSerializer(Serializer):
    """What another serializer writes, compressed by ``"lzma"`` (small), ``"gzip"`` (quick) or ``"bz2"``."""

    def __init__(self, serializer: Serializer | str = "pickle", compressionlib: str = "lzma") -> None:
        if compressionlib not in _COMPRESSED_SUFFIX:
            known = ", ".join(map(repr, _COMPRESSED_SUFFIX))
            raise UsageError(f"compressionlib is {compressionlib!r}; it can be {known}.")
        self.serializer = serializer_for(serializer)
        self.compressionlib = compressionlib
        self.suffix = self.serializer.suffix + _COMPRESSED_SUFFIX[compressionlib]

    @property
    def name(self) -> str:
        """``lzma/pickle`` and so on."""
        return f"{self.compressionlib}/{self.serializer.name}"

    def dump(self, value: Any, file: IO[bytes]) -> None:
        """Write `value` compressed."""
        with _compressed(self.compressionlib, file, "wb") as inside:
            self.serializer.dump(value, inside)

    def load(self, file: IO[bytes]) -> Any:
        """The value of a compressed file."""
        with _compressed(self.compressionlib, file, "rb") as inside:
            return self.serializer.load(inside)

    def __repr__(self) -> str:
        return f"CompressedSerializer({self.serializer!r}, compressionlib={self.compressionlib!r})"


class _OfTables(Serializer):
    """What the serializers of tables have in common: they need pyarrow."""

    def __init__(self) -> None:
        from importlib.util import find_spec

        if find_spec("pyarrow") is None:
            raise UsageError(f"The result serializer {self.name!r} needs pyarrow. Install it: pip install pyarrow")


class PandasSerializer(_OfTables):
    """pandas data frames as Parquet files, which other programs read too. Raises UsageError without pyarrow."""

    suffix = ".parquet"
    name = "pandas"

    def dump(self, value: Any, file: IO[bytes]) -> None:
        """Write a data frame. Raises TypeError for other values, and pyarrow's errors for columns of mixed types."""
        import pandas as pd

        if not isinstance(value, pd.DataFrame):
            raise TypeError(f"it is a {type(value).__name__}, and the serializer 'pandas' is for data frames")
        value.to_parquet(file, engine="pyarrow")

    def load(self, file: IO[bytes]) -> Any:
        """The data frame of a Parquet file."""
        import pandas as pd

        return pd.read_parquet(file, engine="pyarrow")


class ArrowSerializer(_OfTables):
    """pyarrow tables as Arrow (Feather 2) files, which other programs read too. Raises UsageError without pyarrow."""

    suffix = ".arrow"
    name = "arrow"

    def dump(self, value: Any, file: IO[bytes]) -> None:
        """Write a table. Raises TypeError for other values."""
        import pyarrow as pa

        if not isinstance(value, pa.Table):
            raise TypeError(f"it is a {type(value).__name__}, and the serializer 'arrow' is for tables of pyarrow")
        with pa.ipc.new_file(file, value.schema) as writer:
            writer.write_table(value)

    def load(self, file: IO[bytes]) -> Any:
        """The table of an Arrow file."""
        import pyarrow as pa

        with pa.ipc.open_file(file) as reader:
            return reader.read_all()


_BY_NAME: dict[str, Callable[[], Serializer]] = {
    "pickle": PickleSerializer,
    "json": JSONSerializer,
    "pandas": PandasSerializer,
    "arrow": ArrowSerializer,
}
_COMPRESSED_SUFFIX = {"lzma": ".xz", "gzip": ".gz", "bz2": ".bz2"}


def serializer_for(chosen: Serializer | type[Serializer] | str | None) -> Serializer:
    """The serializer that an option ``result_serializer`` means. Raises UsageError."""
    if chosen is None:
        return PickleSerializer()
    if isinstance(chosen, Serializer):
        return chosen
    if isinstance(chosen, type) and issubclass(chosen, Serializer):
        return chosen()
    if isinstance(chosen, str):
        lib, compressed, inside = chosen.partition("/")
        if compressed and (lib == "compressed" or lib in _COMPRESSED_SUFFIX):
            return CompressedSerializer(inside, "lzma" if lib == "compressed" else lib)
        if chosen in _BY_NAME:
            return _BY_NAME[chosen]()
        known = [*_BY_NAME, *(f"compressed/{name}" for name in _BY_NAME)]
        raise UsageError(f"There is no result serializer {chosen!r}.{did_you_mean(chosen, known)}")
    raise UsageError(
        f"result_serializer is {chosen!r}; give a name such as 'json', or a serializer of flowbook.serializers."
    )


def _compressed(lib: str, file: Any, mode: Any) -> Any:
    if lib == "gzip":
        import gzip

        return gzip.GzipFile(fileobj=file, mode=mode, mtime=0)
    if lib == "bz2":
        import bz2

        return bz2.BZ2File(file, mode)
    import lzma

    return lzma.LZMAFile(file, mode)


def _check_json(value: Any, where: str, depth: int) -> None:
    """Raise ValueError for the first part of `value` that JSON would not give back as it is."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return
    if depth > 200:
        raise ValueError(f"{where} is nested too deeply, or contains itself")
    if kind is list:
        if not {type(None), bool, int, float, str}.issuperset(map(type, value)):
            for index, item in enumerate(value):
                _check_json(item, f"{where}[{index}]", depth + 1)
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise ValueError(f"{where} is a dict with the key {key!r}, and keys in JSON are text")
            _check_json(item, f"{where}[{key!r}]", depth + 1)
    else:
        raise ValueError(f"{where} is a {kind.__name__}, which JSON does not give back as it is")
