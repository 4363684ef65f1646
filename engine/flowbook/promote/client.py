"""The client of the kernel that executes a notebook run.

All messages of the kernel are read for as long as it lives, and each is routed by its parent to the cell whose request
it answers, also when that request is long over: a task that runs beside others prints late. Whatever ends the kernel
ends the requests that wait for it, with an error that has a name.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jupyter_core.utils import ensure_async
from nbclient.client import NotebookClient
from nbclient.exceptions import CellExecutionComplete
from nbformat import NotebookNode

from flowbook.core.durations import duration_text
from flowbook.errors import FlowbookError, TaskTimeoutError
from flowbook.promote.channels import Channels, Hearing, Message
from flowbook.promote.kernel_process import KernelProcess
from flowbook.promote.outputs import add_output, is_left_out

_ALIVE_EVERY = 0.5  # seconds
_IDLE_WITHIN = 30.0  # seconds without a message, after the reply to a request and before its last output
_LAST_WORDS = 0.3  # seconds for messages of a dead kernel that are still under way
_INTERRUPT_GRACE = 0.6  # seconds for an interrupted cell to end, before its kernel is ended


class KernelDied(FlowbookError):
    """The kernel ended before the notebook did."""


class OutputLost(FlowbookError):
    """What a cell put out did not arrive as a whole."""


class CellFailed(Exception):
    """A cell raised an error. The class is named after that error, so that messages read as in the notebook."""

    @classmethod
    def of(cls, reply: Mapping[str, Any]) -> CellFailed:
        """The error that the reply of a kernel tells."""
        name = str(reply.get("ename") or "CellFailed")
        told = str(reply.get("evalue") or "")
        if name == "SystemExit":
            told = f"the cell called sys.exit({told}), so the cells after it did not run"
        elif name == "StdinNotImplementedError":  # its own words are about front ends
            told = "the cell asked for input, as by input(), and nobody is there to answer. Make it a parameter"
        elif name == "MemoryError" and (limit := _memory_limit()):
            told = f"{told or 'no more can be had'}; the pool lets each process of this run allocate {limit} MiB"
        kind = type(name if name.isidentifier() else "CellFailed", (cls,), {})
        failure: CellFailed = kind(told)
        return failure


def _memory_limit() -> int | None:
    """How many MiB the processes of this run may each allocate; None if that is not limited."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    most, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return None if most == resource.RLIM_INFINITY else most >> 20


@dataclass(kw_only=True, slots=True)
class _Request:
    """An execute request; `index` is that of the cell that its messages belong to, None for one of our own."""

    index: int | None
    reply: asyncio.Future[dict[str, Any]]
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    heard: int = 0
    """How many messages have come that tell its output."""


class RunClient(NotebookClient):
    """Executes cells of a notebook in a kernel of its own. `changed` is called whenever the notebook has changed."""

    def __init__(
        self,
        notebook: NotebookNode,
        *,
        kernel: KernelProcess,
        changed: Callable[[], None],
        cell_timeout: float | None = None,
    ) -> None:
        super().__init__(notebook, kernel_name=kernel.name)
        self.kernel = kernel
        self.cell_timeout = cell_timeout
        """Seconds that a plain cell may take."""
        self._changed = changed
        self._requests: dict[str, _Request] = {}
        self._hearings: list[Hearing] = []
        self._clear_next: set[int] = set()
        self._failure: BaseException | None = None
        self._interrupting: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def started(self, *, cwd: str, env: Mapping[str, str]) -> AsyncIterator[None]:
        """Start the kernel, and end it when the block ends; raises KernelDied if it does not start."""
        process = None
        try:
            await self.kernel.start(cwd=cwd, env=env)
            self.km, process = self.kernel.manager, self.kernel.handle
            await self.async_start_new_kernel_client()
        except Exception as error:
            why = _why_not_ready(error, process)
            raise KernelDied(f"The kernel {self.kernel_name!r} did not start: {why}.") from error
        self._keep_language()
        async with self._reading():
            yield

    def _keep_language(self) -> None:
        """Note in the notebook what the kernel says of its language, as Jupyter does: viewers colour code by it."""
        if isinstance(self.kc, Channels) and self.kc.language_info:
            self.nb.metadata["language_info"] = dict(self.kc.language_info)
            self._changed()

    @contextlib.asynccontextmanager
    async def _reading(self) -> AsyncIterator[None]:
        assert self.kc is not None
        self._hearings = [
            Hearing(self.kc.iopub_channel, self._hear_output),
            Hearing(self.kc.shell_channel, self._hear_reply),
        ]
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            for hearing in self._hearings:
                hearing.close()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            self.set_widgets_metadata()
            await self._async_cleanup_kernel()

    def stop(self, reason: BaseException) -> None:
        """End what waits for the kernel with `reason`, now and from now on."""
        self._fail(reason)
        for request in self._requests.values():
            if not request.reply.done():
                request.reply.set_exception(self._failure or reason)
            request.idle.set()

    def cancel(self, reason: BaseException) -> None:
        """Interrupt what the kernel does, so that its code can clean up, and soon after end what still waits for it."""
        self._fail(reason)
        loop = asyncio.get_running_loop()
        self._interrupting = loop.create_task(self._interrupt())
        loop.call_later(_INTERRUPT_GRACE, self.stop, reason)

    def _fail(self, reason: BaseException) -> None:
        if self._failure is None:
            self._failure = reason
        self.shutdown_kernel = "immediate"  # a kernel at work would not hear a friendly request

    async def _interrupt(self) -> None:
        if self.km is not None:
            with contextlib.suppress(Exception):  # a kernel that is just starting or ending is none to interrupt
                await ensure_async(self.km.interrupt_kernel())

    async def run_cell(self, code: str, index: int) -> None:
        """Have the kernel execute a cell of the notebook; raises as `run_code` does, and TaskTimeoutError in time."""
        limit = self.cell_timeout
        if limit is None:
            await self.run_code(code, index=index, store_history=True)
            return
        late = TaskTimeoutError(f"The cell took longer than its timeout of {duration_text(limit)}.")
        timer = asyncio.get_running_loop().call_later(limit, self.cancel, late)
        try:
            await self.run_code(code, index=index, store_history=True)
        finally:
            timer.cancel()

    async def run_code(self, code: str, *, index: int | None = None, store_history: bool = False) -> None:
        """Have the kernel execute `code`; its outputs go to cell `index`, if any.

        Raises CellFailed, KernelDied, OutputLost or the reason given to `stop`.
        """
        if self._failure is not None:
            raise self._failure
        assert self.kc is not None
        if index is not None:
            self.nb.cells[index].metadata["execution"] = {}
            self.nb.cells[index].outputs = []
        request = _Request(index=index, reply=asyncio.get_running_loop().create_future())
        # A request of our own is silent, so that the shell does not take it for a cell of the notebook.
        message_id = self.kc.execute(
            code, silent=index is None, store_history=store_history, stop_on_error=False, allow_stdin=False
        )
        self._requests[message_id] = request
        self._take()
        reply = await request.reply
        await _until_idle(request)
        if self._failure is not None:
            raise self._failure  # whatever the cell answered to an interrupt
        if reply["status"] == "error":
            raise CellFailed.of(reply)
        if reply["status"] != "ok":
            raise CellFailed(f"The kernel did not execute it: {reply['status']}.")
        if any(payload.get("source") == "ask_exit" for payload in reply.get("payload", [])):
            raise CellFailed.of({"ename": "SystemExit", "evalue": ""})

    def _take(self) -> None:
        """Take messages that the loop was not told of, because they came while something was sent."""
        for hearing in self._hearings:
            hearing.take()

    def _hear_reply(self, message: Message) -> None:
        request = self._requests.get(message["parent_header"].get("msg_id", ""))
        if request is not None and message["msg_type"] == "execute_reply" and not request.reply.done():
            request.reply.set_result(message["content"])

    def _hear_output(self, message: Message) -> None:
        request = self._requests.get(message["parent_header"].get("msg_id", ""))
        if request is not None:
            self._route(message, request)

    def _route(self, message: Message, request: _Request) -> None:
        """Give one message to its cell. A message that cannot be understood must not end the reading of the others."""
        request.heard += 1
        if request.index is None:
            _print_text(message)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                request.idle.set()
            return
        index = request.index
        self.clear_before_next_output = index in self._clear_next
        try:
            self.process_message(message, self.nb.cells[index], index)
        except CellExecutionComplete:
            request.idle.set()
        except Exception as error:
            self.log.warning("A message of the kernel was not understood: %r", error)
        if self.clear_before_next_output:
            self._clear_next.add(index)
        else:
            self._clear_next.discard(index)
        self._changed()

    def output(
        self, outs: list[NotebookNode], msg: dict[str, Any], display_id: str | None, cell_index: int
    ) -> NotebookNode | None:
        """Add an output to a cell, joining the pieces of a stream."""
        goes_here = not self.clear_before_next_output and not self.output_hook_stack[msg["parent_header"].get("msg_id")]
        if goes_here and is_left_out(outs, msg["msg_type"], msg["content"].get("name")):
            return None  # at once: a cell may have a hundred thousand of them
        before = len(outs)
        added = super().output(outs, msg, display_id, cell_index)
        if added is not None and outs and len(outs) <= before + 1:
            add_output(outs, outs.pop())
        return added

    async def _watch(self) -> None:
        """Notice the end of the kernel, which no message tells."""
        assert self.km is not None
        provisioner = self.km.provisioner
        while provisioner is not None:
            status = await provisioner.poll()
            if status is not None:
                await asyncio.sleep(_LAST_WORDS)
                self.stop(KernelDied(f"The kernel died: {_told(status)}."))
                return
            await asyncio.sleep(_ALIVE_EVERY)
            self._take()


async def _until_idle(request: _Request) -> None:
    """Wait for the last output of a request that was replied to, for as long as there comes some."""
    while not request.idle.is_set():
        heard = request.heard
        try:
            await asyncio.wait_for(request.idle.wait(), _IDLE_WITHIN)
        except TimeoutError:
            if request.heard == heard:
                raise OutputLost(f"The cell ended, and its last output did not arrive in {_IDLE_WITHIN:g} s.") from None


def _why_not_ready(error: Exception, process: Any) -> str:
    """Why a kernel did not answer. If it ended by itself, that is known only from its `process`."""
    status = getattr(process, "returncode", None)
    return _told(status) if status is not None and "died" in str(error) else str(error)


def _told(status: int) -> str:
    """What an exit status says: ``killed by SIGKILL``."""
    if status >= 0:
        return f"it exited with status {status} before the notebook had ended"
    with contextlib.suppress(ValueError):
        name = signal.Signals(-status).name
        hint = ", perhaps for lack of memory" if name == "SIGKILL" else ""
        return f"killed by {name}{hint}"
    return f"killed by signal {-status}"


def _print_text(message: dict[str, Any]) -> None:
    """What our own requests say goes to the log of the process."""
    content = message["content"]
    if message["msg_type"] == "stream":
        print(content["text"], end="", flush=True)  # noqa: T201 - this is the log
    elif message["msg_type"] == "error":
        print(f"{content['ename']}: {content['evalue']}", flush=True)  # noqa: T201
