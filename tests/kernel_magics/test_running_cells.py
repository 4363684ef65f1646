"""What running a task cell does, and ``%flow run``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook


def test_a_task_cell_runs_and_binds_what_it_wrote(nb: Notebook) -> None:
    assert nb.ok("%%task load\nraw = [1, 2]\nprint('loaded')\nraw", "a") == "loaded\n[1, 2]"
    assert nb.value("raw") == [1, 2]
    assert nb.tasks() == {"load": ("fresh", "")}
    assert nb.states() == [("load", "COMPLETED", "Completed")]


@pytest.mark.parametrize(
    "first", ["%%task", "#| task", "#|task", "# loads\n%%task", "# loads\n\n#| task", "\n\n%%task"]
)
def test_every_way_to_mark_a_task_cell(nb: Notebook, first: str) -> None:
    nb.ok(f"{first}\nraw = 1", "a")
    assert nb.tasks() == {"raw": ("fresh", "")}
    assert nb.value("raw") == 1


@pytest.mark.parametrize("first", ["%%task load", "# why\n%%task load", "#| task load"])
def test_define_only_registers(nb: Notebook, first: str) -> None:
    assert nb.ok(f"{first} --define\nprint('ran')\nraw = 1", "a") == ""
    assert nb.tasks() == {"load": ("stale", "never run")}
    assert nb.value("'raw' in globals()") is False


def test_retries_and_the_delay_between_them(nb: Notebook) -> None:
    nb.ok("tries = []", "a")
    nb.ok("%%task --retries 2 --retry-delay 1ms,2ms\ntries.append(1)\nif len(tries) < 3: raise OSError\ndone = 1", "b")
    assert nb.value("len(tries)") == 3
    assert nb.states() == [("done", "COMPLETED", "Completed")]


def test_a_failing_task_publishes_nothing(nb: Notebook) -> None:
    nb.fails("%%task broken --retries 1\npartly = 1\n1/0", "a")
    assert nb.value("'partly' in globals()") is False
    assert nb.tasks() == {"broken": ("stale", "its last run is Failed")}
    assert nb.states() == [("broken", "FAILED", "Failed")]


def test_a_timeout_ends_the_task_with_one_sentence(nb: Notebook) -> None:
    output = nb.fails("%%task slow --timeout 100ms\nimport time\nwhile True: time.sleep(0.01)", "a")
    assert "timeout of 0.1 seconds" in output
    assert "File" not in output
    assert nb.states() == [("slow", "FAILED", "TimedOut")]


def test_a_cached_result_is_used_for_the_same_inputs(nb: Notebook) -> None:
    nb.cells("ran = []\nn = 1", "%%task --cache inputs\nprint('made')\nmade = n + 1")
    assert nb.ok("%%task --cache inputs\nprint('made')\nmade = n + 1", "b") == ""
    nb.ok("ran = []\nn = 5", "a")
    assert nb.ok("%%task --cache inputs\nprint('made')\nmade = n + 1", "b") == "made\n"
    assert nb.value("made") == 6
    assert [state for *_, state in nb.states()] == ["Completed", "Cached", "Completed"]


def test_a_result_cached_by_source_ignores_the_inputs(nb: Notebook) -> None:
    nb.cells("n = 1", "%%task --cache source\nmade = n + 1")
    nb.ok("n = 5", "a")
    nb.ok("%%task --cache source\nmade = n + 1", "b")
    assert nb.value("made") == 2


def test_a_cached_task_uses_helpers_and_modules(nb: Notebook) -> None:
    nb.cells("import math\ndef f(x): return math.floor(x)", "%%task --cache inputs\nprint('made')\nmade = f(1.5)")
    assert nb.ok("%%task --cache inputs\nprint('made')\nmade = f(1.5)", "b") == ""
    nb.ok("import math\ndef f(x): return math.ceil(x)", "a")
    assert nb.ok("%%task --cache inputs\nprint('made')\nmade = f(1.5)", "b") == "made\n"


def test_a_task_is_told_which_task_to_run_first(nb: Notebook) -> None:
    nb.ok("%%task load --define\nraw = [3]", "a")
    output = nb.fails("%%task top\ntop = max(raw)", "b")
    assert "Task 'top' needs 'raw' from task 'load', which has not run: run that cell first, or `%flow run`." in output
    nb.ok("%flow run", "c")
    assert nb.value("top") == 3


def test_after_makes_a_task_wait(nb: Notebook) -> None:
    nb.cells(
        "seen = __import__('queue').SimpleQueue()",
        "%%task late --define\nimport time; time.sleep(0.05); seen.put(1)",
        "%%task next --after late --define\nseen.put(2)",
        "%flow run",
    )
    assert nb.value("[seen.get(), seen.get()]") == [1, 2]


def test_the_name_of_a_task_is_bound_to_it(nb: Notebook) -> None:
    nb.ok("%%task load\nraw = 1", "a")
    assert nb.value("str(load)") == "<Task 'load'>"
    nb.ok("%%task fetch\nraw = 1", "a")
    assert nb.value("'load' in globals()") is False
    assert nb.value("str(fetch)") == "<Task 'fetch'>"


def test_the_name_of_a_task_never_hides_a_variable(nb: Notebook) -> None:
    nb.cells("load = 7", "%%task load\nraw = load")
    assert nb.value("load, raw") == (7, 7)


def test_running_a_cell_by_itself_binds_its_names_as_a_plain_cell_does(nb: Notebook) -> None:
    nb.cells("%%task one\nx = 1", "%%task two\nx = 2")
    nb.ok("%%task one\nx = 1", "a")
    assert nb.value("x") == 1
    nb.ok("%flow run", "c")
    assert nb.value("x") == 2


def test_flow_run_says_when_nothing_is_stale(nb: Notebook) -> None:
    nb.ok("%%task\nx = 1", "a")
    output = nb.ok("%flow run", "b")
    assert output.startswith("Nothing to run: the task is fresh. `%flow run --all` runs it again.\n")
    assert "[= x reused]" in output
    assert "1 succeeded" in nb.ok("%flow run --all", "b")


def test_the_parameters_of_the_notebook(nb: Notebook) -> None:
    nb.cells("day = 1\nnames = ['a']", "%%task\nout = [day] + names")
    nb.ok("%flow run --set day=3 --set names=\"['b', 'c']\"", "c")
    assert nb.value("day, out") == (3, [3, "b", "c"])
    assert nb.ok("%flow run", "c").startswith("Nothing to run")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--set dya=3", "--set names 'dya', which no plain cell binds. Did you mean 'day'?"),
        ("--set out=3", "--set cannot set 'out', which the task 'out' makes."),
        ("--set day=soon", "'day' does not fit"),
        ("--set path=x", "--set cannot set 'path', because cell 2 has used it already and is no task"),
    ],
)
def test_what_cannot_be_a_parameter(nb: Notebook, line: str, says: str) -> None:
    nb.cells("day = 1\npath = 'x'", "whole = path + '/y'", "%%task\nout = day")
    assert says in nb.fails(f"%flow run {line}", "d")
    assert nb.value("day") == 1


def test_a_flow_cell_runs_with_its_parameters(nb: Notebook) -> None:
    nb.ok("from flowbook import task\n@task\ndef double(x): return 2 * x", "a")
    nb.ok("%%flow nightly --params a:int=2,day:date=None\nout = double(a)\nout, day", "b")
    assert nb.ok("%flow run nightly --set a=21", "c").endswith("(42, None)")
    assert nb.ok("%flow run nightly --set day=2026-01-02", "c").endswith("(4, datetime.date(2026, 1, 2))")
    assert nb.ok("nightly(a=3)", "d").endswith("(6, None)")
    assert "does not fit" in nb.fails("%flow run nightly --set a=x", "c")


def test_a_flow_cell_may_await(nb: Notebook) -> None:
    nb.ok("%%flow soon\nimport asyncio\nawait asyncio.sleep(0)\n'done'", "a")
    assert nb.ok("%flow run soon", "b").endswith("'done'")


def test_runs_and_logs(nb: Notebook) -> None:
    assert "Nothing has run here" in nb.ok("%runs", "z")
    nb.cells("import flowbook", "%%task say\nflowbook.get_run_logger().warning('watch out')", "%flow run --all")
    assert "1/1 tasks" in nb.ok("%runs", "z")
    assert "No run has failed." in nb.ok("%runs --failed", "z")
    assert "say: watch out" in nb.ok("%logs", "z")
    assert "say: watch out" in nb.ok("%logs say --level warning", "z")
    assert "logged nothing from level ERROR up" in nb.ok("%logs --level ERROR", "z")
    assert "has no task 'sya'. Did you mean 'say'?" in nb.fails("%logs sya", "z")


def test_flow_show_draws_without_running(nb: Notebook) -> None:
    nb.ok("%%task load --define\nraw = 1", "a")
    nb.ok("%%task top --define\ntop = raw", "b")
    output = nb.ok("%flow show", "c")
    assert output.startswith("2 tasks: 2 waiting.")
    assert "load" in output
    assert "top" in output
    assert nb.tasks()["load"] == ("stale", "never run")
    nb.ok("%flow run --only load", "d")
    assert nb.ok("%flow show", "c").startswith("2 tasks: 1 reused, 1 waiting.")
