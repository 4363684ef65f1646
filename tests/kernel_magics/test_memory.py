"""What is not needed any more is let go of."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook

BIG = """
import gc, weakref
alive = weakref.WeakSet()
class Big(list):
    __hash__ = object.__hash__
def big():
    made = Big([1])
    alive.add(made)
    return made
"""


def living(nb: Notebook) -> int:
    count: int = nb.value("(gc.collect(), len(alive))[1]")
    return count


def test_a_task_that_runs_again_keeps_only_its_last_result(nb: Notebook) -> None:
    nb.cells(BIG, "%%task\nx = big()")
    for _ in range(3):
        nb.ok("%%task\nx = big()", "b")
        assert living(nb) == 1
    for _ in range(2):
        nb.ok("%flow run --all", "run")
        assert living(nb) == 1


def test_functions_and_classes_of_a_task_do_not_keep_its_inputs(nb: Notebook) -> None:
    nb.cells(BIG, "%%task\nx = big()", "%%task\nn = len(x)\ndef f(): return 1\nclass C:\n    def m(self): return f()")
    nb.ok("%%task\nx = []", "b")
    nb.ok("%flow run", "run")
    assert living(nb) == 0
    assert nb.value("C().m()") == 1


def test_plain_cells_keep_no_version_that_nobody_reads(nb: Notebook) -> None:
    nb.cells(BIG, "x = big()", "x = big()", "x = big()")
    assert living(nb) == 1
    nb.ok("del x", "e")
    assert living(nb) == 0


def test_a_version_that_a_task_reads_is_kept(nb: Notebook) -> None:
    nb.cells(BIG, "x = big()", "%%task\nn = len(x)", "x = big()")
    assert living(nb) == 2
    nb.ok("%flow run --all", "run")
    assert nb.value("n") == 1


def test_a_version_that_was_let_go_of_is_asked_for(nb: Notebook) -> None:
    nb.cells("x = [1, 2]", "%%task t --define\nn = 0", "x = [3]")
    output = nb.fails("%%task t\nn = len(x)", "b")
    assert "Task 't' needs 'x' as cell 1 made it, which was not kept because a later cell binds 'x' again" in output
    nb.ok("x = [1, 2]", "a")
    nb.ok("%%task t\nn = len(x)", "b")
    assert nb.value("n") == 2


def test_a_cell_that_is_run_often_keeps_one_context(nb: Notebook) -> None:
    nb.ok("import contextvars, gc, weakref\nclass Mark: pass\nmark = contextvars.ContextVar('mark')\nmarks = []", "a")
    for _ in range(3):
        nb.ok("m = Mark(); marks.append(weakref.ref(m)); mark.set(m); del m", "b")
        nb.ok("%%task t\nx = 1", "t")
    nb.ok("mark.set(None)", "b")
    assert nb.value("(gc.collect(), sum(m() is not None for m in marks))[1]") <= 1
