"""An unattended run, driven by hand: what the process that executes a notebook does between its cells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook, Reply

RUN = "0190a5f27d4c7c639b2a6a4d8f1e2c3b"
CALL = "__import__('flowbook_magics.unattended', fromlist=['_'])."


class Driver:
    """Executes the cells of a notebook one by one, as the process of an unattended run does."""

    def __init__(self, nb: Notebook, folder: Path, cells: list[str], **run: Any) -> None:
        self.nb, self.sources = nb, cells
        plain = [{"cell_type": "code", "source": source.splitlines(keepends=True)} for source in cells]
        (folder / "snapshot.ipynb").write_text(json.dumps({"cells": plain}))
        claimed = {"flow_run_id": RUN, "fence": 0, "parent_id": None, "tags": [], "name": "n", "trigger": "test"}
        claimed |= {"deployment_id": "d", "keeps_output": False, "in_loop": []}
        described = {**claimed, "flow": "report", "schema": [], "parameters": {}, **run}
        (folder / "run.json").write_text(json.dumps({"snapshot": str(folder / "snapshot.ipynb"), **described}))
        record = (
            "from flowbook import engine as e\n"
            f"e.engine().recorder.emit('flow-run', {RUN!r}, None, {{'name': 'n', 'flow': 'report', 'parameters': {{}},"
            " 'trigger': 'test', 'host': 'h', 'pid': 1, 'pid_started': 0.0})\n"
            f"import os; os.environ['FLOWBOOK_RUN_FOLDER'] = {str(folder)!r}\n{CALL}begin()"
        )
        nb.ok(record, silent=True)

    def cell(self, index: int) -> Reply:
        source = self.sources[index]
        plain = not source.startswith(("%%task", "#| task", "%"))
        reply = self.nb.run(f"{CALL}enter_cell({index}, {plain})", silent=True)
        return self.nb.run(source) if reply.status == "ok" else reply

    def all(self) -> list[Reply]:
        return [self.cell(index) for index in range(len(self.sources))]

    def finish(self) -> Reply:
        return self.nb.run(f"{CALL}finish()", silent=True)


def task_states(nb: Notebook) -> dict[str, str]:
    nb.ok("from flowbook import engine as e; e.engine().journal.flush()", silent=True)
    return {name: state for name, _, state in nb.states()}


def test_tasks_run_beside_each_other_and_beside_plain_cells(nb: Notebook, tmp_path: Path) -> None:
    driver = Driver(
        nb,
        tmp_path,
        [
            "import threading\nmeet = threading.Barrier(3, timeout=60)",
            "%%task p\nmeet.wait(); p = 1",
            "#| task q\nmeet.wait(); q = 2",
            "met = meet.wait() >= 0",
            "total = p + q",
        ],
    )
    assert [reply.status for reply in driver.all()] == ["ok"] * 5
    assert driver.finish().status == "ok"
    assert nb.value("met, total") == (True, 3)
    assert task_states(nb) == {"p": "Completed", "q": "Completed"}


def test_task_runs_are_recorded_under_the_run(nb: Notebook, tmp_path: Path) -> None:
    driver = Driver(nb, tmp_path, ["%%task p\nx = 1", "%%task q\ny = x"])
    driver.all()
    assert driver.finish().status == "ok"
    view = f"__import__('flowbook.runs', fromlist=['_']).run_view({RUN!r})"
    found = nb.value(f"[(n.name, n.state.name, len(n.upstream)) for n in {view}.nodes.values()]")
    assert found == [("p", "Completed", 0), ("q", "Completed", 1)]


def test_output_lands_under_the_cell_that_was_submitted(nb: Notebook, tmp_path: Path) -> None:
    driver = Driver(
        nb,
        tmp_path,
        [
            "import threading\ngo = threading.Barrier(2, timeout=60)",
            "%%task p\ngo.wait(); print('from p'); x = 1",
            "ready = go.wait()",
            "x",
        ],
    )
    assert [reply.status for reply in driver.all()] == ["ok"] * 4
    driver.finish()
    assert "from p" in nb.output(driver.sources[1])
    assert nb.output("x") == "1"


def test_two_cells_with_the_same_text_are_two_cells(nb: Notebook, tmp_path: Path) -> None:
    driver = Driver(nb, tmp_path, ["x = 1", "%%task\nx = x + 1", "%%task\nx = x + 1", "seen = x"])
    assert [reply.status for reply in driver.all()] == ["ok"] * 4
    assert driver.finish().status == "ok"
    assert nb.value("seen, x") == (3, 3)


def test_a_plain_cell_that_changes_an_object_waits_for_its_readers(nb: Notebook, tmp_path: Path) -> None:
    driver = Driver(nb, tmp_path, ["x = [1]", "%%task\nimport time; time.sleep(0.2); seen = list(x)", "x.append(2)"])
    assert [reply.status for reply in driver.all()] == ["ok"] * 3
    driver.finish()
    assert nb.value("seen, x") == ([1], [1, 2])


def test_a_plain_cell_that_rebinds_a_name_does_not_disturb_its_readers(nb: Notebook, tmp_path: Path) -> None:
    driver = Driver(
        nb,
        tmp_path,
        [
            "import threading\ngo = threading.Barrier(2, timeout=60)\nx = 1",
            "def f(): return x",
            "%%task\ngo.wait(); seen = (x, f())",
            "x = 2\nlater = 0",
            "met = go.wait()",
        ],
    )
    assert [reply.status for reply in driver.all()] == ["ok"] * 5
    assert driver.finish().status == "ok"
    assert nb.value("seen, x") == ((1, 1), 2)


def test_a_failure_stops_what_needs_it(nb: Notebook, tmp_path: Path) -> None:
    driver = Driver(nb, tmp_path, ["%%task bad\nx = 1/0", "%%task after\ny = x", "%%task beside\nz = 1", "print(x)"])
    replies = driver.all()
    assert [reply.status for reply in replies] == ["ok", "ok", "ok", "error"]
    assert replies[3].ename == "UpstreamTaskError"
    assert replies[3].evalue == "It needs the task 'bad', which is Failed."
    assert driver.finish().ename == "ZeroDivisionError"
    assert task_states(nb) == {"bad": "Failed", "after": "NotReady", "beside": "Completed"}
    assert "ZeroDivisionError" in nb.output(driver.sources[0])


def test_a_mistake_in_a_cell_is_an_error(nb: Notebook, tmp_path: Path) -> None:
    driver = Driver(nb, tmp_path, ["%%task p --retry 2\nx = 1", "%%task q\ny = nowhere"])
    assert [reply.ename for reply in driver.all()] == ["UsageError", "UsageError"]


IGNORED = {
    "%flow run": "%flow run",
    "%flow run --background": "%flow run",
    "%flow cancel": "%flow cancel",
    "%flow export x.py": "%flow export",
    "%logs --follow": "%logs --follow",
    "%runs open last": "%runs open",
    "%deploy": "%deploy",
}


def test_magics_that_do_nothing_here(nb: Notebook, tmp_path: Path) -> None:
    driver = Driver(nb, tmp_path, ["%%task p\nx = 1", *IGNORED])
    assert [reply.status for reply in driver.all()] == ["ok"] * (1 + len(IGNORED))
    assert driver.finish().status == "ok"
    for line, called in IGNORED.items():
        assert nb.output(line).startswith(f"{called} does nothing here: this is an unattended run")


def test_the_parameters_of_the_run(nb: Notebook, tmp_path: Path) -> None:
    schema = [
        {"name": "day", "annotation": "date", "default": None},
        {"name": "n", "annotation": "int", "default": "1"},
    ]
    driver = Driver(
        nb,
        tmp_path,
        ["from datetime import date\nday, n = date(2026, 1, 1), 1", "%%task\nout = (day.isoformat(), n + 1)"],
        schema=schema,
        parameters={"day": "2026-02-03", "n": "4"},
    )
    assert driver.cell(0).status == "ok"
    assert nb.run(f"{CALL}set_parameters()", silent=True).status == "ok"
    assert driver.cell(1).status == "ok"
    assert driver.finish().status == "ok"
    assert nb.value("out") == ("2026-02-03", 5)


def test_a_flow_that_a_cell_defines(nb: Notebook, tmp_path: Path) -> None:
    driver = Driver(
        nb,
        tmp_path,
        [
            "%%flow nightly --params n:int=1\nfrom flowbook import task\n"
            "@task\ndef double(x): return 2 * x\nout = double(n)"
        ],
        flow="nightly",
        parameters={"n": 21},
    )
    driver.all()
    nb.ok(f"result = {CALL}run_flow('nightly')", silent=True)
    assert nb.value("result") == 42
    assert task_states(nb) == {"double": "Completed"}
    assert nb.states("flow_run")[-1][2] == "Completed"


def test_without_a_run_it_says_so(nb: Notebook) -> None:
    reply = nb.run(f"{CALL}finish()")
    assert (reply.ename, reply.evalue) == ("CellError", "No unattended run has begun in this kernel.")


def test_a_mapped_cell_and_a_plain_cell_that_takes_its_list(nb: Notebook, tmp_path: Path) -> None:
    cells = ["numbers = [1, 2, 3]", "%%task part --map n=numbers\nsquare = n * n", "total = sum(square)"]
    driver = Driver(nb, tmp_path, cells)
    assert [reply.status for reply in driver.all()] == ["ok"] * 3
    assert driver.finish().status == "ok"
    assert nb.value("total") == 14
    assert task_states(nb) == dict.fromkeys(["part", "part[0]", "part[1]", "part[2]"], "Completed")


def test_cells_go_on_with_what_one_has_begun_and_others_await_beside_them(nb: Notebook, tmp_path: Path) -> None:
    nb.ok("import asyncio, threading\nboth = threading.Barrier(2, timeout=60)")
    begin = "%%task begin\nevent = asyncio.Event()\nbegun = asyncio.create_task(event.wait())"
    beside = ["%%task a\na = await asyncio.to_thread(both.wait)", "%%task b\nb = await asyncio.to_thread(both.wait)"]
    end = "%%task end\nevent.set()\ndone = await begun"
    cells = [*beside, begin, end, "print(done, a + b)"]
    driver = Driver(nb, tmp_path, cells, in_loop=[2, 3])
    assert [reply.status for reply in driver.all()] == ["ok"] * 5
    assert nb.output(cells[-1]) == "True 1\n"


HIDDEN = [
    "import operator, threading\nthreading.made = threading.Event()",
    "%%task box\nbox = [1]\ntable = [[box]]",
    "%%task change\nin_time = threading.made.wait(60)\noperator.methodcaller('append', 2)(table[0][0])",
    "%%task late\nseen = len(box)\ndone = threading.made.set()",
]


def test_a_task_that_may_have_seen_the_wrong_version_runs_again(nb: Notebook, tmp_path: Path) -> None:
    driver = Driver(nb, tmp_path, HIDDEN)
    assert [reply.status for reply in driver.all()] == ["ok"] * 4
    assert driver.finish().status == "ok"
    assert nb.value("seen, in_time") == (2, True)


def test_a_plain_cell_that_read_from_such_a_task_fails_the_run(nb: Notebook, tmp_path: Path) -> None:
    driver = Driver(nb, tmp_path, [*HIDDEN, "report = seen"])
    assert [reply.status for reply in driver.all()] == ["ok"] * 5
    assert driver.finish().evalue == (
        "Task 'late' had to run again after cell 5, a plain cell, had read from it: beside other tasks it ran in a "
        "wrong order, which their code does not show. Make a task of that cell, or give the later task `--after`."
    )


def test_an_object_of_a_plain_cell_that_would_be_changed_twice_fails_the_run(nb: Notebook, tmp_path: Path) -> None:
    cells = [HIDDEN[0] + "\ntimes = []", *HIDDEN[1:3], HIDDEN[3] + "\ntimes.append(seen)"]
    driver = Driver(nb, tmp_path, cells)
    assert [reply.status for reply in driver.all()] == ["ok"] * 4
    assert driver.finish().evalue == (
        "Tasks had to run again, because in their order they share what no code shows. 'times' has in it what an "
        "earlier run of the tasks has left: cell 1, a plain cell, made it, and task 'late' changes it in place. Run "
        "cell 1 again first, or make a task of it."
    )


def test_a_task_that_only_read_too_early_runs_again_alone(nb: Notebook, tmp_path: Path) -> None:
    cells = [HIDDEN[0] + "\nbox = [1]\ntable = [[box]]", *HIDDEN[2:]]
    driver = Driver(nb, tmp_path, cells)
    assert [reply.status for reply in driver.all()] == ["ok"] * 3
    assert driver.finish().status == "ok"
    assert nb.value("seen, box") == (2, [1, 2])


def test_what_a_run_has_seen_the_next_one_knows(nb: Notebook, tmp_path: Path) -> None:
    cells = [*HIDDEN, "report = seen"]
    once, again = tmp_path / "once", tmp_path / "again"
    once.mkdir()
    again.mkdir()
    driver = Driver(nb, once, cells)
    driver.all()
    assert "had to run again after cell 5, a plain cell" in driver.finish().evalue
    nb.reset()
    driver = Driver(nb, again, cells)
    assert [driver.cell(index).status for index in range(2)] == ["ok", "ok"]
    nb.ok("threading.made.set()", silent=True)  # for the last task comes behind the one that waits for it now
    assert [driver.cell(index).status for index in (2, 3, 4)] == ["ok"] * 3
    assert driver.finish().status == "ok"
    assert nb.value("report") == 2
