"""A paused flow asks under its cell: with a form, with questions, or by saying how to resume it from elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from tests.waiting import CUT_SHORT, WITHIN

from flowbook import resume_flow_run
from flowbook.runs import find_run, run_view

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook, Reply

WIDGET = "application/vnd.jupyter.widget-view+json"
DEFINED = """
import asyncio, threading, time
from flowbook import flow, pause_flow_run
from flowbook.input import RunInput
from flowbook_magics import pause_form
from pydantic import Field

pause_form.SAYS_WITHIN = 60

class Who(RunInput):
    name: str = Field(description="as it is written")
    age: int = 3
    sure: bool = False

asks = Who.with_initial_data(description="**Who?**")

@flow
def greet():
    return pause_flow_run(wait_for_input=asks, timeout=60)

@flow
async def agreet():
    return await pause_flow_run(wait_for_input=asks, timeout=60)

@flow
def halt():
    pause_flow_run(timeout=60)
"""


READY = {"method": "custom", "content": {}}


class FrontEnd:
    """Sends and takes the messages of widgets, through a subshell of the kernel as JupyterLab does."""

    def __init__(self, nb: Notebook) -> None:
        self.nb = nb
        self.client = nb.client
        self.models: dict[str, dict[str, Any]] = {}
        request = self.client.session.msg("create_subshell_request", {})
        self.client.control_channel.send(request)
        reply = self.client.get_control_msg(timeout=WITHIN)
        while reply["parent_header"].get("msg_id") != request["header"]["msg_id"]:
            reply = self.client.get_control_msg(timeout=WITHIN)
        self.subshell = reply["content"]["subshell_id"]

    def begin(self, source: str, *, stdin: bool = False) -> str:
        """Execute a cell named ``a``; `stdin` says whether the front end can be asked."""
        self.nb.outputs.pop("a", None)
        send = self.client.shell_channel.send

        def with_stdin(message: dict[str, Any]) -> None:
            message["content"]["allow_stdin"] = stdin
            send(message)

        self.client.shell_channel.send = with_stdin
        try:
            return self.nb.send(source, "a")
        finally:
            self.client.shell_channel.send = send

    def until(self, there: Callable[[], Any]) -> None:
        """Take messages until something is there."""
        deadline = time.monotonic() + WITHIN
        while not there():
            assert time.monotonic() < deadline, (self.nb.output("a"), self.models)
            message = self.client.get_iopub_msg(timeout=WITHIN)
            self.nb._take(message)
            content = message["content"]
            if message["msg_type"] == "comm_open":
                self.models[content["comm_id"]] = dict(content["data"]["state"])
            elif message["msg_type"] == "comm_msg":
                self.models[content["comm_id"]].update(content["data"].get("state", {}))

    def form(self) -> None:
        """Wait for the form, and say that it is there."""
        self.until(lambda: any(map(self._is_form, self.nb.outputs["a"].items)))
        self._send(next(filter(self._is_not_live, self._ids("_model_name", "AnyModel"))), READY)

    def _is_form(self, item: dict[str, Any]) -> bool:
        shown = item.get("data", {}).get(WIDGET)
        return shown is not None and self._is_not_live(shown["model_id"])

    def _is_not_live(self, comm_id: str) -> bool:
        """Whether a model is not the live view of the run, which is shown before the form if that takes long."""
        return "run" not in self.models[comm_id]

    def type(self, field: str, value: Any) -> None:
        self._send(self._id("description", field), {"method": "update", "state": {"value": value}, "buffer_paths": []})

    def press(self) -> None:
        self._send(self._id("description", "Resume"), {"method": "custom", "content": {"event": "click"}})

    def fields(self) -> dict[str, Any]:
        """The fields of the form with what stands in them."""
        inputs = ("TextModel", "CheckboxModel", "DropdownModel")
        return {s["description"]: s["value"] for s in self.models.values() if s["_model_name"] in inputs}

    def problems(self) -> list[str]:
        return [s["value"] for s in self.models.values() if s["_model_name"] == "HTMLModel" and s["value"]]

    def _ids(self, name: str, value: str) -> list[str]:
        return [comm_id for comm_id, state in self.models.items() if state.get(name) == value]

    def _id(self, name: str, value: str) -> str:
        return self._ids(name, value)[0]

    def _send(self, comm_id: str, data: dict[str, Any]) -> None:
        message = self.client.session.msg("comm_msg", {"comm_id": comm_id, "data": data})
        message["header"]["subshell_id"] = self.subshell
        self.client.shell_channel.send(message)

    def answer(self, text: str) -> str:
        """Answer the next question in text; returns it."""
        question = self.client.get_stdin_msg(timeout=WITHIN)["content"]["prompt"]
        self.client.input(text)
        return str(question)


@pytest.fixture
def front_end(nb: Notebook, monkeypatch: pytest.MonkeyPatch) -> FrontEnd:
    nb.ok(DEFINED)
    monkeypatch.setenv("FLOWBOOK_HOME", nb.home)
    return FrontEnd(nb)


def finished(nb: Notebook, request: str) -> Reply:
    reply = nb.finish(request)
    assert nb.value("[t.name for t in threading.enumerate() if t.name == 'flowbook-form']") == []
    return reply


@pytest.mark.parametrize("source", ["greet()", "await agreet()", "%flow run greet", "%flow run agreet"])
def test_a_form_works_while_the_cell_runs(front_end: FrontEnd, source: str) -> None:
    nb = front_end.nb
    request = front_end.begin(source)
    front_end.form()
    assert front_end.fields() == {"Name": "", "Age": "3", "Sure": False}
    assert "**Who?**" in nb.output("a")
    assert any(state.get("value") == "as it is written" for state in front_end.models.values())
    front_end.type("Name", "Ada")
    front_end.type("Age", "old")
    front_end.press()
    front_end.until(front_end.problems)
    (problem,) = front_end.problems()
    assert "Field &#x27;age&#x27; of the input" in problem
    assert find_run("last").look == "paused"
    front_end.type("Age", "36")
    front_end.type("Sure", True)
    front_end.press()
    assert finished(nb, request).status == "ok"
    assert "Who(name='Ada', age=36, sure=True)" in nb.output("a")
    assert "Resumed." in nb.output("a")
    assert not any(WIDGET in item.get("data", {}) for item in nb.outputs["a"].items)
    assert find_run("last").state_name == "Completed"


def test_a_pause_without_input_has_a_button(front_end: FrontEnd) -> None:
    request = front_end.begin("halt()")
    front_end.form()
    assert front_end.fields() == {}
    front_end.press()
    assert finished(front_end.nb, request).status == "ok"


def test_the_stop_button_ends_a_paused_run(front_end: FrontEnd) -> None:
    nb = front_end.nb
    request = front_end.begin("greet()")
    front_end.form()
    nb.manager.interrupt_kernel()
    began = time.monotonic()
    assert finished(nb, request).ename == "KeyboardInterrupt"
    assert time.monotonic() - began < CUT_SHORT
    assert "Not resumed." in nb.output("a")
    assert find_run("last").state_name == "Cancelled"
    assert nb.ok("1 + 1", "b") == "2"


def test_a_front_end_without_such_messages_is_asked_in_text(front_end: FrontEnd) -> None:
    nb = front_end.nb
    nb.ok("pause_form.SAYS_WITHIN = 0.05")
    request = front_end.begin("greet()", stdin=True)
    assert front_end.answer("Ada") == "Name (as it is written): "
    assert front_end.answer("old") == "Age [3]: "
    assert front_end.answer("") == "Sure true/false [false]: "
    assert front_end.answer("36") == "Age [3]: "
    assert finished(nb, request).status == "ok"
    assert "Field 'age' of the input" in nb.output("a")
    assert "Who(name='Ada', age=36, sure=False)" in nb.output("a")


def test_a_question_without_fields(front_end: FrontEnd) -> None:
    front_end.nb.ok("pause_form.SAYS_WITHIN = 0.05")
    request = front_end.begin("halt()", stdin=True)
    assert front_end.answer("") == "Press Enter to resume: "
    assert finished(front_end.nb, request).status == "ok"


@pytest.mark.parametrize("source", ["greet()", "await agreet()"])
def test_a_question_ends_when_the_run_is_resumed_elsewhere(front_end: FrontEnd, source: str) -> None:
    nb = front_end.nb
    nb.ok("pause_form.SAYS_WITHIN = 0.05")
    request = front_end.begin(source, stdin=True)
    front_end.client.get_stdin_msg(timeout=WITHIN)
    resume_flow_run("last", {"name": "Grace"})
    assert finished(nb, request).status == "ok"
    assert "Who(name='Grace', age=3, sure=False)" in nb.output("a")


def test_the_stop_button_ends_a_question(front_end: FrontEnd) -> None:
    nb = front_end.nb
    nb.ok("pause_form.SAYS_WITHIN = 0.05")
    request = front_end.begin("greet()", stdin=True)
    front_end.client.get_stdin_msg(timeout=WITHIN)
    nb.manager.interrupt_kernel()
    assert finished(nb, request).ename == "KeyboardInterrupt"


def test_where_nobody_can_be_asked_it_says_how_to_resume(front_end: FrontEnd) -> None:
    nb = front_end.nb
    nb.ok("pause_form.SAYS_WITHIN = 0.05")
    request = front_end.begin("greet()")
    front_end.until(lambda: "Nobody can be asked here" in nb.output("a"))
    run = find_run("last")
    assert f"to resume the run: flowbook runs resume {run.id} --input name=..." in nb.output("a")
    resume_flow_run(run.id, {"name": "Grace"})
    assert finished(nb, request).status == "ok"
    assert run_view(run.id).look == "succeeded"


def test_it_asks_without_the_extension(front_end: FrontEnd) -> None:
    front_end.nb.ok("%unload_ext flowbook", "unload")
    request = front_end.begin("halt()")
    front_end.form()
    front_end.press()
    assert finished(front_end.nb, request).status == "ok"
