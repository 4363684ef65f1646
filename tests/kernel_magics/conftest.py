"""A notebook in a real kernel, seen as a front end sees it: by requests with a cell's id and the messages that answer.

Outputs are kept under the cell whose request they name, and cleared and updated as JupyterLab does it, so a test sees
what a person would see under each cell.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel
from tests.drawn import drawn_in
from tests.waiting import WITHIN

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_RESET = """
from IPython import get_ipython as _shell
import gc, os, sys
if "flowbook_magics" in sys.modules:
    sys.modules["flowbook_magics"].unload(_shell())
if "flowbook.engine" in sys.modules:
    sys.modules["flowbook.engine"].close_engines()
_shell().reset(new_session=True, aggressive=False)
import os
os.environ["FLOWBOOK_HOME"] = {home!r}
os.environ.pop("FLOWBOOK_RUN_FOLDER", None)
os.environ.pop("JPY_SESSION_NAME", None)
del os
get_ipython().run_line_magic("load_ext", "flowbook")
import flowbook_magics
flowbook_magics.load(get_ipython())
del flowbook_magics
"""


@dataclass
class Reply:
    """How a cell ended."""

    status: str
    ename: str = ""
    evalue: str = ""


@dataclass
class Output:
    """What stands under a cell."""

    items: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All of it as text, without colours."""
        return _ANSI.sub("", "".join(item["text"] for item in self.items))

    def of(self, kind: str) -> str:
        """The text of one kind of message only (``stream``, ``display``, ``error``)."""
        return _ANSI.sub("", "".join(item["text"] for item in self.items if item["kind"] == kind))


class Notebook:
    """A kernel and the outputs of the cells that were run in it."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.homes = 0
        env = {
            **os.environ,
            "FLOWBOOK_HOME": f"{folder}/home",
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        }
        self.manager, self.client = start_new_kernel(env=env, cwd=folder)
        self.outputs: dict[str, Output] = {}
        self._cells: dict[str, str] = {}
        self._displays: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        self.standing: tuple[str, ...] = ()
        """The ids of the cells in their order, if the front end tells it."""
        self.sources: dict[str, str] = {}
        """What the cells say by their ids."""

    @property
    def home(self) -> str:
        return f"{self.folder}/home{self.homes}"

    def reset(self) -> None:
        """As a new kernel: no names, no cells, an empty database."""
        self.homes += 1
        drawn_in(Path(self.home))
        self.outputs.clear()
        self._cells.clear()
        self.standing = ()
        self.sources.clear()
        reply = self.run(_RESET.format(home=self.home), silent=True)
        assert reply.status == "ok", reply

    def send(
        self,
        source: str,
        cell: str | None = None,
        *,
        deleted: tuple[str, ...] = (),
        silent: bool = False,
        metadata: dict[str, Any] | None = None,
    ) -> str:
        """Ask for a cell to be executed; returns the id of the request. `cell` is its id, as JupyterLab sends it."""
        content = {
            "code": source,
            "silent": silent,
            "store_history": not silent,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        metadata = {"cellId": cell, **(metadata or {})} if cell else {}
        if deleted:
            metadata["deletedCells"] = list(deleted)
        if cell:
            self.sources[cell] = source
        if cell and self.standing:
            metadata["flowbook"] = self._told()
        message = self.client.session.msg("execute_request", content, metadata=metadata)
        self.client.shell_channel.send(message)
        request: str = message["header"]["msg_id"]
        name = cell or source
        self._cells[request] = name
        self.outputs[name] = Output()
        return request

    def stand(self, *cells: str) -> None:
        """The cells with these ids stand in this order from now on, as the extension of JupyterLab tells the kernel."""
        self.standing = cells

    def _told(self) -> list[tuple[str, int]]:
        """What the extension tells of the cells: their ids, and the checksums of what they say."""
        return [(key, zlib.adler32(self.sources.get(key, "").encode())) for key in self.standing]

    def finish(self, request: str, timeout: float = WITHIN) -> Reply:
        """Wait for the end of a request, collecting outputs."""
        deadline = time.monotonic() + timeout
        while True:
            message = self.client.get_iopub_msg(timeout=max(0.01, deadline - time.monotonic()))
            self._take(message)
            if (
                message["msg_type"] == "status"
                and message["content"]["execution_state"] == "idle"
                and message["parent_header"].get("msg_id") == request
            ):
                break
        while True:
            reply = self.client.get_shell_msg(timeout=max(0.01, deadline - time.monotonic()))
            if reply["parent_header"].get("msg_id") == request:
                content = reply["content"]
                return Reply(content["status"], content.get("ename", ""), content.get("evalue", ""))

    def until(self, is_so: Callable[[], bool]) -> None:
        """Take in what the kernel sends until something is so."""
        deadline = time.monotonic() + WITHIN
        while not is_so():
            assert time.monotonic() < deadline, {name: self.output(name) for name in self.outputs}
            if self.client.iopub_channel.msg_ready():
                self._take(self.client.get_iopub_msg(timeout=1))
            else:
                time.sleep(0.01)

    def run(self, source: str, cell: str | None = None, **options: Any) -> Reply:
        """Execute a cell to its end."""
        return self.finish(self.send(source, cell, **options))

    def ok(self, source: str, cell: str | None = None, **options: Any) -> str:
        """Execute a cell that must succeed; returns its output."""
        reply = self.run(source, cell, **options)
        assert reply.status == "ok", (source, reply, self.output(cell or source))
        return self.output(cell or source)

    def fails(self, source: str, cell: str | None = None, **options: Any) -> str:
        """Execute a cell that must fail; returns its output."""
        reply = self.run(source, cell, **options)
        assert reply.status == "error", (source, self.output(cell or source))
        return self.output(cell or source)

    def cells(self, *sources: str) -> None:
        """Execute cells with the ids ``a``, ``b``, ``c``…; all must succeed."""
        for name, source in zip("abcdefghijklmnopqrstuvwxyz", sources, strict=False):
            self.ok(source, name)

    def output(self, cell: str) -> str:
        """What stands under a cell now, as text."""
        return self.outputs[cell].text if cell in self.outputs else ""

    def value(self, expression: str) -> Any:
        """The value of an expression of literals in the notebook's namespace, evaluated beside all cells."""
        content = {"code": "", "silent": True, "store_history": False, "user_expressions": {"v": expression}}
        message = self.client.session.msg("execute_request", {**content, "allow_stdin": False, "stop_on_error": True})
        self.client.shell_channel.send(message)
        while True:
            reply = self.client.get_shell_msg(timeout=WITHIN)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                break
        found = reply["content"]["user_expressions"]["v"]
        assert found["status"] == "ok", found
        import ast

        return ast.literal_eval(found["data"]["text/plain"])

    def tasks(self) -> dict[str, tuple[str, str]]:
        """``%tasks`` as task name -> (state, why stale)."""
        rows = self.value(
            "[(r[0], r[2], r[4]) for r in __import__('flowbook_magics.reports', fromlist=['_']).tasks_table("
            "get_ipython().magics_manager.registry['FlowbookMagics'].session).rows]"
        )
        return {name: (state, why) for name, state, why in rows}

    def states(self, kind: str = "task_run") -> list[tuple[str, str, str | None]]:
        """What the database says of all runs: (name, type, name of the state), in the order of creation."""
        from sqlalchemy import create_engine, text

        engine = create_engine(f"sqlite:///{self.home}/flowbook.db")
        try:
            with engine.connect() as connection:
                query = text(f"select name, state_type, state_name from {kind} order by created")
                return [tuple(row) for row in connection.execute(query)]
        finally:
            engine.dispose()

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def _take(self, message: dict[str, Any]) -> None:
        kind, content = message["msg_type"], message["content"]
        cell = self._cells.get(message["parent_header"].get("msg_id", ""))
        if cell is None:
            return
        items = self.outputs[cell].items
        if kind == "stream":
            items.append({"kind": "stream", "text": content["text"]})
        elif kind in ("display_data", "execute_result"):
            text, data = content["data"].get("text/plain", ""), content["data"]
            items.append({"kind": "display", "text": text, "data": data})
            if display_id := content.get("transient", {}).get("display_id"):
                self._displays.setdefault(display_id, []).append((cell, items[-1]))
        elif kind == "update_display_data":
            for _, item in self._displays.get(content["transient"]["display_id"], ()):
                item.update(text=content["data"].get("text/plain", ""), data=content["data"])
        elif kind == "error":
            items.append({"kind": "error", "text": "\n".join(content["traceback"])})
        elif kind == "clear_output":
            items.clear()


@pytest.fixture(scope="module")
def kernel() -> Iterator[Notebook]:
    """One kernel for the tests of a module."""
    with tempfile.TemporaryDirectory() as folder:
        started = Notebook(folder)
        try:
            yield started
        finally:
            started.close()


@pytest.fixture
def nb(kernel: Notebook) -> Notebook:
    """A notebook in which nothing has happened, with flowbook loaded."""
    kernel.reset()
    return kernel
