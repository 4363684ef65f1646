"""The magics. Each parses its line, calls, and displays; what it does is elsewhere."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

from IPython.core.error import UsageError as ShellUsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from IPython.display import display

from flowbook.cells.cell_lines import FLOW_CELL, TASK, refuse_second_mark
from flowbook.cells.grammar import Command, HelpWanted, Parsed, parse
from flowbook.errors import NotFound, NotPicklable, StoreError, UsageError, did_you_mean
from flowbook.run.stopping import lose_no_interrupt
from flowbook_magics import commands
from flowbook_magics.completion import hide_completions, show_completions
from flowbook_magics.connections import serve_all_threads, serve_one_thread
from flowbook_magics.namespace import running
from flowbook_magics.notebook_cells import TaskOptions
from flowbook_magics.session import Session
from flowbook_magics.shell_names import hide_task_names, show_task_names
from flowbook_magics.transform import comment_to_magic

F = TypeVar("F", bound=Callable[..., Any])


def friendly(magic: F) -> F:
    """A user's mistake is shown as one sentence, and ``--help`` as the help; both without a traceback."""

    @functools.wraps(magic)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        try:
            return magic(*args, **kwargs)
        except HelpWanted as wanted:
            return sys.stdout.write(wanted.text + "\n") and None
        except (UsageError, NotFound, StoreError, NotPicklable) as error:
            raise ShellUsageError(str(error)) from None

    return cast(F, wrapped)


@magics_class
class FlowbookMagics(Magics):
    """``%%task``, ``%%flow``, ``%flow``, ``%tasks``, ``%runs``, ``%logs``, ``%deploy``, ``%schedule``."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self.session = Session(shell)

    @no_var_expand
    @cell_magic
    @friendly
    def task(self, line: str, cell: str) -> None:
        """Make a task of a cell."""
        __tracebackhide__ = True
        said = self._parse(TASK, line)
        refuse_second_mark(cell)
        registered = self.session.register(said.words[0] if said.words else None, cell, TaskOptions.of(said))
        if self.session.unattended is not None:
            self.session.unattended.submit(registered)
        elif not said.define:
            from flowbook_magics.cell_runs import run_one

            run_one(self.session, registered)

    @no_var_expand
    @cell_magic("flow")  # type: ignore[arg-type]
    @friendly
    def flow_cell(self, line: str, cell: str) -> None:
        """Define a flow."""
        from flowbook_magics.flow_cell import flow_from_cell

        said = self._parse(FLOW_CELL, line)
        refuse_second_mark(cell)
        if not said.words:
            raise UsageError("%%flow needs a name, as in %%flow nightly.")
        flow_from_cell(self.shell, said.words[0], cell, said)

    @no_var_expand
    @line_magic
    @friendly
    def flow(self, line: str) -> Any:
        """Draw the graph, check it, run it, or write it as a module."""
        command, rest = _command_of("%flow", line)
        acts = {
            commands.FLOW_SHOW: self._flow_show,
            commands.FLOW_CHECK: self._flow_check,
            commands.FLOW_RUN: self._flow_run,
            commands.FLOW_CANCEL: self._flow_cancel,
            commands.FLOW_DEBUG: self._flow_debug,
            commands.FLOW_EXPORT: self._flow_export,
        }
        return acts[command](self._parse(command, rest))

    @no_var_expand
    @line_magic("%task")  # type: ignore[arg-type]  # a name is not in the types of IPython
    @friendly
    def task_below_code(self, _line: str) -> None:
        """``%%task`` is on the first line of a cell."""
        raise UsageError("`%%task` makes a task of a whole cell: put it on the first line, only comments may be above.")

    @line_magic("%flow")  # type: ignore[arg-type]  # a name is not in the types of IPython
    @friendly
    def flow_below_code(self, _line: str) -> None:
        """``%%flow`` is on the first line of a cell."""
        raise UsageError("`%%flow` makes a flow of a whole cell: put it on the first line, only comments may be above.")

    @line_magic
    @friendly
    def tasks(self, line: str) -> Any:
        """List the tasks of the notebook."""
        from flowbook_magics import reports

        self._parse(commands.TASKS, line)
        return reports.tasks_table(self.session)

    @no_var_expand
    @line_magic
    @friendly
    def runs(self, line: str) -> Any:
        """List the last runs, show, open, retry or cancel one, or compare two."""
        from flowbook_magics import reports
        from flowbook_magics.run_verbs import ACTS

        command, rest = _command_of("%runs", line)
        said = self._parse(command, rest)
        if command.verb:
            return ACTS[command](self.session, said)
        return reports.runs_table(said.limit, failed=bool(said.failed), deployment=said.deployment)

    @no_var_expand
    @line_magic
    @friendly
    def logs(self, line: str) -> Any:
        """Show what a run logged."""
        from flowbook_magics import reports

        said = self._parse(commands.LOGS, line)
        run = said.run or self.session.last_run or "last"
        task = said.words[0] if said.words else None
        if not said.follow:
            return reports.logs_text(run, task, said.level)
        if self.session.unattended is not None:  # it would wait for the run that it is part of
            return self.session.unattended.ignored("%logs --follow")
        from flowbook_magics.following import follow

        return follow(run, task, said.level)

    @no_var_expand
    @line_magic
    @friendly
    def deploy(self, line: str) -> Any:
        """Promote the notebook to a deployment."""
        from flowbook_magics.deploy import deploy

        said = self._parse(commands.DEPLOY, line)
        if self.session.unattended is not None:
            return self.session.unattended.ignored("%deploy")
        return deploy(self.session, said)

    @no_var_expand
    @line_magic
    @friendly
    def schedule(self, line: str) -> Any:
        """List, pause, resume and remove the schedules of this notebook's deployments, and show what comes next."""
        from flowbook_magics.schedule import ACTS

        command, rest = _command_of("%schedule", line)
        said = self._parse(command, rest)
        if self.session.unattended is not None:
            return self.session.unattended.ignored("%schedule")
        return ACTS[command](said)

    def _flow_show(self, _said: Parsed) -> Any:
        from flowbook_magics import reports

        display(reports.graph_bundle(self.session), raw=True)  # type: ignore[no-untyped-call]

    def _flow_check(self, said: Parsed) -> Any:
        from flowbook_magics.check import check

        if self.session.unattended is not None:
            return self.session.unattended.ignored("%flow check")
        return check(self.session, said)

    def _flow_run(self, said: Parsed) -> Any:
        from flowbook import engine
        from flowbook_magics import background, flow_run, reports
        from flowbook_magics.selection import Wanted

        if self.session.unattended is not None:
            return self.session.unattended.ignored("%flow run")
        if engine.current_flow() is not None or running.get() is not None:  # it would wait for itself
            raise UsageError("%flow run cannot be used inside a task or a flow; give it a cell of its own.")
        background.refuse_second(self.session)
        beside = bool(said.background)
        if said.words:
            return flow_run.run_function(self.session, said.words[0], _only_parameters(said), background=beside)
        wanted = Wanted(
            everything=bool(said.all), only=said.only, from_failed=bool(said.from_failed), parameters=tuple(said.set)
        )
        message = flow_run.run_notebook(self.session, wanted, max_parallel=said.max_parallel, background=beside)
        if message is not None:
            display(reports.graph_bundle(self.session, message), raw=True)  # type: ignore[no-untyped-call]
        return None

    def _flow_cancel(self, _said: Parsed) -> Any:
        from flowbook_magics.background import cancel

        if self.session.unattended is not None:
            return self.session.unattended.ignored("%flow cancel")
        return cancel(self.session)

    def _flow_debug(self, said: Parsed) -> Any:
        from flowbook_magics.debug import debug

        if self.session.unattended is not None:
            return self.session.unattended.ignored("%flow debug")
        return debug(self.session, *(said.words or ("last",)))

    def _flow_export(self, said: Parsed) -> Any:
        from flowbook_magics.export import export

        if self.session.unattended is not None:
            return self.session.unattended.ignored("%flow export")
        return export(self.session, said)

    def _parse(self, command: Command, line: str) -> Parsed:
        return parse(command, line, self.session.notebook)


def _command_of(magic: str, line: str) -> tuple[Command, str]:
    """The magic or its verb that a line begins with, and the rest. Raises UsageError in one sentence, or HelpWanted."""
    verb, _, rest = line.strip().partition(" ")
    if verb == "--help":
        raise HelpWanted(_help_of(magic))
    verbs = {command.verb: command for command in commands.of(magic)}
    if verb in verbs:
        return verbs[verb], rest
    if "" in verbs and verb.startswith("-"):
        return verbs[""], line
    asked = f"{magic} has no verb {verb!r}.{did_you_mean(verb, verbs)}"
    if not verb or verb.startswith("-"):
        asked = f"{magic} needs a verb."
    *others, last = (f"`{command.name}`" for command in verbs.values())
    raise UsageError(f"{asked} Use {', '.join(others)} or {last}.")


def _help_of(magic: str) -> str:
    return "\n\n\n".join(command.help() for command in commands.of(magic))


def _only_parameters(said: Parsed) -> dict[str, str]:
    """The parameters for a flow that a cell defines: what else may be said is about the notebook's own tasks."""
    for key in sorted(said.given - {"set", "background"}):
        option = "--" + key.replace("_", "-")
        raise UsageError(f"%flow run: {option} is for the tasks of the notebook, not for the flow {said.words[0]!r}.")
    return dict(said.set)


def _document(magics: FlowbookMagics) -> None:
    """Have ``%%task?`` show what ``%%task --help`` does."""
    for kind, methods in magics.magics.items():
        for name, method in methods.items():
            # The shell takes off the indentation that all lines but the first have; so the text is to begin below it.
            method.__func__.__doc__ = "\n" + _help_of(("%" if kind == "line" else "%%") + name)


def register(shell: Any) -> FlowbookMagics:
    """Register the magics with `shell`, once; returns them."""
    known: FlowbookMagics | None = shell.magics_manager.registry.get("FlowbookMagics")
    if known is not None:
        return known
    magics = FlowbookMagics(shell)
    magics.session.take_earlier_cells()
    _document(magics)
    shell.register_magics(magics)
    shell.events.register("pre_run_cell", magics.session.before_cell)
    shell.events.register("post_run_cell", magics.session.after_cell)
    shell.input_transformer_manager.cleanup_transforms.insert(0, comment_to_magic)
    show_task_names(shell)
    show_completions(shell, magics.session)
    serve_all_threads()
    lose_no_interrupt()
    return magics


def unregister(shell: Any) -> None:
    """Undo `register`; what the session knew of the notebook's cells is forgotten."""
    magics: FlowbookMagics | None = shell.magics_manager.registry.pop("FlowbookMagics", None)
    if magics is None:
        return
    for kind, names in magics.magics.items():
        for name in names:
            shell.magics_manager.magics[kind].pop(name, None)
    shell.events.unregister("pre_run_cell", magics.session.before_cell)
    shell.events.unregister("post_run_cell", magics.session.after_cell)
    shell.input_transformer_manager.cleanup_transforms.remove(comment_to_magic)
    hide_task_names(shell)
    hide_completions(shell)
    serve_one_thread()
