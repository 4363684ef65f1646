"""``%flow run`` runs what is stale, for the reasons that ``%tasks`` shows, and what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook


def chain(nb: Notebook) -> None:
    nb.cells(
        "k = 2\ndef scaled(x):\n    return k * x",
        "%%task load\nraw = 3",
        "%%task middle\nmid = scaled(raw)",
        "%%task end\nend = mid + 1",
        "%%task apart\napart = 0",
    )
    assert {state for state, _ in nb.tasks().values()} == {"fresh"}


def stale(nb: Notebook) -> dict[str, str]:
    return {name: why for name, (state, why) in nb.tasks().items() if state == "stale"}


@pytest.mark.parametrize(
    "again",
    [
        "%%task middle --define\n\n# comment\nmid = (\n    scaled( raw )\n)",
        "#| task middle --define\nmid = scaled(raw)  # why",
        "%%task middle --define --retries 3 --timeout 5m\nmid = scaled(raw)",
        "%%task other --define\nmid = scaled(raw)",
    ],
)
def test_formatting_retries_and_the_name_do_not_make_stale(nb: Notebook, again: str) -> None:
    chain(nb)
    nb.ok(again, "c")
    assert stale(nb) == {}
    assert nb.ok("%flow run", "z").startswith("Nothing to run")


@pytest.mark.parametrize(
    ("cell", "source", "reasons", "end"),
    [
        ("c", "%%task middle --define\nmid = scaled(raw) + 1", {"middle": "its code changed"}, 8),
        ("c", "%%task middle --define --cache inputs\nmid = scaled(raw)", {"middle": "its options changed"}, 7),
        ("a", "k = 2\ndef scaled(x):\n    return k * x + 1", {"middle": "its code changed"}, 8),
        ("a", "k = 3\ndef scaled(x):\n    return k * x", {"middle": "k changed"}, 10),
        ("b", "%%task load\nraw = 5", {"middle": "raw changed"}, 11),
        ("b", "%%task load --define\nraw = 5", {"load": "its code changed", "middle": "load is stale"}, 11),
    ],
)
def test_what_makes_stale_and_why(nb: Notebook, cell: str, source: str, reasons: dict[str, str], end: int) -> None:
    chain(nb)
    nb.ok(source, cell)
    reasons = {**reasons, "end": "middle is stale"}
    assert stale(nb) == reasons
    before = len(nb.states())
    nb.ok("%flow run", "z")
    ran = [name for name, _, state in nb.states()[before:] if state == "Completed"]
    assert sorted(ran) == sorted(reasons)
    assert nb.value("end") == end
    assert stale(nb) == {}


def test_running_a_plain_cell_again_with_the_same_values_changes_nothing(nb: Notebook) -> None:
    chain(nb)
    nb.ok("k = 2\ndef scaled(x):\n    return k * x", "a")
    assert stale(nb) == {}


@pytest.mark.parametrize(
    ("value", "other"),
    [
        ("(1, ('a', None))", "(1, ('a', 0))"),
        ("frozenset('ab')", "frozenset('ac')"),
        ("datetime.date(2026, 1, 1)", "datetime.datetime(2026, 1, 1)"),
        ("datetime.datetime(2026, 1, 1, 12, tzinfo=UTC)", "datetime.datetime(2026, 1, 1, 13, tzinfo=EAST)"),
        ("decimal.Decimal('1.0')", "decimal.Decimal('1.00')"),
        ("pathlib.Path('a')", "pathlib.Path('b')"),
        ("range(3)", "range(4)"),
    ],
)
def test_plain_values_that_cannot_be_changed_are_compared(nb: Notebook, value: str, other: str) -> None:
    nb.ok("import datetime, decimal, pathlib", "m")
    nb.ok("UTC, EAST = (datetime.timezone(datetime.timedelta(hours=hours)) for hours in (0, 1))", "n")
    nb.cells(f"data, rest = {value}, 1", "%%task\nx = data")
    nb.ok(f"data, rest = {value}, 2", "a")
    assert stale(nb) == {}
    nb.ok(f"data, rest = {other}, 2", "a")
    assert stale(nb) == {"x": "data changed"}


def test_a_plain_value_that_cannot_be_compared_is_new_when_its_cell_ran_again(nb: Notebook) -> None:
    nb.cells("data = {'a': 1}", "%%task\nx = data['a']")
    nb.ok("data = {'a': 2}", "a")
    assert stale(nb) == {"x": "data changed"}


def test_a_plain_cell_that_failed_has_bound_what_it_bound(nb: Notebook) -> None:
    nb.cells("k = 1", "%%task\nx = k")
    nb.fails("k = 2\n1/0", "a")
    assert stale(nb) == {"x": "k changed"}
    nb.ok("%flow run", "z")
    assert nb.value("x") == 2


def test_a_task_that_changes_an_object_runs_with_the_one_that_makes_it(nb: Notebook) -> None:
    nb.cells("%%task make\nx = []", "%%task grow\nx.append(1)", "%%task sees\nsees = list(x)")
    nb.ok("%%task grow --define\nx.append(2)", "b")
    assert stale(nb) == {
        "grow": "its code changed",
        "make": "grow, which changes x in place, is stale",
        "sees": "grow is stale",
    }
    nb.ok("%flow run", "z")
    assert nb.value("sees, x") == ([2], [2])


def test_a_task_that_changes_an_object_by_a_method_runs_with_the_one_that_makes_it(nb: Notebook) -> None:
    nb.cells(
        "class Account:\n    def __init__(self):\n        self.moves = []\n"
        "    def add(self, x):\n        self.moves.append(x)",
        "%%task make\naccount = Account()",
        "%%task deposit\naccount.add(1)",
        "%%task end\nbalance = sum(account.moves)",
    )
    nb.ok("%%task deposit --define\naccount.add(5)", "c")
    nb.ok("%flow run", "z")
    assert nb.value("balance") == 5


def test_a_cached_task_that_changes_an_object_by_a_function_runs_again(nb: Notebook) -> None:
    nb.cells(
        "def put(xs, x):\n    xs.append(x)",
        "%%task make\nxs = []",
        "%%task grow --cache inputs\nput(xs, 1)",
        "%%task end\nn = len(xs)",
    )
    nb.ok("%flow run --all", "z")
    assert nb.value("n") == 1


EDITS = {
    "a change in place": ("xs = [3, 1]", "xs.sort()", "pass", "list(xs)", [3, 1]),
    "a change of a table": (
        "import pandas as pd\ndf = pd.DataFrame({'a': [1]})",
        "df['b'] = 2",
        "df = df.assign(c=3)",
        "list(df.columns)",
        ["a", "c"],
    ),
    "a setting": ("import os", "os.environ['FB_EDIT'] = '1'", "pass", "os.environ.get('FB_EDIT')", None),
    "random numbers": (
        "import random\nrandom.seed(4)\nexpected = random.Random(4).choices([1, 2, 3], k=5)",
        "a = random.choices([1, 2, 3], k=2)",
        "a = random.choices([1, 2, 3], k=3)",
        "random.choices([1, 2, 3], k=2) == expected[3:]",
        True,
    ),
    "a name that is not bound any more": ("x = 1", "x = 2", "pass", "x", 1),
}


@pytest.mark.parametrize("what", EDITS)
def test_what_a_task_did_before_it_was_edited_is_undone(nb: Notebook, what: str) -> None:
    make, change, edited, look, expected = EDITS[what]
    nb.cells(
        f"%%task make --define\n{make}", f"%%task change --define\n{change}", f"%%task look --define\nout = {look}"
    )
    nb.ok("%flow run --all", "z")
    nb.ok(f"%%task change --define\n{edited}", "b")
    for run in ("%flow run", "%flow run --all"):
        nb.ok(run, "z")
        assert nb.value("out") == expected
        assert nb.value("globals().get('x', 1)") == 1


DELETED = EDITS | {
    "a change of a table": ("import pandas as pd\ndf = pd.DataFrame({'a': [1]})", "df['b'] = 2", "", "[*df]", ["a"]),
    "random numbers": (*EDITS["random numbers"][:3], "random.choices([1, 2, 3], k=2) == expected[:2]", True),
    "a line in a file": ("open('d', 'w').close()", "print(1, file=open('d', 'a'))", "", "open('d').read()", ""),
}


@pytest.mark.parametrize("what", DELETED)
def test_what_a_task_did_before_it_was_deleted_is_undone(nb: Notebook, what: str) -> None:
    make, change, _, look, expected = DELETED[what]
    nb.cells(
        f"%%task make --define\n{make}",
        f"%%task change --define\n{change}",
        f"%%task look --define\nout = {look}",
        "%%task apart --define\napart = 1",
    )
    nb.ok("%flow run --all", "z")
    nb.ok("1", "y", deleted=("b",))
    assert ("make" in stale(nb)) == (what != "a name that is not bound any more")
    assert "look" in stale(nb)
    assert "apart" not in stale(nb)
    for run in ("%flow run", "%flow run --all"):
        nb.ok(run, "z")
        assert nb.value("out") == expected
        assert stale(nb) == {}


ALONE = {
    "changes an object again": ("xs = [1]", "xs.append(2)", "out = list(xs)", "out", [1, 2]),
    "adds to a file again": (
        "open('again.txt', 'w').close()",
        "print(1, file=open('again.txt', 'a'))",
        "out = open('again.txt').read()",
        "out",
        "1\n",
    ),
    "draws again": (
        "import random\nrandom.seed(4)",
        "a = random.random()",
        "out = random.random()",
        "(a, out) == (random.Random(4).random(), [r := random.Random(4), r.random(), r.random()][2])",
        True,
    ),
    "reads what was changed since": ("xs = [1]", "out = len(xs)", "xs.append(2)", "out", 1),
}


@pytest.mark.parametrize("how", ALONE)
def test_a_task_run_by_itself_that_did_something_else_than_in_a_run_of_all_is_stale(nb: Notebook, how: str) -> None:
    make, change, look, value, expected = ALONE[how]
    nb.cells(f"%%task make --define\n{make}", f"%%task change --define\n{change}", f"%%task look --define\n{look}")
    nb.ok("%flow run --all", "z")
    assert nb.value(value) == expected
    nb.ok(f"%%task change\n{change}", "b")
    assert "change" in stale(nb)
    nb.ok("%flow run", "z")
    assert nb.value(value) == expected
    assert stale(nb) == {}


@pytest.mark.parametrize(
    ("plain", "look"),
    [
        ("import random\nrandom.seed({})", "import random\nout = random.random() == random.Random({}).random()"),
        ("import os\nos.environ['FB_PLAIN'] = '{}'", "import os\nout = os.environ['FB_PLAIN'] == '{}'"),
        ("open('plain.txt', 'w').write('{}')", "out = open('plain.txt').read() == '{}'"),
    ],
    ids=["random numbers", "environment", "file"],
)
def test_what_an_edited_plain_cell_sets_makes_stale_who_uses_it(nb: Notebook, plain: str, look: str) -> None:
    nb.cells(plain.format(1), "%%task look --define\n" + look.format(2), "%%task apart --define\napart = 1")
    nb.ok("%flow run", "z")
    nb.ok(plain.format(1), "a")
    assert stale(nb) == {}, "it has set the same again"
    nb.ok(plain.format(2), "a")
    assert stale(nb) == {"look": "cell 1 changed"}
    nb.ok("%flow run", "z")
    assert nb.value("out") is True


def test_a_name_that_a_task_binds_no_more_has_the_value_of_the_one_before(nb: Notebook) -> None:
    nb.cells(
        "%%task make --define\nn, tmp, msg = 5, 1, 'low'",
        "%%task change --define\nif n > 3:\n    msg = 'high'\ndel tmp",
        "%%task look --define\nout = msg",
    )
    nb.ok("%flow run", "z")
    assert nb.value("(out, msg, 'tmp' in globals())") == ("high", "high", False)
    nb.ok("%%task change --define\nif n > 9:\n    msg = 'high'", "b")
    nb.ok("%flow run", "z")
    assert nb.value("(out, msg, tmp)") == ("low", "low", 1)


def test_an_object_that_a_plain_cell_changes_is_still_the_tasks(nb: Notebook) -> None:
    nb.cells("%%task make\nxs = [1]", "xs.append(2)", "%%task look\nn = sum(xs)")
    nb.ok("%%task make --define\nxs = [10]", "a")
    nb.ok("%flow run", "z")
    nb.ok("xs.append(2)", "b")
    nb.ok("%flow run", "z")
    assert nb.value("(xs, n)") == ([10, 2], 12)


KEEPING = {
    "a file": ("def load():\n    return open('kept.txt').read()", "open('kept.txt', 'w').write('{}')"),
    "a file whose path it is given": (
        "def read(path):\n    return open(path).read()\n@cache\ndef load(path='kept.txt'):\n    return read(path)",
        "from pathlib import Path\nPath('kept.txt').write_text('{}')",
    ),
    "a name": ("def load():\n    return said", "said = '{}'"),
    "an object": ("def load():\n    return ''.join(said)", "said = []\nsaid.append('{}')"),
    "a method": (
        "def nothing(): ...\nclass C:\n    @cache\n    def of(self): return said\nload = C().of",
        "said = '{}'",
    ),
}


def test_a_function_forgets_what_it_kept_of_what_a_plain_cell_has_made_anew(nb: Notebook) -> None:
    nb.cells("k = 1", "from functools import cache\n@cache\ndef f(n):\n    return n * k", "%%task look\nout = f(3)")
    for factor in (2, 5):
        nb.ok(f"k = {factor}", "a")
        nb.ok("%flow run", "z")
        assert nb.value("out") == 3 * factor
    nb.ok("%flow run --all", "z")
    assert nb.value("f.cache_info().hits") == 1


@pytest.mark.parametrize("of", KEEPING)
def test_a_function_forgets_what_it_kept_of_what_tasks_make(nb: Notebook, of: str) -> None:
    keeping, make = KEEPING[of]
    nb.cells(
        f"from functools import cache\n@cache\n{keeping}\n@cache\ndef square(n):\n    return n * n",
        "%%task make --define\n" + make.format("old"),
        "%%task look --define\nout = load(), square(3)",
    )
    nb.ok("%flow run --all", "z")
    nb.ok("%%task make --define\n" + make.format("new"), "b")
    nb.ok("%flow run", "z")
    assert nb.value("out") == ("new", 9)
    assert nb.value("square.cache_info().hits") == 1, "it depends on nothing that a task makes"


@pytest.mark.parametrize("path", ["'notes.txt'", "f'{\"notes\"}.txt'"], ids=["by its name", "by a computed one"])
def test_a_file_that_a_stale_task_adds_to_is_written_anew(nb: Notebook, path: str) -> None:
    add = f"%%task add --define\nwith open({path}, 'a') as file:\n    print(NUMBER, file=file)"
    nb.cells(
        f"%%task begin --define\nopen({path}, 'w').close()",
        add.replace("NUMBER", "3"),
        "%%task look --define\nsaid = open('notes.txt').read()",
        "%%task apart --define\nmade = open('other.txt').read()",
    )
    nb.ok("open('other.txt', 'w').close()", silent=True)
    nb.ok("%flow run", "z")
    nb.ok(add.replace("NUMBER", "4"), "b")
    assert stale(nb)["begin"] == "add, which writes to notes.txt as well, is stale"
    assert "apart" not in stale(nb) or "{" in path, "it may be any file then"
    nb.ok("%flow run", "z")
    assert nb.value("said") == "4\n"


def test_a_cached_task_that_reads_what_another_one_has_left_outside_runs_again(nb: Notebook) -> None:
    leave = "from pathlib import Path\nimport os\nPath('left.txt').write_text('{0}')\nos.environ['LEFT'] = '{0}'"
    nb.cells(
        f"%%task leave --define\n{leave.format(1)}",
        "%%task file --cache inputs --define\nn = int(open('left.txt').read())",
        "%%task variable --cache inputs --define\nimport os\nm = int(os.environ['LEFT'])",
    )
    for value in (1, 2):
        nb.ok(f"%%task leave --define\n{leave.format(value)}", "a")
        nb.ok("%flow run", "z")
        assert nb.value("n, m") == (value, value)


def test_a_cached_result_that_is_used_again_is_no_reason_to_run_again(nb: Notebook) -> None:
    nb.cells("%%task one\nxs = [1]", "%%task two --cache inputs\ny = sum(xs)", "%%task three\nz = y")
    for _ in range(3):
        assert "runs again" not in nb.ok("%flow run --all", "z")
    assert ("two", "COMPLETED", "Cached") in nb.states()


def test_a_failed_task_stays_stale(nb: Notebook) -> None:
    nb.cells("bad = True", "%%task one --define\none = 1 / (not bad)", "%%task two --define\ntwo = one")
    nb.fails("%flow run", "z")
    assert stale(nb) == {"one": "its last run is Failed", "two": "its last run is NotReady"}
    nb.ok("bad = False", "a")
    nb.ok("%flow run", "z")
    assert nb.value("two") == 1.0


def test_a_renamed_cell_is_the_same_task(nb: Notebook) -> None:
    chain(nb)
    nb.ok("%%task source --define\nraw = 3", "b")
    assert list(nb.tasks()) == ["source", "middle", "end", "apart"]
    assert stale(nb) == {}


def test_a_deleted_cell_is_no_task_any_more(nb: Notebook) -> None:
    chain(nb)
    nb.ok("1", "x", deleted=("e", "d"))
    assert list(nb.tasks()) == ["load", "middle"]
    assert "2 succeeded" in nb.ok("%flow run --all", "z")
    nb.ok("%%task apart\napart = 0", "e")
    assert list(nb.tasks()) == ["load", "middle", "apart"]


def test_a_copied_cell_needs_a_name_of_its_own(nb: Notebook) -> None:
    chain(nb)
    assert "The task name 'load' is taken by cell 2" in nb.fails("%%task load\nraw = 3", "copy")
    nb.ok("%%task\nraw = 4", "copy")
    assert list(nb.tasks()) == ["load", "middle", "end", "apart", "raw"]


def test_a_task_cell_may_become_a_plain_cell_and_back(nb: Notebook) -> None:
    chain(nb)
    nb.ok("raw = 4", "b")
    assert list(nb.tasks()) == ["middle", "end", "apart"]
    nb.ok("%flow run", "z")
    assert nb.value("end") == 9
    nb.ok("%%task load\nraw = 5", "b")
    assert list(nb.tasks()) == ["load", "middle", "end", "apart"]
    nb.ok("%flow run", "z")
    assert nb.value("end") == 11


def test_cells_run_in_another_order_than_written(nb: Notebook) -> None:
    """A cell that was first run too early finds its place behind what it needs."""
    nb.fails("%%task top\ntop = raw", "b")
    nb.ok("%%task load\nraw = 1", "a")
    nb.ok("%%task top\ntop = raw", "b")
    nb.ok("%%task load --define\nraw = 2", "a")
    nb.ok("%flow run", "z")
    assert nb.value("top") == 2


def test_all_runs_the_fresh_ones_too(nb: Notebook) -> None:
    chain(nb)
    before = len(nb.states())
    nb.ok("%flow run --all", "z")
    assert len(nb.states()) == before + 4


def test_a_task_that_was_marked_before_the_cell_it_reads_has_run(nb: Notebook) -> None:
    nb.ok("%%task --define\ntop = [n]", "task")
    nb.ok("n = 3", "plain")
    nb.ok("%flow run", "z")
    assert nb.value("top") == [3]
    nb.ok("n = 10", "plain")
    assert stale(nb) == {"top": "n changed"}
    nb.ok("%flow run", "z")
    assert nb.value("top") == [10]


def test_a_task_that_cannot_run_does_not_keep_the_others_from_running(nb: Notebook) -> None:
    nb.ok("%%task broken --define\nbroken = not_there", "a")
    nb.ok("%%task whole --define\nwhole = 1", "b")
    output = nb.fails("%flow run", "z")
    assert "Failed at broken" in output
    assert "Task 'broken' reads 'not_there', which no cell that has run defines." in output
    assert nb.value("whole") == 1


def test_a_task_may_be_renamed_before_those_that_wait_for_it_say_so(nb: Notebook) -> None:
    nb.cells("%%task a\nx = 1", "%%task b --after a\ny = 2", "%flow run")
    nb.ok("%%task first\nx = 1", "a")
    said = "flowbook: Task 'b' is to wait for 'a', which is called 'first' now: write --after first in its cell, or"
    assert said in nb.ok("%flow run --all", "c")
    nb.ok("%%task b --after first\ny = 2", "b")
    assert said not in nb.ok("%flow run --all", "c")


def test_a_part_of_what_a_plain_cell_made_that_was_changed_is_named(nb: Notebook) -> None:
    nb.cells("rows = [{'v': 1}, {'v': 2}]", "%%task b\nrow = rows[1]", "%%task c\nrow['v'] += 10", "%flow run")
    nb.ok("%%task c --define\nrow['v'] += 20", "c")
    said = "flowbook: 'rows' has in it what an earlier run of the tasks has left: cell 1, a plain cell, made it"
    assert said in nb.ok("%flow run", "d")
    nb.ok("rows = [{'v': 1}, {'v': 2}]", "a")
    assert "flowbook:" not in nb.ok("%flow run", "d")
    assert nb.value("rows") == [{"v": 1}, {"v": 22}]


@pytest.mark.parametrize("reads", ["m = k", "try:\n    m = k\nexcept NameError:\n    m = None"])
@pytest.mark.parametrize("how", ["edited", "deleted"])
def test_a_name_that_no_cell_binds_any_more_is_named(nb: Notebook, reads: str, how: str) -> None:
    nb.cells("%%task a\nk = 5", f"%%task d\n{reads}")
    if how == "edited":
        nb.ok("%%task a\nkk = 5", "a")
    output = nb.ok("%flow run --all", "z", deleted=("a",) if how == "deleted" else ())
    assert f"flowbook: Task 'd' reads 'k', which a made before that cell was {how}: bind it in another cell" in output
