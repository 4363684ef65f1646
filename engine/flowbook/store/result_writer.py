"""What serializers write results to."""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from flowbook.store.files import whole_file

if TYPE_CHECKING:
    from hmac import HMAC


class ResultWriter(io.RawIOBase):
    """Signs what is written, and keeps it in memory up to `small` bytes (None: never), else in the file `path`.

    The file is there when the ``with`` block has ended, whole; it is not there if that raised. Buffers of large objects
    (PEP 574) go to the file from where they are.
    """

    def __init__(self, signature: HMAC, path: Path, small: int | None) -> None:
        super().__init__()
        self.signature = signature
        self.size = 0
        self.content: bytes | None = None
        """What was written, if there is no file."""
        self._path = path
        self._small = small
        self._first = bytearray()
        self._whole: AbstractContextManager[BinaryIO] | None = None
        self._file: BinaryIO | None = None

    def writable(self) -> bool:
        """It can only be written to."""
        return True

    def tell(self) -> int:
        """The number of bytes written."""
        return self.size

    def write(self, data: Any, /) -> int:
        """Take bytes, or any buffer."""
        view = data.raw() if hasattr(data, "raw") else memoryview(data).cast("B")
        self.signature.update(view)
        self.size += view.nbytes
        if self._file is None and self._small is not None and self.size <= self._small:
            self._first += view
        else:
            self._in_file().write(view)
        return int(view.nbytes)

    def _in_file(self) -> BinaryIO:
        if self._file is None:
            self._whole = whole_file(self._path)
            self._file = self._whole.__enter__()
            self._file.write(self._first)
        return self._file

    def __enter__(self) -> ResultWriter:
        return self

    def __exit__(self, *raised: Any) -> None:
        if self._small is None and raised[0] is None:
            self._in_file()  # also of nothing
        if self._whole is not None:
            self._whole.__exit__(*raised)
        else:
            self.content = bytes(self._first)
