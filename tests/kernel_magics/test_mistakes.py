"""A mistake is one sentence that says where it is and what to do; nothing is registered half-way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbook_magics import commands

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook

FLOW_VERBS = (
    "%flow needs a verb. Use `%flow show`, `%flow check`, `%flow run`, `%flow cancel`, `%flow debug` or `%flow export`."
)
TASK_CELLS = [
    ("%%task t --retry 3\nx = 1", "%%task has no option --retry. Did you mean '--retries'?"),
    ("#| task t --retry 3\nx = 1", "%%task has no option --retry. Did you mean '--retries'?"),
    ("# why\n%%task t --retry 3\nx = 1", "%%task has no option --retry."),
    ("%%task t --retries many\nx = 1", "%%task: --retries is 'many'; it must be a whole number from 0 up."),
    ("%%task t --retries -1\nx = 1", "%%task: --retries is '-1'; it must be a whole number from 0 up."),
    ("%%task t --retries\nx = 1", "%%task: --retries needs a value, as in --retries N."),
    ("%%task t --retries 1 --retries 2\nx = 1", "%%task: --retries is given twice; keep one."),
    ("%%task t --retry-delay 1s\nx = 1", "%%task: --retry-delay does nothing without --retries; add --retries N."),
    ("%%task t --retry-delay soon\nx = 1", "%%task: --retry-delay is 'soon'; write a duration as 10s, 5m, 1h"),
    ("%%task t --timeout 0\nx = 1", "%%task: --timeout is '0'; it must be more than 0."),
    ("%%task t --timeout 5 minutes\nx = 1", "does not know what to do with 'minutes'"),
    ("%%task t --cache input\nx = 1", "--cache is 'input'; it must be inputs, source or off. Did you mean 'inputs'?"),
    ("%%task t --cache=\nx = 1", "%%task: --cache is ''; it must be inputs, source or off."),
    ("%%task a b\nx = 1", "%%task does not know what to do with 'b'. Usage: %%task [NAME]"),
    ("%%task t retries=3\nx = 1", "options begin with --, as in --retries 3."),
    ("%%task a\n%%task b\nx = 1", "A cell is one task or one flow: take the line `%%task b` out"),
    ("#| task a\n# why\n#| task b\nx = 1", "A cell is one task or one flow: take the line `#| task b` out"),
    ("%%task a\n%%flow n\nx = 1", "A cell is one task or one flow: take the line `%%flow n` out"),
    ("%%flow n\n%%task a\nx = 1", "A cell is one task or one flow: take the line `%%task a` out"),
    ("%%task t --define=yes\nx = 1", "%%task: --define takes no value."),
    ("%%task t --retries $nope\nx = 1", "--retries is '$nope', and 'nope' cannot be looked up in the notebook."),
    ("%%task t 'open\nx = 1", "%%task: the line cannot be read (No closing quotation); close the quotes."),
    ("%%task t --after nobody\nx = 1", "nobody"),
    ("%%task t --after knwon\nx = 1", "Did you mean 'known'?"),
    ("%%task t --after t\nx = 1", "t →(--after) t"),
    ("%%task known\nx = 2", "The task name 'known' is taken by cell 1; give one of the two another name"),
    ("%%task t\nx = = 1", "Task 't', line 2: invalid syntax: `x = = 1`. The cell was not registered."),
    ("# one\n%%task\n\nif x\n", "Cell 2, line 4: expected ':'"),
    ("%%task t\nreturn 5", "Task 't', line 2: 'return' outside function"),
    ("%%task t\nx = 1\nbreak", "Task 't', line 3: 'break' outside loop"),
    ("%%task t", "Task 't' is empty; write below its first line what the task does."),
    ("%%task t\n\n  \n", "Task 't' is empty"),
    ("%%task t\n# only a comment\n", "Task 't' is empty"),
    ("#| task t", "Task 't' is empty"),
    ("%%task\n", "Cell 2 is empty"),
    ("%%task t --cache inputs\nstart.append(1)", "changes start in place, which a stored result cannot do again"),
    ("%%task t --map\nx = 1", "%%task: --map needs a value, as in --map item=items[,b=bs]."),
    ("%%task t --map start\nx = 1", "--map is 'start'; write it as item=items, where items is a variable"),
    ("%%task t --map 1=start\nx = 1", "--map is '1=start'; write it as item=items, both names of variables."),
    ("%%task t --map x=f()\ny = x", "--map is 'x=f()'; write it as item=items, both names of variables."),
    ("%%task t --map start=start\nx = 1", "one element needs another name than all of them, as in one_start=start."),
    ("%%task t --map x=start\nx = 1", "Task 't' binds 'x' itself, which --map binds to an element of 'start'"),
    ("%%task t --map x=start,x=start\ny = x", "Task 't' binds 'x' twice by --map: give each element a name"),
    ("%%task t --map x=start --cache inputs\nx.append(1)", "changes start in place, which a stored result cannot"),
    ("%%task t --jitter 1\nx = 1", "%%task: --jitter does nothing without --retries; add --retries N."),
    ("%%task t --retries 1 --jitter -1\nx = 1", "--jitter is '-1'; it must be a number from 0 up"),
    ("%%task t --retries 1 --jitter nan\nx = 1", "--jitter is 'nan'; it must be a number from 0 up"),
    ("%%task t --cache-for 1h\nx = 1", "%%task: --cache-for does nothing without --cache; add --cache inputs."),
    ("%%task t --cache-for 1h --cache off\nx = 1", "%%task: --cache-for does nothing without --cache; add"),
    ("%%task t --cache inputs --cache-for 0\nx = 1", "--cache-for is '0'; it must be more than 0."),
    ("%%task t --limit\nx = 1", "%%task: --limit needs a value, as in --limit NAME[:N]."),
    ("%%task t --limit api:\nx = 1", "--limit is 'api:'; write the name of a concurrency limit"),
    ("%%task t --limit api:0\nx = 1", "--limit is 'api:0'; write the name of a concurrency limit"),
    ("%%task t --tag a\nx = 1", "%%task has no option --tag. Did you mean '--tags'?"),
    ("%%task t --tags ''\nx = 1", "%%task: --tags is ''; it needs a value, as in --tags A,B."),
    ("%%task t --map ,\nx = 1", "%%task: --map is ','; it needs a value, as in --map item=items[,b=bs]."),
    ("%%task t --log-prints=1\nx = 1", "%%task: --log-prints takes no value."),
    ("#| task t --no-log-prints --log-prints\nx = 1", "--log-prints and --no-log-prints exclude each other; keep"),
    (
        "%%task t --isolate proces\nx = 1",
        "--isolate is 'proces'; it must be kernel or process. Did you mean",
    ),
    ("%%task t --runner\nx = 1", "%%task: --runner needs a value, as in --runner threads|processes|dask."),
    ("%%task t --isolate process --runner threads\nx = 1", "--isolate process and --runner threads exclude each other"),
    ("%%task t --isolate kernel --runner dask\nx = 1", "--isolate kernel and --runner dask exclude each other; keep"),
    ("%%flow\nx = 1", "%%flow needs a name, as in %%flow nightly."),
    ("%%flow n", "The flow cell 'n' is empty"),
    ("%%flow n\n# nothing", "The flow cell 'n' is empty"),
    ("%%flow 1n\nx = 1", "%%flow: '1n' cannot be a variable"),
    ("%%flow class\nx = 1", "%%flow: 'class' cannot be a variable"),
    ("%%flow n\n\nx = = 1", "Flow 'n', line 3: invalid syntax: `x = = 1`. It was not registered."),
    ("%%flow n\nfrom math import *", "Flow 'n'"),
    ("%%flow n --params a:\nx = 1", "%%flow: --params is 'a:', which is no list of parameters"),
    ("%%flow n --params a:Whatever\nx = 1", "%%flow: --params is 'a:Whatever', and name 'Whatever' is not defined"),
    ("%%flow n --parms a\nx = 1", "%%flow has no option --parms. Did you mean '--params'?"),
    ("%%flow n --retries x\nx = 1", "%%flow: --retries is 'x'"),
    ("%%flow n --params", "%%flow: --params needs a value, as in --params day:date,limit:int=10."),
    ("%%flow n --retries 1 --retries 2\nx = 1", "%%flow: --retries is given twice; keep one."),
    ("%%flow n m\nx = 1", "%%flow does not know what to do with 'm'."),
    ("%flow", FLOW_VERBS),
    ("%flow rnu", "%flow has no verb 'rnu'. Did you mean 'run'?"),
    ("%flow --all", FLOW_VERBS),
    ("%flow show all", "%flow show does not know what to do with 'all'."),
    ("%flow show --all", "%flow show has no option --all."),
    ("%flow run --all --all", "%flow run: --all is given twice; keep one."),
    ("%flow run --all=1", "%flow run: --all takes no value."),
    ("%flow run --max-parallel", "%flow run: --max-parallel needs a value, as in --max-parallel N."),
    ("%flow run a b", "%flow run does not know what to do with 'b'."),
    ("%flow run --background=1", "%flow run: --background takes no value."),
    ("%flow cancel", "%flow cancel: no flow run goes on in the background of this notebook. `%runs cancel RUN` "),
    ("%flow cancel 3", "%flow cancel does not know what to do with '3'."),
    ("%flow export", "%flow export needs the name of a file, as in %flow export report.py."),
    ("%flow export book.txt", "'book.txt' does not end in .py: call it book.py."),
    ("%flow export nowhere/book.py", "%flow export: there is no folder 'nowhere'; make it first."),
    ("%flow export book.py nightly", "The notebook defines no flow 'nightly'."),
    ("%flow export a.py b c", "%flow export does not know what to do with 'c'."),
    ("%flow export a.py --forc", "%flow export has no option --forc. Did you mean '--force'?"),
    ("%flow run --al", "%flow run has no option --al. Did you mean '--all'?"),
    ("%flow run nightly", "There is no flow 'nightly' in this notebook."),
    ("%flow run --set day", "%flow run: --set is 'day'; write it as name=value."),
    ("%flow run --max-parallel 0", "%flow run: --max-parallel is '0'; it must be a whole number from 1 up."),
    ("%tasks all", "%tasks does not know what to do with 'all'."),
    ("%tasks --all", "%tasks has no option --all."),
    ("%runs --limit x", "%runs: --limit is 'x'"),
    ("%runs --limit", "%runs: --limit needs a value, as in --limit N."),
    ("%runs --limit 1 --limit 2", "%runs: --limit is given twice; keep one."),
    ("%runs --faild", "%runs has no option --faild. Did you mean '--failed'?"),
    ("%runs rety", "%runs has no verb 'rety'. Did you mean 'retry'? Use `%runs`, `%runs show`, "),
    ("%runs retry", "%runs retry needs a run: its number, its name, or `last`, as in %runs retry last."),
    ("%runs retry 1 2", "%runs retry does not know what to do with '2'."),
    ("%runs show", "%runs show needs a run: its number, its name, or `last`, as in %runs show last."),
    ("%runs show 99", "There is no run '99'."),
    ("%runs open", "%runs open needs a run: its number, its name, or `last`, as in %runs open last."),
    ("%runs open 99", "There is no run '99'."),
    ("%runs diff", "%runs diff needs two runs: their numbers or names, as in %runs diff prev last."),
    ("%runs diff last", "%runs diff needs two runs: their numbers or names, as in %runs diff prev last."),
    ("%runs diff prev last", "Nothing has run here yet."),
    ("%runs diff 1 2 3", "%runs diff does not know what to do with '3'."),
    ("%runs diff --html x", "%runs diff has no option --html."),
    ("%runs cancel --now", "%runs cancel has no option --now."),
    ("%runs cancel 99", "There is no run '99'."),
    ("%runs --deployment nope", "There is no deployment 'nope'"),
    ("%logs --run", "%logs: --run needs a value, as in --run RUN."),
    ("%logs --level INFO --level INFO", "%logs: --level is given twice; keep one."),
    ("%logs --levle INFO", "%logs has no option --levle. Did you mean '--level'?"),
    ("%logs a b", "%logs does not know what to do with 'b'."),
    ("%logs", "Nothing has run here yet."),
    ("%logs --run 77", "There is no run '77'."),
    ("%logs --follow", "Nothing has run here yet."),
    ("%logs --follow=1", "%logs: --follow takes no value."),
    ("%logs --folow", "%logs has no option --folow. Did you mean '--follow'?"),
    ("%logs --level LOUD", "%logs: --level is 'LOUD'; it must be"),
    ("%deploy --when", "%deploy has no option --when."),
    ("%deploy --every", "%deploy: --every needs a value, as in --every LENGTH."),
    ("%deploy --every 1h --every 2h", "%deploy: --every is given twice; keep one."),
    ("%deploy --dry-run=1", "%deploy: --dry-run takes no value."),
    ("%deploy --set x", "%deploy: --set is 'x'; write it as name=value."),
    ("%deploy a b", "%deploy does not know what to do with 'b'."),
    ("%schedule", "%schedule needs a verb. Use `%schedule list`, "),
    ("%schedule --name x", "%schedule needs a verb. Use `%schedule list`, "),
    ("%schedule lst", "%schedule has no verb 'lst'. Did you mean 'list'?"),
    ("%schedule list x", "%schedule list does not know what to do with 'x'."),
    ("%schedule next --limit 0", "%schedule next: --limit is '0'; it must be a whole number from 1 up."),
    ("%schedule next --limt 1", "%schedule next has no option --limt. Did you mean '--limit'?"),
    ("%schedule pause a b", "%schedule pause does not know what to do with 'b'."),
    ("%schedule pause --name", "%schedule pause: --name needs a value, as in --name NAME."),
    ("%deploy", "%deploy does not know which file this notebook is"),
]


@pytest.mark.parametrize(("source", "says"), TASK_CELLS)
def test_a_mistake_is_one_sentence_and_registers_nothing(nb: Notebook, source: str, says: str) -> None:
    nb.ok("%%task known --define\nstart = []", "a")
    before, names = nb.tasks(), nb.value("sorted(k for k in globals() if k[0] != '_')")
    output = nb.fails(source, "b")
    assert says in output
    assert output.startswith("UsageError: ")
    assert output.count("\n") == 1
    assert nb.tasks() == before
    assert nb.value("sorted(k for k in globals() if k[0] != '_')") == names
    assert nb.value("get_ipython().magics_manager.registry['FlowbookMagics'].session.cells.graph and 1") == 1


def test_a_mistake_in_a_known_cell_keeps_what_it_was(nb: Notebook) -> None:
    nb.ok("%%task load --retries 1\nx = 1", "a")
    for source in ("%%task load --rtries 1\nx = 2", "%%task load\nx = = 2", "%%task other --after nobody\nx = 2"):
        nb.fails(source, "a")
        assert nb.tasks() == {"load": ("fresh", "")}
    nb.ok("%flow run --all", "b")
    assert nb.value("x") == 1


def test_a_cycle_names_the_tasks_and_why(nb: Notebook) -> None:
    nb.cells("%%task first --define\na = 1", "%%task second --define\nb = a")
    output = nb.fails("%%task first --after second --define\na = 1", "a")
    assert "first →(a) second →(--after) first" in output
    assert nb.tasks() == {"first": ("stale", "never run"), "second": ("stale", "never run")}
    nb.ok("%flow run", "c")


def test_a_plain_cell_that_makes_a_cycle_says_so_and_keeps_its_value(nb: Notebook) -> None:
    nb.cells("%%task first\na = 1", "b = 0", "%%task third\nc = b")
    nb.ok("%%task first --after third\na = 1", "a")
    output = nb.ok("b = a + 1", "b")
    assert output.startswith("flowbook: ")
    assert "first" in output
    assert "--after" in output
    assert output.count("\n") == 1
    assert nb.value("b") == 2
    assert set(nb.tasks()) == {"first", "third"}


def test_a_name_that_no_cell_defines(nb: Notebook) -> None:
    nb.ok("total = 1", "a")
    output = nb.fails("%%task t\ny = totla + 1", "b")
    assert output == (
        "UsageError: Task 't' reads 'totla', which no cell that has run defines. Did you mean 'total'? "
        "Run the cell that defines it first, or delete this one.\n"
    )
    assert "Task 't' reads 'totla'" in nb.fails("%flow run", "c")
    nb.ok("%%task t\ny = total + 1", "b")
    assert nb.tasks() == {"t": ("fresh", "")}


def test_a_private_name_of_another_task(nb: Notebook) -> None:
    nb.ok("%%task rates\n_rate = 3", "a")
    assert nb.fails("%%task t\ny = _rate", "b") == (
        "UsageError: Task 't' reads '_rate', which begins with an underscore and so stays inside 'rates', the task "
        "that binds it: give it another name, or make a plain cell of that one.\n"
    )


def test_a_name_that_only_a_deleted_cell_defined(nb: Notebook) -> None:
    nb.cells("%%task load\nraw = 1", "%%task double\ntwo = raw * 2")
    output = nb.ok("%flow run --all", "c", deleted=("a",))
    said = "Task 'double' reads 'raw', which load made before that cell was deleted: bind it in another cell"
    assert output.count(said) == 1
    nb.ok("raw = 3", "d")
    assert said not in nb.ok("%%task double\ntwo = raw * 2", "e", deleted=("b",))


def test_the_history_of_cells_is_not_there_for_tasks(nb: Notebook) -> None:
    nb.ok("%%task b --define\nx = _ + 1", "b")
    output = nb.fails("%flow run", "c")
    assert "Task 'b' reads '_', which is of the history of cells that were run one by one: give what it" in output
    assert "check_inputs" not in output, "nothing of how flowbook found that"


def test_a_value_that_cannot_go_to_a_process_is_named(nb: Notebook) -> None:
    nb.ok("import threading\nlock = threading.Lock()", "a")
    output = nb.fails("%%task t --isolate process\nx = lock.locked()", "b")
    assert output.startswith("UsageError: Task run 't' cannot be sent to another process: its argument 'lock' is")
    assert output.count("\n") == 1
    nb.fails("%flow run", "c")
    assert nb.output("b").startswith("NotPicklable: Task run 't' cannot be sent")
    assert "Traceback" not in nb.output("b")


@pytest.mark.parametrize("mark", ["%%task", "%%flow"])
def test_a_mark_below_code(nb: Notebook, mark: str) -> None:
    output = nb.fails(f"y = 2\n{mark} t\nx = 1", "a")
    kind = mark[2:]
    assert output == (
        f"UsageError: `{mark}` makes a {kind} of a whole cell: put it on the first line, only comments may be above.\n"
    )


def test_flow_run_without_tasks(nb: Notebook) -> None:
    output = nb.fails("%flow run", "a")
    assert output == "UsageError: There are no tasks yet. Put `%%task` on a cell's first line and run the cell.\n"
    assert "No tasks yet" in nb.ok("%tasks", "b")
    assert "No tasks yet" in nb.ok("%flow show", "c")


@pytest.mark.parametrize(
    "source", ["%%task --help\nx = 1", "%%task --help", "%flow run --help", "%runs --help", "%%flow --help\nx"]
)
def test_help(nb: Notebook, source: str) -> None:
    output = nb.ok(source, "a")
    name = source.partition(" --help")[0]
    assert f"  {name} [" in output
    assert nb.tasks() == {}


@pytest.mark.parametrize("magic", sorted({command.magic for command in commands.ALL}))
def test_the_help_of_the_shell_is_the_same(nb: Notebook, magic: str) -> None:
    said = nb.ok(f"{magic} --help" + ("\nx" if magic.startswith("%%") else ""))
    assert f"  {magic}" in said
    shown = nb.value(f"get_ipython().object_inspect_mime({magic!r})['text/plain']")
    assert said in shown


@pytest.mark.parametrize("cell", ["%%task t\n%flow run", "%%flow n\n%flow run"])
def test_a_run_within_a_task_or_a_flow_is_refused(nb: Notebook, cell: str) -> None:
    nb.ok("%%task other --define\nx = 1", "a")
    nb.run(cell, "b")
    nb.run("%flow run n" if "flow n" in cell else "%flow run", "c")
    said = nb.output("b") + nb.output("c")
    assert "%flow run cannot be used inside a task or a flow; give it a cell of its own." in said


def test_the_error_stops_a_run_of_all_cells(nb: Notebook) -> None:
    assert nb.run("%%task t --retry 3\nx = 1", "a").ename == "UsageError"
    assert nb.run("%%task t\n1/0", "a").ename == "ZeroDivisionError"
    assert nb.run("%flow run", "a").ename == "FlowRunFailed"


def test_deploy_of_a_kernel_without_a_notebook(nb: Notebook) -> None:
    assert "open it in JupyterLab, or run `flowbook promote NOTEBOOK.ipynb`" in nb.fails("%deploy", "a")


def test_a_task_may_be_called_like_a_builtin(nb: Notebook) -> None:
    nb.cells("%%task list\nx = 1", "y = list('ab')", "%flow run --all")
    assert nb.value("x, y") == (1, ["a", "b"])


def test_a_cell_may_bind_the_names_of_flowbook(nb: Notebook) -> None:
    nb.cells("task, flow = 5, 6", "%%task t\nx = task + flow", "%flow run --all")
    assert nb.value("x, task, flow") == (11, 5, 6)


def test_what_waits_for_a_task_that_was_deleted(nb: Notebook) -> None:
    nb.cells("%%task first\na = 1", "%%task second --after first\nb = 2")
    output = nb.fails("%%task second --after first\nb = 2", "b", deleted=("a",))
    assert output.startswith("UsageError: ")
    assert "'first'" in output
    assert output.count("\n") == 1


def test_an_input_that_cannot_be_compared_is_named(nb: Notebook) -> None:
    nb.ok("import threading\nlock = threading.Lock()", "a")
    output = nb.ok("%%task t --cache inputs\nx = lock is None", "b")
    assert "task run 't' is not cached: its argument 'lock' cannot be compared" in output
