"""What is in a notebook file, before anything is made of it: is it a notebook, of which format, and how large?

Whatever is wrong is one sentence: what, where in the file, and what to do about it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from flowbook.core.plain import shorten
from flowbook.errors import NotebookError

if TYPE_CHECKING:
    from nbformat import NotebookNode

#: Bytes that a notebook may have without its outputs: every version of a deployment keeps them.
MOST_BYTES = 32 << 20

_CONFLICT = re.compile(rb"^(?:<{7}|={7}|>{7})(?: |\r?$)", re.MULTILINE)
_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_SAVE = "Open it in Jupyter and save it, or take it from a backup."


def parsed_file(content: bytes, called: str) -> dict[str, Any]:
    """The JSON object of a file, without outputs of cells; `called` is the file's name in messages.

    Raises NotebookError for a file that holds none, or one that is too large.
    """
    plain = _json(content, called)
    for cell in _cells(plain):
        if cell.get("cell_type") == "code":
            cell["outputs"] = []
    if len(content) > MOST_BYTES and (size := len(json.dumps(plain))) > MOST_BYTES:
        raise NotebookError(
            f"{called} has {size >> 20} MB without its outputs, and a deployment keeps at most {MOST_BYTES >> 20} MB: "
            f"move the data in its cells to a file that they read."
        )
    return plain


def checked_format(plain: dict[str, Any], called: str) -> int:
    """The major version of the format; raises NotebookError for one that is not known, or for no notebook at all."""
    import nbformat

    major, minor = plain.get("nbformat"), plain.get("nbformat_minor", 0)
    if not isinstance(major, int) or isinstance(major, bool) or not isinstance(minor, int):
        raise NotebookError(f"{called} is JSON, but not a notebook: it has no usable `nbformat` version.")
    if major < 3:
        command = f"jupyter nbconvert --to notebook --inplace {called}"
        raise NotebookError(f"{called} is in notebook format {major}, which is too old: upgrade it with `{command}`.")
    if major > nbformat.current_nbformat:
        raise NotebookError(
            f"{called} is in notebook format {major}, which this flowbook does not know; save it in format 4."
        )
    held = "cells" if major == nbformat.current_nbformat else "worksheets"
    for key, kind in (("metadata", dict), (held, list)):
        if not isinstance(plain.get(key), kind):
            raise NotebookError(f"{called} is not a valid notebook: it has no `{key}`. {_SAVE}")
    for number, part in enumerate(plain[held], 1):
        if not isinstance(part, dict):
            raise NotebookError(f"{called} is not a valid notebook: entry {number} of its `{held}` is none. {_SAVE}")
        if held == "cells" and not isinstance(part.get("metadata"), dict):
            raise NotebookError(f"{called} is not a valid notebook: cell {number} has no `metadata`. {_SAVE}")
    return major


def give_ids(notebook: NotebookNode, *, has_ids: bool) -> None:
    """Bring a notebook to format 4.5: every cell has an id of its own.

    An id that is missing or there twice is made from the place of the cell, so that the same file gives the same ids.
    Without `has_ids` they all are: those that are there came from converting an older format, by chance.
    """
    said = [cell.get("id") if has_ids else None for cell in notebook.cells]
    taken = {each for each in said if isinstance(each, str)}
    seen: set[str] = set()
    for index, (cell, own) in enumerate(zip(notebook.cells, said, strict=True)):
        if not isinstance(own, str) or own in seen or not _ID.fullmatch(own):
            own = f"cell-{index}"
            while own in taken:
                own += "-again"
            taken.add(own)
            cell["id"] = own
        seen.add(own)
    notebook["nbformat_minor"] = max(notebook.get("nbformat_minor", 0), 5)


def why_invalid(error: Exception) -> str:
    """What a validation found, and where: cells are counted from 1, as in the file."""
    first = shorten((str(error).strip() or type(error).__name__).splitlines()[0], 200)
    path = list(getattr(error, "absolute_path", ()))
    if path[:1] == ["cells"] and len(path) > 1:
        inside = "".join(f", `{key}`" for key in path[2:3])
        return f"{first} (cell {path[1] + 1} of all cells{inside}). {_SAVE}"
    where = f" (`{path[0]}`)" if path else ""
    return f"{first}{where}. {_SAVE}"


def _json(content: bytes, called: str) -> dict[str, Any]:
    if not content.strip():
        raise NotebookError(f"{called} is not a notebook: the file is empty.")
    try:
        plain = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise NotebookError(
            f"{called} is not a notebook: it is not UTF-8 text (line {line}). Save it as UTF-8, as Jupyter does."
        ) from None
    except (json.JSONDecodeError, RecursionError) as error:
        if match := _CONFLICT.search(content):
            line = content.count(b"\n", 0, match.start()) + 1
            raise NotebookError(f"{called} has merge conflicts (line {line}): resolve them first.") from None
        where = f" (line {error.lineno}: {error.msg})" if isinstance(error, json.JSONDecodeError) else ""
        raise NotebookError(f"{called} is not a notebook: it is not JSON{where}.") from None
    if not isinstance(plain, dict):
        raise NotebookError(f"{called} is JSON, but not a notebook: it holds a {type(plain).__name__}.")
    return plain


def _cells(plain: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The cells, also those of format 3, that are such at all."""
    for part in [plain, *_dicts(plain.get("worksheets"))]:
        yield from _dicts(part.get("cells"))


def _dicts(things: Any) -> Iterator[dict[str, Any]]:
    return (each for each in things if isinstance(each, dict)) if isinstance(things, list) else iter(())
