"""A paused flow run asks under its cell.

The cell keeps the kernel's main thread busy meanwhile. A form works all the same where the front end sends the messages
of widgets through a subshell of the kernel, as JupyterLab does since 4.4. Whether it does, it says itself: a widget of
no size reports as soon as it is there. Of any other front end the fields are asked one by one, as ``input()`` asks;
and one that cannot do that either is told the command that resumes the run.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from contextvars import copy_context
from functools import cached_property
from html import escape
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from flowbook.errors import FlowbookError, ParameterError
from flowbook.run.blocking import interrupt_threads
from flowbook.run.timeouts import StopThread
from flowbook_widgets.subshell import hear_in_subshell

if TYPE_CHECKING:
    from flowbook.run.asked import Field
    from flowbook.run.pauses import Pause

_log = logging.getLogger(__name__)

#: Seconds for a front end to say that its forms work while the kernel is busy.
SAYS_WITHIN = 5.0
_BY = "the notebook"
_YES_OR_NO = ("true", "false")
_WRONG = "color: var(--jp-error-color1, #b00)"
_ENDS_WITHIN = 1.0  # seconds for the thread that asks to take the form away


class PauseForm:
    """``with PauseForm(pause):`` asks for as long as the pause lasts. What goes wrong in here does not end the run."""

    def __init__(self, pause: Pause) -> None:
        self._pause = pause
        self._over = threading.Event()
        self._changed = threading.Event()  # the front end has reported, or it is over
        self._prompting = False
        self._updating = threading.Lock()
        self._handle: Any = None
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), name="flowbook-form", daemon=True)

    def __enter__(self) -> Self:
        try:
            asked = self._pause.asked
            if asked is not None and asked.description:
                _display({"text/markdown": asked.description, "text/plain": asked.description})
            self._handle = _display({"text/plain": "Paused."})
            self._thread.start()
        except Exception:
            _log.warning("The form of a paused run could not be shown.", exc_info=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._updating:
            self._over.set()
            self._changed.set()
            if self._handle is not None:
                self._handle.update({"text/plain": "Resumed." if kind is None else "Not resumed."}, raw=True)
        if self._prompting and self._thread.ident is not None:
            interrupt_threads([self._thread.ident], StopThread)  # the question is not worth an answer any more
        if self._thread.ident is not None:
            self._thread.join(_ENDS_WITHIN)

    def _run(self) -> None:
        with suppress(StopThread):
            for ask in (self._show_form, self._prompt):
                try:
                    if ask():
                        return
                except Exception:
                    _log.warning("A paused run could not ask in this way.", exc_info=True)

    def _show_form(self) -> bool:
        """Show the form, until the pause is over; False if it does not work here."""
        form = _Form(self._pause, self._changed)
        try:
            self._update(form.bundle())
            self._changed.wait(SAYS_WITHIN)
            if self._changed.is_set():
                self._over.wait()
            return self._over.is_set()
        finally:
            form.close()

    def _prompt(self) -> bool:
        from IPython.core.error import StdinNotImplementedError

        self._prompting = True
        self._update({"text/plain": f"Paused. The run can also be resumed elsewhere: {self._pause.how_to_resume()}"})
        prompt = _Prompt(self._pause)
        try:
            while not self._over.is_set() and not prompt.ask():
                pass
        except (StdinNotImplementedError, EOFError):
            said = f"Paused. Nobody can be asked here; to resume the run: {self._pause.how_to_resume()}"
            self._update({"text/plain": said})
        return True

    def _update(self, bundle: dict[str, Any]) -> None:
        with self._updating:
            if not self._over.is_set():
                self._handle.update(bundle, raw=True)


class _Form:
    """Widgets: one for each field, with a place for what is wrong with it, and a button."""

    def __init__(self, pause: Pause, changed: threading.Event) -> None:
        import ipywidgets

        self._pause = pause
        self._fields = pause.asked.fields() if pause.asked is not None else ()
        self._inputs = {field.name: _input_for(field) for field in self._fields}
        self._problems = {name: ipywidgets.HTML(layout={"display": "none"}) for name in (*self._inputs, None)}
        self._button = ipywidgets.Button(description="Resume", button_style="primary")
        self._button.on_click(lambda _: self._submit())
        self._here = _report(changed)
        rows = [part for field in self._fields for part in self._row(field)]
        self._box = ipywidgets.VBox([*rows, self._problems[None], self._button, self._here])
        for widget in (*self._inputs.values(), self._button, self._here):
            hear_in_subshell(widget)

    def bundle(self) -> dict[str, Any]:
        """The form, to display."""
        shown: dict[str, Any] = self._box._repr_mimebundle_()
        return shown

    def close(self) -> None:
        """Take the widgets away."""
        for widget in (*self._box.children, self._box):
            widget.close()

    def _row(self, field: Field) -> list[Any]:
        import ipywidgets

        told = [ipywidgets.Label(field.description)] if field.description else []
        return [self._inputs[field.name], *told, self._problems[field.name]]

    def _submit(self) -> None:
        """The button was pressed: this is the thread of the front end's subshell."""
        self._say({})
        try:
            self._pause.answer(self._given(), by=_BY, texts=True)
        except ParameterError as error:
            self._say({error.field if error.field in self._inputs else None: str(error)})
        except FlowbookError as error:
            self._say({None: str(error)})
        else:
            self._button.disabled = True

    def _given(self) -> dict[str, str]:
        """What was typed; a field that may be left out and is empty, is."""
        texts = {field.name: _text_in(self._inputs[field.name]) for field in self._fields}
        return {
            field.name: text
            for field in self._fields
            if (text := texts[field.name]) is not None and (text or field.required or field.default)
        }

    def _say(self, problems: Mapping[str | None, str]) -> None:
        for name, place in self._problems.items():
            said = problems.get(name)
            place.value = f'<span role="alert" style="{_WRONG}">{escape(said)}</span>' if said else ""
            place.layout.display = None if said else "none"


class _Prompt:
    """Questions in text, one for each field."""

    def __init__(self, pause: Pause) -> None:
        self._pause = pause
        self._fields = pause.asked.fields() if pause.asked is not None else ()
        self._texts: dict[str, str] = {}

    def ask(self) -> bool:
        """Ask for what is not there yet; whether the run goes on. What did not fit is asked again."""
        for field in self._fields:
            if field.name not in self._texts:
                self._texts[field.name] = self._answer_to(_question(field))
        if not self._fields:
            self._answer_to("Press Enter to resume: ")
        given = {field.name: text for field in self._fields if (text := self._texts[field.name]) or field.required}
        try:
            self._pause.answer(given, by=_BY, texts=True)
        except ParameterError as error:
            print(error, flush=True)  # noqa: T201 - the answer to what was typed
            if error.field in self._texts:
                del self._texts[error.field]
            else:
                self._texts.clear()
            return False
        except FlowbookError:  # somebody else was first
            pass
        return True

    def _answer_to(self, question: str) -> str:
        return str(self._kernel.raw_input(question))

    @cached_property
    def _kernel(self) -> Any:
        """Python's own `input` is not always the kernel's, and never in every thread."""
        from IPython import get_ipython

        return get_ipython().kernel


def _question(field: Field) -> str:
    told = f" ({field.description})" if field.description else ""
    choices = f" {'/'.join(field.choices)}" if field.choices else ""
    default = f" [{field.default}]" if field.default else ""
    return f"{field.title}{told}{choices}{default}: "


def _input_for(field: Field) -> Any:
    import ipywidgets

    style: dict[str, Any] = {"description": field.title, "style": {"description_width": "initial"}}
    if field.choices == _YES_OR_NO:
        return ipywidgets.Checkbox(value=field.default == "true", indent=False, **style)
    if field.choices:
        return ipywidgets.Dropdown(options=field.choices, value=field.default, **style)
    return ipywidgets.Text(value=field.default or "", **style)


def _text_in(widget: Any) -> str | None:
    """What a field holds, as a person would type it; None if nothing was chosen."""
    value = widget.value
    return ("true" if value else "false") if isinstance(value, bool) else value


def _report(here: threading.Event) -> Any:
    """A widget of no size that sets `here` from the front end: then its messages come through."""
    import anywidget

    class Report(anywidget.AnyWidget):
        """Says that it is there."""

        _esm = "export default { initialize({ model }) { model.send({}); } };"

    report = Report()
    report.on_msg(lambda *_: here.set())
    return report


def _display(bundle: dict[str, str]) -> Any:
    from IPython.display import display

    return display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
