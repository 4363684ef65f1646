"""What an artifact holds: plain JSON values, made from what a task publishes. `UsageError` for what cannot be meant."""

from __future__ import annotations

import json
import math
import re
import sys
from base64 import b64encode
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from io import BytesIO
from typing import Any

from flowbook.core.jsonable import plain_text, to_json_value
from flowbook.core.links import safe_image
from flowbook.errors import UsageError

#: Bytes of an artifact's data as JSON in UTF-8. An image in it takes 4 bytes for every 3 of its file.
LARGEST = 1024 * 1024

_KEY = re.compile(r"[a-z0-9-]+")
_SIGNATURES = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg", b"GIF87a": "gif", b"GIF89a": "gif"}
_MISSING = frozenset({"NAType", "NaTType"})  # pandas, which is not imported for this


def key_of(key: str | None) -> str | None:
    """The key as it is stored, or None; anything but lowercase letters, digits and dashes is refused."""
    if key is not None and (not isinstance(key, str) or not _KEY.fullmatch(key)):
        raise UsageError(
            f"An artifact cannot have the key {key!r}: keys hold lowercase letters (a-z), digits and dashes only, "
            "such as 'daily-report'."
        )
    return key


def text_of(value: str | None, what: str) -> str | None:
    """A text as every database takes it, or None."""
    if value is not None and not isinstance(value, str):
        raise UsageError(f"The {what} of an artifact must be a text, not {type(value).__name__}.")
    return None if value is None else plain_text(value)


def required_text(value: str, what: str) -> str:
    """A text that an artifact cannot do without."""
    text = text_of(value, what)
    if text is None:
        raise UsageError(f"The {what} of an artifact must be a text, not None.")
    return text


def check_size(kind: str, data: Any) -> None:
    """Refuse data above `LARGEST`."""
    size = len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())
    if size > LARGEST:
        raise _too_large(f"This {kind} artifact takes {size / LARGEST:.1f} MiB")


def table_data(table: Any) -> Any:
    """A dict of lists, a list of dicts or a list of lists, of plain JSON values. A DataFrame becomes a dict of lists.

    NaN and other missing values become None. The index of a DataFrame becomes its first columns, unless it only counts.
    """
    if (columns := _frame_columns(table)) is not None:
        return columns
    if isinstance(table, Mapping) and all(map(_is_list, table.values())):
        return {plain_text(str(name)): [_cell(value) for value in column] for name, column in table.items()}
    if _is_list(table):
        rows = list(table)
        if all(isinstance(row, Mapping) for row in rows):
            return [{plain_text(str(name)): _cell(value) for name, value in row.items()} for row in rows]
        if all(map(_is_list, rows)):
            return [[_cell(value) for value in row] for row in rows]
    raise UsageError(
        f"A table artifact cannot be made of this {type(table).__name__}: pass a dict of lists, a list of dicts, "
        "a list of lists or a pandas DataFrame."
    )


def image_data(image: Any) -> str:
    """The address of an image; the bytes of a PNG, JPEG, GIF or WebP file and matplotlib's figures become one."""
    if hasattr(image, "savefig"):
        file = BytesIO()
        image.savefig(file, format="png")
        image = file.getvalue()
    if isinstance(image, bytes | bytearray):
        return f"data:image/{_image_kind(bytes(image[:16]))};base64,{b64encode(image).decode()}"
    address = safe_image(image) if isinstance(image, str) else None
    if address is None:
        raise UsageError(
            f"An image artifact cannot be made of {_shortened(image)}: pass an http or https address, a data: address "
            "of a PNG, JPEG, GIF or WebP image, the bytes of such a file, or a matplotlib figure."
        )
    return plain_text(address)


def percent(progress: float) -> float:
    """A number of percent. One below 0 or above 100 is left as it is; what is no number is refused."""
    try:
        value = math.nan if isinstance(progress, str | bytes | bool) else float(progress)
    except (TypeError, ValueError):
        value = math.nan
    if math.isnan(value):
        raise UsageError(f"A progress artifact needs a number from 0 to 100, not {_shortened(progress)}.")
    return value


def _frame_columns(table: Any) -> dict[str, list[Any]] | None:
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(table, pandas.DataFrame):
        return None
    if table.size * 2 > LARGEST:  # a value and its comma: no need to convert it all to find out
        raise _too_large(f"This table artifact has {table.shape[0]} rows and {table.shape[1]} columns")
    if not isinstance(table.index, pandas.RangeIndex):
        table = table.reset_index(allow_duplicates=True)
    columns: dict[str, list[Any]] = {}
    for position, name in enumerate(table.columns):
        title = plain_text(" ".join(map(str, name)) if isinstance(name, tuple) else str(name))
        while title in columns:
            title += " "
        columns[title] = [_cell(value) for value in table.iloc[:, position].tolist()]
    return columns


def _is_list(value: Any) -> bool:
    """Whether it is a sequence of values: a list, a tuple, a Series, an array of numpy with a dimension."""
    return isinstance(value, list | tuple) or (hasattr(value, "tolist") and getattr(value, "shape", None) != ())


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return plain_text(value)
    if type(value).__name__ in _MISSING or (isinstance(value, float) and math.isnan(value)):
        return None
    if getattr(value, "shape", None) == () and hasattr(value, "dtype"):  # a scalar of numpy
        return str(value) if value.dtype.kind in "mM" else _cell(value.item())
    if isinstance(value, Decimal | Fraction | complex):
        return str(value)
    return to_json_value(value)


def _image_kind(start: bytes) -> str:
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "webp"
    for signature, kind in _SIGNATURES.items():
        if start.startswith(signature):
            return kind
    raise UsageError("These bytes are not an image that an artifact can hold: PNG, JPEG, GIF and WebP are.")


def _too_large(what: str) -> UsageError:
    return UsageError(
        f"{what}, and an artifact holds at most 1 MiB. Publish a part or a summary, or save it to a file and publish "
        "a link to that with create_link_artifact()."
    )


def _shortened(value: Any) -> str:
    text = repr(value) if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:59] + "…"
