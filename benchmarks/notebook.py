"""What flowbook costs in a notebook: loading it, registering cells, running them, and what a saved view weighs.

``python benchmarks/notebook.py``

Everything is measured inside a real kernel, by its CPU time.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jupyter_client.manager import start_new_kernel
from measuring import header, heading, new_home, row

from flowbook.cells import Cell, GrowingGraph, analyze
from flowbook_widgets.live import STATIC

CELLS = 300
LOOP = "total = 0\nfor i in range(3_000_000):\n    total += i * factor\n"

_CPU = "import time; _began = time.process_time()\n{}\nprint('took', time.process_time() - _began)"
_COMPILE = "from flowbook.visualize.graphviz_wasm import graphviz; graphviz()"
_REGISTER = """
ip = get_ipython()
sources = {sources!r}
""" + _CPU.format("for name, source in sources.items():\n    ip.run_cell_magic('task', name + ' --define', source)")


class Kernel:
    """A kernel that executes code and says what it printed."""

    def __init__(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self.manager, self.client = start_new_kernel(env=environment)
        self.displayed: list[dict[str, Any]] = []

    def run(self, code: str) -> str:
        """What the code printed. Raises RuntimeError if it failed."""
        self.displayed = []
        printed: list[str] = []

        def take(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                printed.append(content["text"])
            elif message["msg_type"] in ("display_data", "update_display_data"):
                self.displayed.append(content["data"])

        reply = self.client.execute_interactive(code, output_hook=take, timeout=300)["content"]
        if reply["status"] != "ok":
            raise RuntimeError(f"{reply['ename']}: {reply['evalue']}")
        return "".join(printed)

    def cpu(self, code: str) -> float:
        """The CPU time that the kernel needs for the code, in seconds."""
        return took(self.run(_CPU.format(code)))


@contextmanager
def kernel(*, loaded: bool = True) -> Iterator[Kernel]:
    """A kernel that has executed a cell already, with a home of its own."""
    with new_home():
        started = Kernel()
        try:
            started.run("import json, pathlib")
            if loaded:
                started.run("%load_ext flowbook")
            yield started
        finally:
            started.client.stop_channels()
            started.manager.shutdown_kernel(now=True)


def took(printed: str) -> float:
    """The seconds that the kernel says it needed."""
    return float(printed.rpartition("took ")[2])


def chain(count: int) -> dict[str, str]:
    """Cells by the names of their tasks: each reads what the one before it writes."""
    return {f"t{n}": f"v{n} = v{n - 1} + 1" if n else "v0 = 0" for n in range(count)}


def loading(times: int = 5) -> None:
    """`%load_ext flowbook` in a kernel that has executed something."""
    costs = []
    for _ in range(times):
        with kernel(loaded=False) as started:
            costs.append(1000 * started.cpu("get_ipython().run_line_magic('load_ext', 'flowbook')"))
    row("`%load_ext flowbook` in a warm kernel, CPU", f"{min(costs):.0f} ms (median {statistics.median(costs):.0f})")


def graphs(times: int = 5) -> None:
    """What of registering many cells is to understand them: which cell reads and writes what, and their graph."""
    sources = chain(CELLS)
    analysing, joining = [], []
    for _ in range(times):
        began = time.process_time()
        found = [Cell(id=name, source=source, analysis=analyze(source), name=name) for name, source in sources.items()]
        analysed = time.process_time()
        GrowingGraph(found)
        analysing.append(1000 * (analysed - began))
        joining.append(1000 * (time.process_time() - analysed))
    row(f"analysis / graph of {CELLS} cells, CPU", f"{min(analysing):.0f} / {min(joining):.0f} ms")


def cells() -> None:
    """Registering many cells, and running them, where a layout of Graphviz has been compiled before."""
    with kernel() as started:
        started.run(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_COMPILE!r}], check=True)")
        registering = 1000 * took(started.run(_REGISTER.format(sources=chain(CELLS))))
        row("registering them by magics, each reading what the one before writes, CPU", f"{registering:.0f} ms")
        running = "get_ipython().run_line_magic('flow', 'run --all')"
        costs = [1000 * started.cpu(running) / CELLS for _ in range(3)]
        row("`%flow run --all` of these, per cell, CPU: first / then at best", f"{costs[0]:.2f} / {min(costs):.2f} ms")


def loops(times: int = 9) -> None:
    """A cell that computes in a loop, as a plain cell and as a task."""
    with kernel() as started:
        started.run("factor = 3")
        ratios = []
        for _ in range(times):
            plain = took(started.run(_CPU.format(LOOP)))
            task = took(started.run(_CPU.format(f"get_ipython().run_cell_magic('task', 'loop', {LOOP!r})")))
            ratios.append(task / plain)
        row(
            "a loop of 3 million rounds as a task against the same plain cell, CPU", f"{statistics.median(ratios):.2f}x"
        )


def completion(times: int = 20) -> None:
    """Tab behind an option whose choices are in the database."""
    with kernel() as started:
        started.run(_REGISTER.format(sources=chain(1)))
        started.run("%flow run --all")
        line, costs = "%logs --run ", []
        for _ in range(times):
            began = time.perf_counter()
            started.client.complete(line, len(line), reply=True)
            costs.append(1000 * (time.perf_counter() - began))
        row("Tab after `%logs --run `, until the answer is there", f"{statistics.median(costs):.0f} ms")


def saved() -> None:
    """What the live view sends once, and what stays in the notebook."""
    row("code of the live view", f"{(STATIC / 'dag.js').stat().st_size / 1000:.1f} kB")
    with kernel() as started:
        started.run(_REGISTER.format(sources=chain(10)))
        started.run("%flow run --all")
        weight = max(sum(len(str(part)) for part in data.values()) for data in started.displayed)
        row("saved output of a graph of 10 nodes", f"{weight / 1000:.1f} kB")


def main() -> None:
    """Print the table."""
    heading("Notebook")
    header("what", "measured")
    for measure in (loading, graphs, cells, loops, completion, saved):
        measure()


if __name__ == "__main__":
    main()
