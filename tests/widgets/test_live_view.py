"""The live view in places without a front end: a plain program, and a kernel that nobody looks at."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import nbclient
import nbformat
import pytest

EVENTS = textwrap.dedent(
    """
    import time
    from flowbook.core import states
    from flowbook.core.events import Event, state_to_json
    from flowbook_widgets import live_view

    def state(entered, task=None):
        return Event(kind="state", time=time.time(), flow_run_id="f", task_run_id=task, data=state_to_json(entered))

    def run(seconds=0.0, error=None, grace=0.0):
        with live_view("f", grace=grace) as view:
            view.feed(Event(kind="graph", time=0, flow_run_id="f", data={"tasks": [
                {"id": "a", "name": "a", "upstream": []}, {"id": "b", "name": "b", "upstream": ["a"]}]}))
            view.feed(state(states.running()))
            view.feed(state(states.running(), "a"))
            print("from the task")
            time.sleep(seconds)
            view.feed(state(states.completed(), "a"))
            if error:
                view.feed(state(states.failed(error)))
                raise error
            view.feed(state(states.completed()))
    """
)


def execute(*cells: str) -> nbformat.NotebookNode:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in (EVENTS, *cells)])
    return nbclient.NotebookClient(notebook, timeout=60, allow_errors=True, kernel_name="python3").execute()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_kernel_without_a_front_end_is_left_with_the_final_picture() -> None:
    notebook = execute(
        "run(0.5)",
        "run(0.5, ValueError('too big'))",
        "run(grace=5)",
        "import threading\nimport _thread\nthreading.Timer(0.4, _thread.interrupt_main).start()\nrun(5)",
    )
    for cell, said in zip(
        notebook.cells[1:],
        ("Succeeded in", "Failed after", "Succeeded in", "Running for"),
        strict=True,
    ):
        shown = [output for output in cell.outputs if output.output_type == "display_data"]
        assert len(shown) == 1, "one output, replaced in its place"
        assert set(shown[0].data) == {"text/html", "text/plain"}
        assert shown[0].data["text/plain"].startswith(said)
        assert "data:image/svg+xml;base64," in shown[0].data["text/html"]
        assert cell.outputs[0] is shown[0], "the view comes before what the tasks print"
    errors = [[o.ename for o in cell.outputs if o.output_type == "error"] for cell in notebook.cells[1:]]
    assert errors == [[], ["ValueError"], [], ["KeyboardInterrupt"]]


@pytest.mark.slow
def test_a_plain_program_shows_nothing_and_does_not_load_ipython() -> None:
    program = EVENTS + "run()\nimport sys\nprint('IPython' in sys.modules, 'anywidget' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["from the task", "False False"]
    assert done.stderr == ""


@pytest.mark.slow
def test_a_terminal_is_left_with_the_plain_text() -> None:
    program = EVENTS + "run()\n"
    command = [sys.executable, "-m", "IPython", "--quick", "--colors=NoColor", "--simple-prompt", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "Succeeded in" in done.stdout
    assert "[ok a " in done.stdout
    assert "<img" not in done.stdout
