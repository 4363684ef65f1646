"""A notebook that is called: run now and without a deployment, from code or from a shell.

What a version of a deployment keeps in the database, this run has in its folder: ``manifest.json`` and
``snapshot.ipynb``. They go with it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook import engine
from flowbook.errors import FlowbookError, NotebookError, did_you_mean
from flowbook.promote.parameters import from_texts, require_all, to_plain, validate
from flowbook.run.ids import new_id
from flowbook.runs import run_folder
from flowbook.store.files import write_file
from flowbook.store.processes import this_process
from flowbook.store.queue import NewRun, QueuedRun, record_called

if TYPE_CHECKING:
    from flowbook.promote.kernel_process import KernelProcess

#: In the environment of a kernel: how many notebooks have called each other up to this one.
DEPTH = "FLOWBOOK_NOTEBOOK_DEPTH"
_DEEPEST = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class CalledNotebook:
    """A notebook that was read and understood, with parameters that fit it, as JSON values."""

    flow: str
    parameters: Mapping[str, Any]
    manifest: Mapping[str, Any]
    content: bytes


def read_called(
    path: Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    parameter_texts: Iterable[str] = (),
    flow: str | None = None,
    cwd: Path | None = None,
    kernel: str | None = None,
) -> CalledNotebook:
    """Read the notebook at `path` and check everything that can be checked before it runs.

    `parameters` go before the ``name=value`` of `parameter_texts`; `flow` chooses among several flows; it is executed
    in `cwd`, by default in its own folder, and by `kernel` instead of its own. Raises NotebookError and ParameterError.
    """
    from flowbook.promote.notebook import read_notebook, snapshot
    from flowbook.promote.reading import read, what_runs

    check_depth(path)
    path = path.expanduser().absolute()
    notebook = read_notebook(path)
    if kernel is not None:
        _check_kernel(kernel)
        notebook.metadata["kernelspec"] = {**notebook.metadata.get("kernelspec", {}), "name": kernel}
    reading = read(notebook, flow)
    title = f"notebook {path.name!r}"
    given = {**from_texts(reading.schema, parameter_texts, title), **(parameters or {})}
    values = to_plain(validate(reading.schema, given, title))
    require_all(reading.schema, values, title)
    sha, content = snapshot(notebook)
    manifest = {**what_runs(path, sha, reading), "local_imports": {}}
    if cwd is not None:
        manifest["cwd"] = str(_folder(cwd))
    return CalledNotebook(
        flow=reading.flow.name if reading.flow else path.stem, parameters=values, manifest=manifest, content=content
    )


@contextmanager
def kernel_begun(called: CalledNotebook, run_id: str) -> Iterator[KernelProcess]:
    """The process of the kernel that is going to execute the notebook as the run of this id, started beside the block.

    Only Python's: those of other languages do not all end with the process that has started them.
    """
    from flowbook.promote.kernel import kernel_environment
    from flowbook.promote.kernel_process import KernelProcess, started_early

    name, cwd = called.manifest["kernel"], called.manifest["cwd"]
    if called.manifest["language"] != "python":
        yield KernelProcess(name)
        return
    with started_early(name, cwd=cwd, env=kernel_environment(run_folder(run_id), depth() + 1)) as process:
        yield process


def record(
    called: CalledNotebook,
    run_id: str | None = None,
    *,
    parent_id: str | None = None,
    name: str | None = None,
    tags: Iterable[str] = (),
    **also: Any,
) -> QueuedRun:
    """Record a run of the notebook, which this process has until another one takes it over.

    `also` is added to its manifest. Its folder is there before the run is: whoever finds the run can execute it.
    """
    run = NewRun(
        id=run_id or new_id(),
        parameters=called.parameters,
        due=time.time(),
        trigger="call" if parent_id is None else "parent",
        name=name,
        tags=tuple(tags),
        parent_id=parent_id,
    )
    folder = run_folder(run.id)
    write_file(folder / "manifest.json", json.dumps({**called.manifest, "depth": depth() + 1, **also}).encode())
    write_file(folder / "snapshot.ipynb", called.content)
    return record_called(engine.engine().database, run, called.flow, this_process())


def manifest_of_called(run: QueuedRun) -> dict[str, Any]:
    """What `record` has kept. Raises FlowbookError for a run that was not called so."""
    try:
        found: dict[str, Any] = json.loads((run_folder(run.id) / "manifest.json").read_bytes())
    except OSError:
        raise FlowbookError(f"Run {run.number} of {run.flow!r} is none of a notebook, or its folder is gone.") from None
    return found


def snapshot_of_called(run: QueuedRun) -> bytes:
    """The notebook as it was when it was called."""
    return (run_folder(run.id) / "snapshot.ipynb").read_bytes()


def depth() -> int:
    """How many notebooks have called each other up to the one that this code belongs to; 0 for one nobody called."""
    said = os.environ.get(DEPTH, "")
    return int(said) if said.isdigit() else 0


def check_depth(path: Path) -> None:
    """Raise NotebookError if notebooks call each other without an end."""
    if depth() >= _DEEPEST:
        raise NotebookError(
            f"{path.name} is not run: {_DEEPEST} notebooks have called each other by now, each within the one before. "
            "Does a notebook call itself? Leave that call out."
        )


def _check_kernel(kernel: str) -> None:
    from flowbook.promote.kernels import installed_kernels

    known = sorted(installed_kernels())
    if kernel not in known:
        installed = ", ".join(known) or "none"
        raise NotebookError(f"There is no kernel {kernel!r} here.{did_you_mean(kernel, known)} Installed: {installed}.")


def _folder(cwd: Path) -> Path:
    folder = cwd.expanduser().absolute()
    if not folder.is_dir():
        raise NotebookError(f"There is no folder {folder} to run the notebook in.")
    return folder
