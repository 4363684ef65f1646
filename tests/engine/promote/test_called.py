"""Calling a notebook without a deployment: what is refused before anything runs, and what it gives back."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from flowbook import flow, recovery, run_notebook, runtime
from flowbook.cli.root import root
from flowbook.engine import engine
from flowbook.errors import FlowbookError, MissingResult, NotPicklable, UsageError
from flowbook.flow_runs import suspend_flow_run
from flowbook.promote.called import CalledNotebook, manifest_of_called, read_called, record
from flowbook.promote.claimed import claimed
from flowbook.runs import find_run, recent_runs, run_folder
from flowbook.runtime.output import keep_result, keep_written, output_of
from flowbook.store.processes import Process
from flowbook.store.queue import queued_run, take_over
from flowbook.store.reaper import reap

CELLS = ("# parameters\nday: str = 'today'\nn: int = 1", "print(day, n)")


def cli(*words: str | Path) -> tuple[int, str]:
    answer = CliRunner().invoke(root, ["run", *map(str, words)], prog_name="flowbook")
    return answer.exit_code, " ".join(answer.output.split())


MISTAKES: list[tuple[str, list[str], str]] = [
    ("no such notebook", ["reprot.ipynb"], "reprot.ipynb. Did you mean 'report.ipynb'?"),
    ("unlike any", ["x.ipynb"], "x.ipynb. Relative paths begin in the working directory."),
    ("folder", ["."], "is a folder, not a notebook."),
    ("no notebook", ["notes.ipynb"], "notes.ipynb is not a notebook: it is not JSON (line 1: "),
    ("unknown parameter", ["report.ipynb", "-p", "dya", "x"], "has no parameter 'dya'. Did you mean 'day'?"),
    ("ill-typed", ["report.ipynb", "-p", "n=one"], "Parameter 'n' of notebook 'report.ipynb' does not fit"),
    ("half a pair", ["report.ipynb", "-p", "n"], "`--param n` is not of the form name=value."),
    ("must be given", ["needs.ipynb"], "Notebook 'needs.ipynb' needs the parameter 'day': pass it"),
    ("kernel", ["report.ipynb", "-k", "pyton3"], "There is no kernel 'pyton3' here. Did you mean 'python3'?"),
    ("cwd", ["report.ipynb", "--cwd", "nowhere"], "nowhere to run the notebook in."),
    ("itself", ["report.ipynb", "report.ipynb"], "report.ipynb is the notebook itself"),
    ("no folder", ["report.ipynb", "made/out.ipynb"], "made; make it first."),
    ("out is a folder", ["report.ipynb", "."], ". is no file; give the path of a notebook."),
    ("file", ["report.ipynb", "-f", "notes.ipynb"], "notes.ipynb is not JSON: "),
    ("list", ["report.ipynb", "-f", "list.json"], "list.json must hold an object, such as"),
]


@pytest.mark.parametrize(("words", "sentence"), [case[1:] for case in MISTAKES], ids=[case[0] for case in MISTAKES])
def test_a_mistake_is_a_sentence_and_nothing_runs(
    make_notebook: Any, monkeypatch: pytest.MonkeyPatch, words: list[str], sentence: str
) -> None:
    folder = make_notebook("report", *CELLS).parent
    make_notebook("needs", "# parameters\nday: str")
    (folder / "notes.ipynb").write_text("no JSON")
    (folder / "list.json").write_text("[1]")
    monkeypatch.chdir(folder)
    status, said = cli(*words)
    assert status != 0
    assert sentence in said
    assert "Traceback" not in said
    assert recent_runs() == []


CALLS: list[tuple[Callable[[Path], Any], str]] = [
    (lambda path: run_notebook(path.parent / "reprot.ipynb"), "Did you mean 'report.ipynb'?"),
    (lambda path: run_notebook(path, {"dya": 1}), "has no parameter 'dya'. Did you mean 'day'?"),
    (lambda path: run_notebook(path, {"n": "one"}), "Parameter 'n' of notebook 'report.ipynb' does not fit"),
    (lambda path: run_notebook(path, {"day": object()}), "does not fit"),
    (lambda path: run_notebook([path]), "give a path. Of several: run_notebook.map"),  # type: ignore[arg-type]
    (lambda path: run_notebook(path, cwd=path), "There is no folder"),
]


@pytest.mark.parametrize(("call", "sentence"), CALLS)
def test_a_call_that_does_not_fit_is_refused_before_it_runs(
    make_notebook: Any, call: Callable[[Path], Any], sentence: str
) -> None:
    path = make_notebook("report", *CELLS)
    with pytest.raises(UsageError, match=sentence.replace("?", r"\?")):
        call(path)
    assert recent_runs() == []


def test_a_notebook_that_calls_itself_comes_to_an_end(make_notebook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_notebook("report", *CELLS)
    monkeypatch.setenv("FLOWBOOK_NOTEBOOK_DEPTH", "9")
    assert read_called(path).flow == "report"
    monkeypatch.setenv("FLOWBOOK_NOTEBOOK_DEPTH", "10")
    with pytest.raises(UsageError, match=r"report.ipynb is not run: 10 notebooks have called each other"):
        run_notebook(path)


def test_a_run_whose_process_is_gone_has_crashed(make_notebook: Any) -> None:
    run = record(read_called(make_notebook("report", *CELLS), {"n": 2}))
    database = engine().database
    assert reap(database) == []
    assert find_run(run.id).state_name == "Pending"
    gone = Process(host=os.uname().nodename, pid=2**22 + 1, started=1.0)
    assert take_over(database, run.id, run.fence, gone)
    assert reap(database) == [run.id]
    assert queued_run(database, run.id).parameters == {"n": 2}


def test_the_process_that_executes_runs_refuses_one_that_is_none_of_a_notebook() -> None:
    @flow
    def plain() -> None:
        return None

    plain()
    (found,) = recent_runs()
    with pytest.raises(FlowbookError, match=r"Run 1 of 'plain' is none of a notebook"):
        manifest_of_called(queued_run(engine().database, found.id))


def test_output_is_for_runs_and_the_last_call_counts(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime.set_output(3)  # somebody sits before the notebook
    monkeypatch.setenv("FLOWBOOK_RUN_FOLDER", str(run_folder("a1")))
    assert output_of("a1") is None
    runtime.set_output(3)
    runtime.set_output(total=4, rows=[1])
    assert output_of("a1") == {"total": 4, "rows": [1]}
    keep_result("a1", "work", "not this")
    keep_written("a1", {"nor": "this"})
    recovery.forget("a1")  # what is kept for a retry goes as the run completes
    assert output_of("a1") == {"total": 4, "rows": [1]}
    runtime.set_output(None)
    assert output_of("a1") is None


@pytest.mark.parametrize("call", [lambda: runtime.set_output(), lambda: runtime.set_output(1, total=2)])
def test_output_is_one_value_or_values_by_name(call: Callable[[], None]) -> None:
    with pytest.raises(UsageError, match=r"set_output\(\) takes one value"):
        call()


def test_what_cannot_be_pickled_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FLOWBOOK_RUN_FOLDER", str(run_folder("a1")))
    with pytest.raises(NotPicklable, match=r"set_output\(\) was given a lock, which cannot go to another process"):
        runtime.set_output(threading.Lock())
    keep_written("b2", {"lock": threading.Lock(), "n": 1})
    assert output_of("b2") == {"n": 1}
    assert "'lock' is left out of the output" in capsys.readouterr().out
    keep_result("c3", "work", threading.Lock())
    with pytest.raises(MissingResult, match="Flow 'work' returned a lock"):
        output_of("c3")


def test_it_is_drawn_without_being_run_and_travels_by_name(make_notebook: Any) -> None:
    path = make_notebook("report", *CELLS)

    @flow
    def draws() -> None:
        run_notebook(path)

    assert "run_notebook" in str(draws.visualize())
    assert recent_runs() == []
    assert pickle.loads(pickle.dumps(run_notebook)) is run_notebook


def test_a_run_that_nobody_can_begin_anew_is_not_suspended() -> None:
    called = CalledNotebook(flow="work", parameters={}, manifest={}, content=b"")
    run = record(called)

    @flow
    def work() -> None:
        suspend_flow_run()

    begun = work.begin({}, flow_run_id=run.id, claimed=claimed(run), name=run.name, trigger=run.trigger)
    with pytest.raises(UsageError, match="no other process could go on with"):
        work.finish(begun)
