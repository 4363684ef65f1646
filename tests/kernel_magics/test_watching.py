"""What a task does that its code does not show: it is noticed, said, and ordered from then on."""

from __future__ import annotations

import hashlib
import io
import random
import sys
import xml.etree.ElementTree as ET
from collections import ChainMap
from collections.abc import Callable
from functools import cache, lru_cache, partial
from itertools import tee
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from flowbook_magics.surveys import Survey

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook


class Box:
    def __init__(self) -> None:
        self.items = [1]


def test_a_task_that_may_have_seen_the_wrong_version_runs_again(nb: Notebook) -> None:
    nb.cells(
        "import operator, threading\nthreading.made = threading.Event()",
        "%%task box --define\nbox = {'n': [1]}\ntable = [box]",
        "%%task change --define\nin_time = threading.made.wait(60)\noperator.methodcaller('append', 2)(table[0]['n'])",
        "%%task late --define\nseen = len(box['n'])\ndone = threading.made.set()",
    )
    said = nb.ok("%flow run --all", "run")
    assert nb.value("seen, in_time") == (2, True), said


def test_an_iterator_that_a_library_consumes_is_noticed_once(nb: Notebook) -> None:
    nb.cells(
        "import itertools",
        "%%task numbers --define\nnumbers = iter(range(9))",
        "%%task first --define\nfirst = list(itertools.islice(numbers, 3))",
        "%%task rest --define\nrest = list(numbers)",
    )
    nb.ok("%flow run --all", "run")
    assert nb.value("first, rest") == ([0, 1, 2], [3, 4, 5, 6, 7, 8])
    nb.ok("%flow run --all", "again")
    assert "'numbers' was changed" not in nb.output("c")
    assert nb.value("first, rest") == ([0, 1, 2], [3, 4, 5, 6, 7, 8])


def counter() -> Callable[[], int]:
    n = 0

    def count() -> int:
        nonlocal n
        n += 1
        return n

    return count


def noting(seen: list[int] = []) -> None:  # noqa: B006 - people write it
    seen.append(1)


@lru_cache(maxsize=8)
def cached() -> list[int]:
    return [1]


@cache
def kept() -> list[int]:
    return [1]


cached(), kept()


class Stack(list[int]):
    pass


class Table(dict[str, int]):
    pass


class Point:
    __slots__ = ("x",)

    def __init__(self) -> None:
        self.x = 1


class Registry:
    names: ClassVar[list[str]] = []


def own_module(text: str) -> ModuleType:
    """A module as one that is imported from a file of the user."""
    module = sys.modules["module_of_user"] = ModuleType("module_of_user")
    module.__file__ = "/home/user/module_of_user.py"
    exec(text, vars(module))
    return module


N = "n = 0\ndef up():\n    global n\n    n += 1"
CHANGES: dict[str, tuple[Any, Callable[[Any], object]]] = {
    "closure": (counter(), lambda f: f()),
    "default": (noting, lambda f: f()),
    "attribute of a function": (counter(), lambda f: setattr(f, "calls", 1)),
    "method": ([].append, lambda f: f(1)),
    "method of an object": (Box().items.append, lambda f: f(1)),
    "own list": (Stack([1]), lambda x: x.append(2)),
    "own dict": (Table(a=1), lambda x: x.update(a=2)),
    "slot": (Point(), lambda p: setattr(p, "x", 2)),
    "library": (SimpleNamespace(x=1), lambda s: setattr(s, "x", 2)),
    "held by one of a library": (SimpleNamespace(x=[1]), lambda s: s.x.append(2)),
    "stream": (io.BytesIO(), lambda s: s.write(b"x")),
    "hash": (hashlib.sha256(), lambda h: h.update(b"x")),
    "random numbers": (np.random.default_rng(1), lambda rng: rng.random()),
    "old random numbers": (np.random.RandomState(1), lambda rng: rng.rand()),
    "random numbers of Python": (random.Random(1), lambda rng: rng.random()),
    "element": (ET.fromstring("<a><b>1</b></a>"), lambda a: setattr(a[0], "text", "2")),
    "chain of dicts": (ChainMap({"a": 1}, {}), lambda c: c.__setitem__("a", 2)),
    "what a cache gives again": (cached, lambda f: f().append(2)),
    "what one without bounds gives": (kept, lambda f: f().append(2)),
    "tee": (tee(iter(range(9)))[0], next),
    "array": (np.zeros(2000), lambda x: np.add.at(x, 1999, 1)),
    "view of an array": (np.zeros((40, 40))[3:], lambda x: x.base.__setitem__((39, 39), 1)),
    "partial": (partial([].append, 1), lambda f: f()),
    "class": (Registry, lambda x: x.names.append("a")),
    "attribute of a class": (Registry, lambda x: setattr(x, "last", "a")),
    "module": (own_module(N), lambda x: x.up()),
    "function of a module": (own_module(N).up, lambda f: f()),
    "list": ([1, 2], lambda x: x.append(3)),
    "item": ([1, 2], lambda x: x.__setitem__(0, 9)),
    "nested": ({"a": [1]}, lambda x: x["a"].append(2)),
    "set": ({1}, lambda x: x.add(2)),
    "object": (Box(), lambda x: x.items.append(2)),
    "iterator": (iter(range(3)), next),
    "column": (pd.DataFrame({"a": [1, 2]}), lambda x: x.insert(0, "b", 1)),
    "cell of a table": (pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), lambda x: x.__setitem__("b", ["x", "z"])),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_glance_tells_that_an_object_was_changed(case: str) -> None:
    value, change = CHANGES[case]
    survey = Survey({"value": value})
    assert survey.names_of(survey.changed()) == set()
    change(value)
    assert survey.names_of(survey.changed()) == {"value"}


def test_what_a_library_makes_when_it_is_asked_is_no_change() -> None:
    lazy = SimpleNamespace(known=None)
    survey = Survey({"lazy": lazy})
    lazy.known = lazy.more = [1]
    assert survey.names_of(survey.changed()) == set()


def test_what_is_made_again_is_made_from_the_beginning(nb: Notebook) -> None:
    """An iterator that was consumed too early cannot be wound back: the task that makes it runs again, too."""
    nb.cells(
        "import itertools, threading\ngate = threading.Event()",
        "%%task numbers --define\nnumbers = iter(range(9))",
        "%%task first --define\ngate.wait(0.5)\nfirst = list(itertools.islice(numbers, 3))",
        "%%task evens --define\nevens = (n for n in numbers if n % 2 == 0)",
        "%%task two --define\ntwo = next(evens), next(evens)",
    )
    said = nb.ok("%flow run --all", "run")
    assert nb.value("first, two") == ([0, 1, 2], (4, 6)), said
    nb.ok("%flow run --all", "run")
    assert nb.value("first, two") == ([0, 1, 2], (4, 6))


def test_a_name_that_a_cell_before_has_deleted_has_no_value(nb: Notebook) -> None:
    nb.cells(
        "%%task --define\nscratch = [1]",
        "%%task --define\ndel scratch",
        "%%task --define\ntry:\n    scratch.append(2)\nexcept NameError:\n    scratch = ['gone']",
    )
    for _ in range(2):
        nb.ok("%flow run --all", "run")
        assert nb.value("scratch") == ["gone"]


KEEPING = """
def put(text):
    with open("kept.txt", "w") as file:
        return file.write(text)

def get():
    with open("kept.txt") as file:
        return file.read()
"""


def test_files_that_no_code_shows_keep_the_order_of_the_cells_that_use_them(nb: Notebook) -> None:
    nb.ok(f"from pathlib import Path\nPath('keeping.py').write_text({KEEPING!r})", silent=True)
    nb.cells(
        "import sys, threading\nsys.path.insert(0, '')\nimport keeping",
        "threading.made = threading.Event()\nkeeping.put('0')",
        "%%task first --define\nwritten = keeping.put('1')",
        "%%task late --define\nin_time = threading.made.wait(60)\nagain = keeping.put('22')",
        "%%task read --define\nseen = keeping.get()\ndone = threading.made.set()",
    )
    said = nb.ok("%flow run --all", "run")
    assert nb.value("seen, in_time") == ("22", True), said
    assert "share the file kept.txt, which their code does not show; from now on they keep their order" in said
    assert "and was seen to share the file kept.txt with" in said
    said = nb.ok("%flow run --all", "run")
    assert "kept.txt" not in said


def test_a_folder_that_no_code_shows_is_listed_when_its_files_are_there(nb: Notebook) -> None:
    listing = "import os\n\ndef names():\n    return sorted(os.listdir('kept'))\n\n"
    writing = "def put(name):\n    return open(f'kept/{name}', 'w').close()\n"
    nb.ok(
        f"from pathlib import Path\nPath('kept').mkdir()\nPath('shelf.py').write_text({listing + writing!r})",
        silent=True,
    )
    nb.cells(
        "import sys, threading\nsys.path.insert(0, '')\nimport shelf\nthreading.made = threading.Event()",
        "%%task late --define\nin_time = threading.made.wait(60)\nput = shelf.put('a')",
        "%%task look --define\nseen = shelf.names()\ndone = threading.made.set()",
    )
    said = nb.ok("%flow run --all", "run")
    assert nb.value("seen, in_time") == (["a"], True), said
    assert "share the folder kept, which their code does not show" in said


DRAWING = "import random\nimport numpy\n\ndef draw():\n    return random.random(), numpy.random.random()\n"


def test_random_numbers_that_a_module_draws_are_those_of_notebook_order(nb: Notebook) -> None:
    nb.ok(f"from pathlib import Path\nPath('drawing.py').write_text({DRAWING!r})", silent=True)
    seed = "import random\nimport numpy as np\nrandom.seed(1)\nnp.random.seed(1)"
    nb.ok(f"import sys\nsys.path.insert(0, '')\nimport drawing\n{seed}", silent=True)
    nb.ok("expected = drawing.draw(), drawing.draw()", silent=True)
    nb.cells(
        "import threading, drawing",
        f"threading.made = threading.Event()\n{seed}",
        "%%task late --define\nin_time = threading.made.wait(60)\none = drawing.draw()",
        "%%task soon --define\ntwo = drawing.draw()\ndone = threading.made.set()",
    )
    said = nb.ok("%flow run --all", "run")
    assert nb.value("(one, two) == expected, in_time") == (True, True), said
    assert "Task 'soon' used random state, which its code does not show" in said
    said = nb.ok("%flow run --all", "run")
    assert "does not show" not in said
    assert nb.value("(one, two) == expected"), "a further run goes on from what the plain cell has seeded"


def test_what_no_task_has_drawn_is_held_against_none(nb: Notebook) -> None:
    nb.cells(
        "import random, threading\nthreading.made = threading.Event()",
        "%%task beside --define\nin_time = threading.made.wait(60)",
        "%%task draws --define\none = random.random()\ndone = threading.made.set()",
    )
    said = nb.ok("%flow run --all", "run")
    assert nb.value("in_time") is True
    assert "does not show" not in said + nb.output("b")


def test_what_earlier_runs_have_left_in_an_object_of_a_plain_cell_is_said(nb: Notebook) -> None:
    nb.cells(
        "log = []\nnames = {'a': 1}", "%%task add --define\nlog.append(names['a'])", "%%task --define\nn = len(log)"
    )
    assert "earlier run" not in nb.ok("%flow run --all", "run")
    said = nb.ok("%flow run --all", "run")
    assert (
        "flowbook: 'log' has in it what an earlier run of the tasks has left: cell 1, a plain cell, made it, and task "
        "'add' changes it in place. Run cell 1 again first, or make a task of it."
    ) in said
    assert nb.value("n") == 2
    nb.ok("log = []\nnames = {'a': 1}", "a")
    assert "earlier run" not in nb.ok("%flow run --all", "run")
    assert nb.value("n") == 1


STATES = {
    "cwd": (
        "import os",
        "os.path.basename(os.getcwd()) == 'deeper'",
        "os.makedirs('deeper', exist_ok=True)\nos.chdir('deeper')",
    ),
    "environ": ("import os\nos.environ['LEFT'] = 'plain'", "os.environ['LEFT']", "os.environ['LEFT'] = 'task'"),
    "pandas": ("import pandas as pd", "pd.get_option('display.max_rows')", "pd.set_option('display.max_rows', 7)"),
    "numpy": ("import numpy as np", "np.get_printoptions()['precision']", "np.set_printoptions(precision=3)"),
    "path": ("import sys", "'left' in sys.path", "sys.path.append('left')"),
    "pyplot": (
        "import matplotlib.pyplot as plt\nplt.rcParams['font.size'] = 14",
        "plt.rcParams['font.size']",
        "plt.rcParams['font.size'] = 8",
    ),
    "warnings": ("import warnings", "len(warnings.filters)", "warnings.simplefilter('ignore', ResourceWarning)"),
}


@pytest.mark.parametrize("case", STATES)
def test_a_further_run_begins_with_the_state_before_the_first_one(nb: Notebook, case: str) -> None:
    before, look, change = STATES[case]
    nb.cells(before, f"%%task look --define\nseen = {look}", f"%%task change --define\n{change}")
    nb.ok("%flow run --all", "run")
    first = nb.value("seen")
    nb.ok("%flow run --all", "run")
    assert nb.value("seen") == first


def test_a_state_that_the_user_has_changed_since_is_left_alone(nb: Notebook) -> None:
    change = "%%task change --define\nos.environ['LEFT'] = 'task'"
    nb.cells("import os\nos.environ['LEFT'] = 'plain'", "%%task look --define\nseen = os.environ['LEFT']", change)
    nb.ok("%flow run --all", "run")
    nb.ok("os.environ['LEFT'] = 'user'", silent=True)
    nb.ok("%flow run --all", "run")
    assert nb.value("seen") == "user"


def test_a_working_directory_that_is_gone_stops_no_run(nb: Notebook) -> None:
    gone = "os.makedirs('gone')\nos.chdir('gone')\nos.rmdir('../gone')"
    nb.ok("import os\nhome = os.getcwd()", "a")
    nb.ok(f"%%task go --define\n{gone}", "b")
    nb.ok("%flow run --all", "run")
    nb.ok("%flow run --all", "run")
    nb.ok("os.chdir(home)", silent=True)


def test_random_numbers_that_nobody_has_seeded_are_others_each_time(nb: Notebook) -> None:
    nb.cells("import random", "%%task draw --define\nn = random.random()")
    nb.ok("%flow run --all", "run")
    first = nb.value("n")
    nb.ok("%flow run --all", "run")
    assert nb.value("n") != first
