"""Task cells executed in other processes: as in the kernel's own, with their output under their cells."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from tests.waiting import CUT_SHORT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kernel_magics.conftest import Notebook

ON_DASK = """
__spec__ = None  # which the reset of the kernel between tests removes, and multiprocessing looks for
from distributed import LocalCluster as _LocalCluster
import flowbook_magics.places as _places
from flowbook.run.dask import DaskPool as _DaskPool, Target as _Target
_cluster = _LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0")
_places.ThreadPool = lambda _: _DaskPool(_Target(cluster=_cluster), 2)
"""
IN_PROCESSES = """
import os
import flowbook_magics.places as _places
from flowbook.run.processes import ProcessPool as _ProcessPool
_places.ThreadPool = lambda _: _ProcessPool(2, 2)
kernel_pid = os.getpid()
"""
PATIENT = """
from flowbook.run import pool as _pool, processes as _processes
_pool._INTERRUPT_GRACE, _processes._INTERRUPT_GRACE = 120, 60
"""


@pytest.fixture
def remote(nb: Notebook) -> Notebook:
    """A notebook whose flow runs execute their tasks in child processes."""
    nb.ok(IN_PROCESSES, "runner")
    return nb


def test_values_go_there_and_come_back(remote: Notebook) -> None:
    remote.ok("import os\nbase = [1, 2]", "setup")
    remote.ok("%%task first --define\ndoubled = [2 * n for n in base]\nfirst_pid = os.getpid()", "a")
    remote.ok("%%task second --define\ntotal = sum(doubled)\nsecond_pid = os.getpid()", "b")
    remote.ok("%flow run", "run")
    assert remote.value("(doubled, total)") == ([2, 4], 6)
    assert remote.value("kernel_pid in (first_pid, second_pid)") is False
    assert remote.states() == [("first", "COMPLETED", "Completed"), ("second", "COMPLETED", "Completed")]


def test_only_declared_outputs_come_back(remote: Notebook) -> None:
    remote.ok("import os\nlimit = 10", "setup")
    remote.ok("%%task make --define\nx = [1]", "a")
    remote.ok("%%task grow --in x --out f --define\nstep = limit\nx.append(2)\ndef f(v):\n    return v + step", "b")
    remote.ok("%%task use --define\nused = f(x[-1])", "c")
    remote.ok("%flow run", "run")
    assert remote.value("used, x, 'step' in globals()") == (12, [1, 2], False)


def test_output_lands_under_the_cell_while_the_task_runs(remote: Notebook, tmp_path: Path) -> None:
    remote.ok(f"import pathlib, sys, time, warnings\nseen = pathlib.Path({str(tmp_path / 'seen')!r})", "setup")
    remote.ok(
        "%%task chatty --define\nprint('begun')\nsys.stderr.write('aside\\n')\nwarnings.warn('mind the gap')\n"
        "while not seen.exists():\n    time.sleep(0.01)\nprint('ended')\n{'answer': 6 * 7}",
        "a",
    )
    request = remote.send("%flow run", "run")
    remote.until(lambda: "mind the gap" in remote.output("a"))
    assert "ended" not in remote.output("a")
    (tmp_path / "seen").touch()
    assert remote.finish(request).status == "ok"
    assert "begun\n" in remote.outputs["a"].of("stream")
    assert "aside\n" in remote.outputs["a"].of("stream")
    assert remote.outputs["a"].of("display") == "{'answer': 42}"
    assert "begun" not in remote.output("run")


def test_what_is_displayed_keeps_its_form(remote: Notebook) -> None:
    remote.ok(
        "%%task shows --define\nimport pandas as pd\nfrom matplotlib import pyplot as plt\n"
        "plt.plot([1, 2])\nplt.show()\ndisplay('early')\npd.DataFrame({'a': [1]})",
        "a",
    )
    remote.ok("%flow run", "run")
    bundles = [item["data"] for item in remote.outputs["a"].items if item["kind"] == "display"]
    assert [sorted(bundle) for bundle in bundles] == [
        ["image/png", "text/plain"],
        ["text/plain"],
        ["text/html", "text/plain"],
    ]


def test_an_error_is_shown_under_the_cell_with_its_lines(remote: Notebook) -> None:
    remote.ok("def divide(a, b):\n    return a / b", "setup")
    remote.ok("%%task broken --define\nprint('before')\nzero = 0\nratio = divide(1, zero)", "a")
    remote.fails("%flow run", "run")
    shown = remote.outputs["a"].of("error")
    assert "ZeroDivisionError" in shown
    assert "ratio = divide(1, zero)" in shown
    assert "return a / b" in shown
    assert "flowbook" not in shown
    assert remote.states() == [("broken", "FAILED", "Failed")]


def test_functions_and_classes_of_the_notebook_go_along(remote: Notebook) -> None:
    remote.ok(
        "import math\nfactor = 3\n"
        "def scaled(n):\n    return factor * n\n"
        "class Point:\n    def __init__(self, x):\n        self.x = scaled(x)\n    def __eq__(self, other):\n"
        "        return isinstance(other, Point) and self.x == other.x",
        "setup",
    )
    remote.ok("%%task make --define\npoints = [Point(n) for n in (1, 2)]\nroot = math.sqrt(scaled(3))", "a")
    remote.ok("%%task use --define\nsame = points == [Point(1), Point(2)]", "b")
    remote.ok("%flow run", "run")
    assert remote.value("(same, root, [p.x for p in points], isinstance(points[0], Point))") == (
        True,
        3.0,
        [3, 6],
        True,
    )


def test_a_helper_sees_the_version_that_its_cell_sees(remote: Notebook) -> None:
    remote.ok("rate = 1\ndef rated(n):\n    return rate * n", "a")
    remote.ok("%%task early --define\nearly = rated(10)", "b")
    remote.ok("rate = 5", "c")
    remote.ok("%%task late --define\nlate = rated(10)", "d")
    remote.ok("%flow run", "run")
    assert remote.value("(early, late)") == (10, 50)


def test_a_helper_that_binds_a_global_binds_it_for_the_cell(remote: Notebook) -> None:
    remote.ok("memory = 0\ndef remember(n):\n    global memory\n    memory = n", "a")
    remote.ok("%%task sets --define\nremember(7)\ncopied = memory", "b")
    remote.ok("%flow run", "run")
    assert remote.value("(copied, memory)") == (7, 7)


def test_a_function_that_a_task_defines_belongs_to_the_notebook(remote: Notebook) -> None:
    remote.ok("unit = 'm'", "a")
    remote.ok(
        "%%task defines --define\n_digits = 2\ndef shown(x):\n    return f'{x} {unit}'\n"
        "def rounded(x):\n    return round(x, _digits)",
        "b",
    )
    remote.ok("%flow run", "run")
    remote.ok("unit = 'km'", "c")
    assert remote.value("(shown(1), rounded(1.234))") == ("1 km", 1.23)


def test_an_object_that_a_task_changes_is_changed(remote: Notebook) -> None:
    remote.ok("rows = [1]", "a")
    remote.ok("%%task grow --define\nrows.append(2)", "b")
    remote.ok("%%task count --define\nn = len(rows)", "c")
    remote.ok("%flow run", "run")
    assert remote.value("(n, rows)") == (2, [1, 2])


def test_an_object_that_a_task_changes_unseen_is_changed_too(remote: Notebook) -> None:
    remote.ok("import operator\nrows = [1]", "a")
    remote.ok("%%task grow --define\noperator.methodcaller('append', 2)(rows)", "b")
    remote.ok("%%task count --define\nn = len(rows)", "c")
    said = remote.ok("%flow run", "run")
    assert remote.value("(n, rows)") == (2, [1, 2])
    assert "'rows' was changed in place while task 'grow' ran" in said + remote.output("b")


def test_a_method_sees_the_version_that_its_cell_sees(remote: Notebook) -> None:
    remote.ok("class Pricer:\n    def price(self):\n        return 10 * rate\npricer = Pricer()\nrate = 1", "a")
    remote.ok("%%task first --define\none = pricer.price()", "b")
    remote.ok("%%task own --define\nrate = 5\nfive = pricer.price()", "c")
    remote.ok("%%task last --define\nrate = 2\ntwo = pricer.price()", "d")
    remote.ok("%flow run --all", "run")
    assert remote.value("(one, five, two)") == (10, 50, 20)


def test_awaits_work(remote: Notebook) -> None:
    remote.ok("import asyncio", "a")
    remote.ok("%%task waits --define\nawait asyncio.sleep(0)\nwaited = True", "b")
    remote.ok("%flow run", "run")
    assert remote.value("waited") is True


@pytest.mark.parametrize("line", ["%timeit -n1 -r1 pass", "!true", "get_ipython()"])
def test_a_cell_that_needs_ipython_says_so(remote: Notebook, line: str) -> None:
    remote.ok(f"%%task magical --define\n{line}\nx = 1", "a")
    said = remote.fails("%flow run", "run")
    assert "Task 'magical' uses IPython" in said
    assert "Task 'magical' uses IPython" in remote.outputs["a"].of("error")


def test_what_cannot_be_sent_there_is_named(remote: Notebook) -> None:
    remote.ok("import threading\nlock = threading.Lock()", "a")
    remote.ok("%%task locked --define\nwith lock:\n    x = 1", "b")
    said = remote.fails("%flow run", "run")
    assert "Task run 'locked' cannot be sent to another process: its argument 'lock' is a _thread.lock" in said


def test_what_cannot_be_sent_back_stays_there_unless_it_is_needed(remote: Notebook) -> None:
    remote.ok("%%task opens --define\nnumbers = (n for n in range(3))\ntotal = sum(numbers)", "a")
    remote.ok("%flow run", "run")
    assert remote.value("(total, 'numbers' in globals())") == (3, False)
    assert "'numbers' stays in the process that executed the cell: a generator cannot be sent back" in remote.output(
        "a"
    )
    remote.ok("%%task takes --define\nfirst = next(numbers)", "b")
    said = remote.fails("%flow run --all", "run")
    assert "'numbers' is a generator, which cannot be sent back" in said
    assert "another cell reads it" in said


def test_the_stop_button_ends_the_process_of_a_task(remote: Notebook) -> None:
    remote.ok(PATIENT, silent=True)
    remote.ok("import os, time", "a")
    remote.ok(
        "%%task busy --define\nprint('begun', os.getpid())\n"
        "try:\n    time.sleep(60)\nfinally:\n    print('ended')\nx = 1",
        "b",
    )
    request = remote.send("%flow run", "run")
    remote.until(lambda: "begun" in remote.output("b"))
    remote.manager.interrupt_kernel()
    began = time.monotonic()
    assert remote.finish(request).status == "error"
    assert time.monotonic() - began < CUT_SHORT
    assert "ended" in remote.output("b")
    assert [state for _, state, _ in remote.states()] == ["CANCELLED"]
    pid = int(remote.outputs["b"].of("stream").split()[1])
    assert remote.value(f"os.path.exists('/proc/{pid}')") is False


def test_a_timeout_kills_whatever_a_cell_does(remote: Notebook) -> None:
    remote.ok("%%task stuck --define --timeout 0.3\nimport ctypes\nctypes.PyDLL(None).sleep(60)\nx = 1", "a")
    began = time.monotonic()
    remote.fails("%flow run", "run")
    assert time.monotonic() - began < CUT_SHORT
    assert remote.states() == [("stuck", "FAILED", "TimedOut")]
    assert "ran longer than its timeout of 0.3 seconds" in remote.output("a")


FLOW = """
import os, time
from flowbook import flow, task, get_run_logger
from flowbook.task_runners import DaskTaskRunner, ProcessPoolTaskRunner

rate = 3
class Item:
    def __init__(self, n):
        self.n = n

@task
def scale(item):
    get_run_logger().info("scaling %s", item.n)
    print("said in", os.getpid())
    return Item(item.n * rate)

@task(name="divide")
def divide(item):
    return item.n / 0

@flow(task_runner={runner})
def pipeline(fail=False):
    made = scale.submit(scale.submit(Item(2))).result()
    return divide.submit(made).result() if fail else (isinstance(made, Item), made.n)
"""


@pytest.mark.parametrize(
    "runner", ["ProcessPoolTaskRunner(1)", "DaskTaskRunner(cluster_kwargs={'n_workers': 1, 'threads_per_worker': 1})"]
)
def test_tasks_and_flows_that_a_cell_defines(nb: Notebook, runner: str) -> None:
    nb.ok(FLOW.format(runner=runner), "a")
    said = nb.ok("pipeline()", "b")
    assert "(True, 18)" in said
    assert said.count("said in") == 2
    assert f"said in {nb.value('os.getpid()')}" not in said
    assert "scaling 2" in said
    shown = nb.fails("pipeline(fail=True)", "c")
    assert "ZeroDivisionError" in shown
    assert "return item.n / 0" in shown
    assert "run/relay.py" not in shown
    assert "run/child.py" not in shown


def test_cells_on_dask(nb: Notebook) -> None:
    nb.ok(ON_DASK, "runner")
    nb.ok("def helper(n):\n    return n + 1", "setup")
    nb.ok("%%task first --define\nimport os\nprint('first')\none = helper(0)\nfirst_pid = os.getpid()", "a")
    nb.ok("%%task second --define\ntwo = helper(one)\ntwo", "b")
    nb.ok("%flow run", "run")
    assert nb.value("(one, two)") == (1, 2)
    assert nb.value("first_pid == __import__('os').getpid()") is False
    assert "first" in nb.output("a")
    assert nb.outputs["b"].of("display") == "2"
    nb.ok("_cluster.close()", "end")


SHARED = {
    "by another name": ("items = [1]\nsame = items", "items.append(2)", "same", [1, 2]),
    "in an object": ("items = {1}\nbox = {'it': (items, 0)}", "items.add(2)", "box", {"it": ({1, 2}, 0)}),
    "by an attribute": (
        "class Box:\n    n = 0\nbox = Box()\nteam = [box]",
        "box.n += 5",
        "team[0].n, team[0] is box",
        (5, True),
    ),
    "a table": (
        "import pandas as pd\ntable = pd.DataFrame({'a': [1]})\nbook = {'t': table}",
        "table['b'] = 2",
        "list(book['t'].columns)",
        ["a", "b"],
    ),
    "bound anew": ("items = [1]\nsame = items", "items = [*items, 2]", "same, items", ([1], [1, 2])),
}


@pytest.mark.parametrize("case", SHARED)
def test_what_shares_an_object_sees_it_changed_in_another_process(remote: Notebook, case: str) -> None:
    make, change, look, expected = SHARED[case]
    remote.cells(
        f"%%task make --define\n{make}",
        f"%%task change --define\n{change}",
        f"%%task look --define\nseen = {look}",
    )
    for _ in range(2):
        remote.ok("%flow run --all", "run")
        assert remote.value("seen") == expected


def test_random_numbers_are_those_of_one_process(remote: Notebook) -> None:
    remote.cells(
        "import random",
        "%%task seed --define\nrandom.seed(4)",
        "%%task one --define\none = random.random()",
        "%%task two --define\ntwo = random.random()",
        "%%task last --define\nlast = random.random()",
    )
    remote.ok("%flow run --all", "run")
    remote.ok("random.seed(4)\nexpected = [random.random() for _ in range(3)]", silent=True)
    assert remote.value("[one, two, last] == expected")


def test_views_of_arrays_stay_views(remote: Notebook) -> None:
    remote.cells(
        "import numpy as np",
        "%%task make --define\nwhole = np.zeros((2, 2))\nrow = whole[1]",
        "%%task view --define\nturned = whole.T",
        "%%task change --define\nrow += 1",
        "%%task change_more --define\nturned[1, 0] = 5",
        "%%task look --define\nseen = whole.tolist()",
    )
    remote.ok("%flow run --all", "run")
    assert remote.value("seen") == [[0, 5], [1, 1]]
    assert remote.value("row.tolist(), row.base is whole.base or row.base.base is whole") == ([1, 1], True)


def test_views_that_are_lost_on_the_way_are_told(remote: Notebook) -> None:
    remote.cells(
        "import numpy as np",
        "%%task make --define\n_large = np.zeros(1_000_000)\none, other = _large[:1], _large[:2]",
        "%%task change --define\none += 1",
    )
    remote.ok("%flow run --all", "run")
    assert "'one' and 'other' are two arrays now: one was a view of the other" in remote.output("b")


def test_what_a_function_caches_stays_where_it_is(remote: Notebook) -> None:
    remote.cells(
        "from functools import lru_cache\n@lru_cache\ndef double(n):\n    return 2 * n",
        "%%task one --define\none = double(1)",
        "%%task two --define\ntwo = double(one)",
    )
    remote.ok("%flow run --all", "run")
    assert remote.value("one, two, double.cache_info().currsize") == (2, 4, 0)
    said = "What 'double' has cached does not go to the process of task 'one'"
    assert said in remote.output("b")
    assert "has cached" not in remote.output("c")


def test_figures_that_other_cells_cannot_go_on_with_are_told(remote: Notebook) -> None:
    remote.cells(
        "import matplotlib\nmatplotlib.use('agg')\nfrom matplotlib import pyplot as plt\nfigure, axes = plt.subplots()",
        "%%task lines --define\naxes.plot([1, 2])",
        "%%task more --define\nplt.plot([2, 1])",
    )
    remote.ok("%flow run --all", "run")
    assert "'axes' was a copy in the process of task 'lines'" in remote.output("b")
    assert "Task 'more' has drawn with pyplot in another process, which does not know" in remote.output("c")


BORG = "class Borg:\n    shared = {}\n    def __init__(self):\n        self.__dict__ = Borg.shared"


@pytest.mark.parametrize("magic", ["", "%%task make --define\n"], ids=["sent there", "sent back"])
def test_objects_that_share_their_attributes_are_not_sent(remote: Notebook, magic: str) -> None:
    remote.cells(BORG, f"{magic}one = Borg()", "%%task use --define\none.color = 'red'")
    reply = remote.run("%flow run --all", "run")
    assert reply.status == "error"
    assert "a Borg has its attributes in a dict that others hold as well (`self.__dict__ = …`)" in reply.evalue


def test_random_numbers_that_are_drawn_unseen_in_another_process_are_drawn_again(remote: Notebook) -> None:
    module = "import random\n\ndef draw():\n    return random.random()\n"
    seed = "import random, sys\nsys.path.insert(0, '')\nimport drawing\nrandom.seed(1)"
    remote.ok(f"from pathlib import Path\nPath('drawing.py').write_text({module!r})", silent=True)
    remote.ok(f"{seed}\nexpected = [drawing.draw() for _ in range(3)]", silent=True)
    remote.cells(seed, *(f"%%task {name} --define\n{name} = drawing.draw()" for name in ("one", "two", "three")))
    said = remote.ok("%flow run --all", "run")
    assert remote.value("[one, two, three] == expected"), said
    assert "runs again: it used random state in another process, to which it was not sent" in said
    assert "runs again" not in remote.ok("%flow run --all", "run")
    assert remote.value("[one, two, three] == expected")


def test_what_cannot_be_read_here_fails_the_task_with_a_sentence(remote: Notebook) -> None:
    code = "class Bad(Exception):\n    def __init__(self, one, two):\n        super().__init__(one)\nkept = [Bad(1, 2)]"
    remote.cells(f"%%task make --define\n{code}", "%%task use --define\nn = len(kept)")
    reply = remote.run("%flow run --all", "run")
    assert reply.status == "error"
    assert "NotPicklable: What task 'make' has left cannot be read here (TypeError: Bad.__init__()" in reply.evalue


def test_code_that_runs_for_copies_is_told_once(remote: Notebook) -> None:
    remote.cells(
        "class Res:\n    def __del__(self):\n        pass\nres = Res()",
        "%%task one --define\nres.n = 1",
        "%%task two --define\nres.n += 1",
    )
    remote.ok("%flow run --all", "run")
    assert remote.value("res.n") == 2
    said = "Objects of 'Res' are copied for the process of task 'one', so its __del__ ran for copies, too."
    assert said in remote.output("b")
    assert "copied for" not in remote.output("c")


def test_handlers_that_do_not_hear_what_a_task_logs_are_told(remote: Notebook) -> None:
    handler = "class Kept(logging.Handler):\n    def emit(self, record):\n        records.append(record.msg)"
    remote.cells(
        f"import logging\nrecords = []\n{handler}\nlog = logging.getLogger('mine')\nlog.addHandler(Kept())",
        "%%task tell --define\nlog.warning('one')",
    )
    remote.ok("%flow run --all", "run")
    assert "What task 'tell' logs in another process does not reach the handlers" in remote.output("b")


def test_a_file_that_was_asked_for_too_early_is_read_again(remote: Notebook) -> None:
    call = "from operator import methodcaller as call\nfrom pathlib import Path\nimport time"
    wait = "while not call('exists')(Path('tri' + 'ed')):\n    time.sleep(0.01)"
    remote.cells(
        call,
        f"%%task put --define\n{wait}\ncall('write_text', 'x')(Path('a' + '.txt'))",
        "%%task get --define\ncall('mkdir', exist_ok=True)(Path('tri' + 'ed'))\n"
        "got = call('read_text')(Path('a' + '.txt'))",
    )
    said = remote.ok("%flow run --all", "run")
    assert remote.value("got") == "x"
    assert "Task 'get' runs again: it ran before put had ended, and was seen to share the file a.txt" in said
    assert "runs again" not in remote.ok("%flow run --all", "run")
