"""``%%task --map``: a task run per element, and the list of their results for the cells below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook

REGIONS = "regions = ['eu', 'us', 'jp']"


def test_the_cells_below_get_the_list_of_results_in_order(nb: Notebook) -> None:
    nb.ok(REGIONS, "a")
    nb.ok("#| task part --map region=regions --define\nimport time\nshout = region.upper()\nprint('got', region)", "b")
    nb.ok("%%task report --define\nreport = '+'.join(shout)", "c")
    nb.ok("%flow run", "run")
    assert nb.value("(shout, report)") == (["EU", "US", "JP"], "EU+US+JP")
    assert nb.value("'region' in globals() or 'time' in globals()") is False
    assert sorted(nb.outputs["b"].of("stream").split("\n")) == ["", "got eu", "got jp", "got us"]
    assert sorted(nb.states()) == [
        ("part", "COMPLETED", "Completed"),
        ("part[0]", "COMPLETED", "Completed"),
        ("part[1]", "COMPLETED", "Completed"),
        ("part[2]", "COMPLETED", "Completed"),
        ("report", "COMPLETED", "Completed"),
    ]
    assert "Succeeded in" in nb.output("run") and "4 succeeded" in nb.output("run")
    assert "part" in nb.output("run") and "3/3" in nb.output("run")


def test_the_cell_alone(nb: Notebook) -> None:
    nb.ok(REGIONS, "a")
    assert "got us" in nb.ok("%%task part --map region=regions\nprint('got', region)\nshout = region.upper()", "b")
    assert nb.value("shout") == ["EU", "US", "JP"]
    assert nb.tasks()["part"] == ("fresh", "")
    said = nb.fails("%%task bad --map region=regions\ndone = region\nassert region == 'us', 'not ' + region", "c")
    assert "ElementsFailed: 2 of 3 elements of 'bad' failed: bad[0] (region='eu'): AssertionError: not eu" in said
    assert "bad[2] (region='jp')" in said
    assert "bad[2] failed: AssertionError: not jp" in said
    assert nb.value("'done' in globals()") is False


def test_an_element_that_fails_stops_no_other_one_and_is_named(nb: Notebook) -> None:
    nb.ok(f"{REGIONS}\ncodes = [1, 2, 3]\ntried = []", "a")
    nb.ok(
        "%%task part --map region=regions,code=codes --cache inputs --define\n"
        "if region == 'us' and not allowed:\n    raise KeyError(code)\npart = f'{region}{code}'",
        "b",
    )
    nb.ok("%%task report --define\nreport = '+'.join(part)", "c")
    nb.ok("allowed = False", "d")
    nb.ok("allowed = False", "d")
    said = nb.fails("%flow run", "run")
    assert "Failed at part[1]" in said
    assert "KeyError: 2" in said
    assert "3/3 · 1 failed" in said
    assert "raise KeyError(code)" in nb.outputs["b"].of("error")
    assert "part[1] failed: KeyError: 2" in nb.output("b")
    assert {name: state for name, _, state in nb.states()} == {
        "part": "Failed",
        "part[0]": "Completed",
        "part[1]": "Failed",
        "part[2]": "Completed",
        "report": "NotReady",
    }
    assert nb.tasks()["part"] == ("stale", "its last run is Failed")


def test_what_is_stored_is_stored_for_each_element(nb: Notebook) -> None:
    nb.ok("numbers = [1, 2]", "a")
    nb.ok("%%task part --map n=numbers --cache inputs --define\nprint('working on', n)\nsquare = n * n", "b")
    nb.ok("%flow run", "run")
    assert nb.tasks()["part"] == ("fresh", "")
    nb.ok("numbers = [1, 2, 3]", "a")
    assert nb.tasks()["part"] == ("stale", "numbers changed")
    nb.ok("%flow run --only part", "run")
    assert nb.value("square") == [1, 4, 9]
    assert nb.output("b") == "working on 3\n"
    nb.ok("numbers = [3, 1]", "a")
    nb.ok("%flow run", "run")
    assert nb.value("square") == [9, 1]
    assert nb.output("b") == ""


def test_failed_elements_are_run_again_from_failed(nb: Notebook) -> None:
    nb.ok("import os\nnumbers = [1, 2]", "a")
    source = "%%task part --map n=numbers --cache inputs --define\nprint('working on', n)\n"
    nb.ok(source + "part = n if os.path.exists('go') or n == 1 else 1 / 0", "b")
    nb.ok("%%task total --define\ntotal = sum(part)", "c")
    nb.fails("%flow run", "run")
    nb.ok("open('go', 'w').close()", "go")
    nb.ok("%flow run --from-failed", "run")
    assert nb.value("total") == 3
    assert nb.output("b") == "working on 2\n"
    nb.ok("os.remove('go')", "gone")


def test_without_a_cache_too_only_failed_elements_are_run_again_from_failed(nb: Notebook) -> None:
    nb.ok("import os\nnumbers = [[1], [2], [3]]", "a")
    source = "%%task part --map n=numbers --define\nprint('working on', n)\n"
    nb.ok(source + "part = n * 2 if os.path.exists('go') or n != [2] else 1 / 0", "b")
    nb.ok("%%task total --define\ntotal = sum(part, [])", "c")
    nb.fails("%flow run", "run")
    nb.fails("%flow run --from-failed", "run")
    assert nb.outputs["b"].of("stream").count("working on") == 1
    nb.ok("open('go', 'w').close()", "go")
    nb.ok("%flow run --from-failed", "run")
    assert nb.value("total") == [1, 1, 2, 2, 3, 3]
    assert nb.output("b") == "working on [2]\n"
    assert "2 reused" in nb.output("run")
    assert {name: state for name, _, state in nb.states()} == {
        "part": "Completed",
        "part[0]": "Cached",
        "part[1]": "Completed",
        "part[2]": "Cached",
        "total": "Completed",
    }
    nb.ok("os.remove('go')", "gone")


@pytest.mark.parametrize("changed", ["what is mapped over", "what all share", "the code"])
def test_elements_that_would_give_something_else_are_run_again(nb: Notebook, changed: str) -> None:
    nb.ok("import os\nfactor = 1", "shared")
    nb.ok("numbers = [1, 2]", "a")
    source = "%%task part --map n=numbers --define\nprint('working on', n)\n"
    nb.ok(source + "part = n * factor if os.path.exists('go') or n == 1 else 1 / 0", "b")
    nb.fails("%flow run", "run")
    nb.ok("open('go', 'w').close()", "go")
    if changed == "what is mapped over":
        nb.ok("numbers = [1, 3]", "a")
    elif changed == "what all share":
        nb.ok("import os\nfactor = 5", "shared")
    else:
        nb.ok(source + "part = -n", "b")
    nb.ok("%flow run --from-failed", "run")
    assert nb.output("b").count("working on") == 2
    assert nb.value("part") == {"what is mapped over": [1, 3], "what all share": [5, 10], "the code": [-1, -2]}[changed]
    nb.ok("os.remove('go')", "gone")


def test_each_element_has_its_retries(nb: Notebook) -> None:
    nb.ok("numbers = [1, 2, 3]\nseen = set()", "a")
    nb.ok(
        "%%task part --map n=numbers --retries 1 --out part --define\n"
        "if n not in seen:\n    seen.add(n)\n    raise OSError(n)\npart = -n",
        "b",
    )
    nb.ok("%flow run", "run")
    assert nb.value("part") == [-1, -2, -3]
    assert "3 succeeded, 3 after retries" in nb.output("run")


def test_elements_run_side_by_side(nb: Notebook) -> None:
    nb.ok("import threading\nmeeting = threading.Barrier(2, timeout=60)\nsides = ['l', 'r']", "a")
    nb.ok("%%task part --map side=sides --define\nmeeting.wait()\npart = side", "b")
    nb.ok("%flow run", "run")
    assert nb.value("part") == ["l", "r"]


@pytest.mark.parametrize("where", ["directly", "through a helper"])
def test_elements_that_change_what_they_share_run_in_order(nb: Notebook, where: str) -> None:
    nb.ok("import time\nnumbers = list(range(8))\nseen = []\ndef note(n):\n    seen.append(n)", "a")
    change = "seen.append(n)" if where == "directly" else "note(n)"
    nb.ok(f"%%task part --map n=numbers --define\ntime.sleep((8 - n) / 200)\n{change}", "b")
    nb.ok("%flow run", "run")
    assert nb.value("seen") == list(range(8))


def test_no_elements_give_empty_lists(nb: Notebook) -> None:
    nb.ok("numbers = []", "a")
    nb.ok("%%task part --map n=numbers --define\nsquare = n * n\nif square:\n    rest = 1", "b")
    nb.ok("%%task total --define\ntotal = sum(square)", "c")
    nb.ok("%flow run", "run")
    assert nb.value("square, rest, total") == ([], [], 0)
    assert nb.states()[0] == ("part", "COMPLETED", "Completed")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("0\ndel xs", "Task 'part' reads 'xs', which no cell that has run defines."),
        ("7", "Task 'part' has --map x=xs, but 'xs' is 7 (int), which has no elements: make it a list."),
        ("'eu'", "'xs' is one str, not a list of them: write [xs] for a single element."),
        ("{'a': 1}", "'xs' is a dict: map over list(xs) or list(xs.items())."),
        ("iter([1])", "'xs' is a list_iterator, which can be gone through only once"),
        ("[1, 2, 3]", "Task 'part' maps over lists of unequal length: xs has 3, ys has 2. Make them equally long."),
    ],
)
def test_what_cannot_be_mapped_over_is_one_sentence(nb: Notebook, value: str, says: str) -> None:
    nb.ok(f"xs = {value}\nys = [1, 2]", "a")
    said = nb.fails("%%task part --map x=xs,y=ys\npart = (x, y)", "b")
    assert says in said
    assert "Traceback" not in said
    said = nb.fails("%flow run", "run")
    assert says[:40] in said


def test_a_name_that_only_some_elements_bind(nb: Notebook) -> None:
    nb.ok("numbers = [1, -1]", "a")
    nb.ok("%%task part --map n=numbers\nall = n\nif n > 0:\n    root = n ** 0.5", "b")
    assert nb.value("(all, 'root' in globals())") == ([1, -1], False)
    nb.ok("%%task use --define\nused = root", "c")
    said = nb.fails("%flow run --all", "run")
    assert "Task 'part' binds 'root' for some elements and not for [1], so there is no list of it" in said


def test_an_element_may_be_changed_and_the_order_stays(nb: Notebook) -> None:
    nb.ok("rows = [[1], [2]]", "a")
    nb.ok("%%task before --define\nbefore = [len(row) for row in rows]", "b")
    nb.ok("%%task grow --map row=rows --define\nrow.append(0)", "c")
    nb.ok("%%task after --define\nafter = [len(row) for row in rows]", "d")
    nb.ok("%flow run", "run")
    assert nb.value("(before, after)") == ([1, 1], [2, 2])


def test_the_option_counts_for_freshness(nb: Notebook) -> None:
    nb.ok("xs = [1]\nys = [2]", "a")
    nb.ok("%%task part --map v=xs\npart = v", "b")
    nb.ok("%%task part --map v=ys --define\npart = v", "b")
    assert nb.tasks()["part"] == ("stale", "its options changed")


SHELF = """
import time

class Shelf:
    def __init__(self):
        self.items = []

    def look(self, item):
        time.sleep(0.1 / item)
        self.items.append(item)
        return len(self.items)

def note(item):
    time.sleep(0.1 / item)
    with open("noted.txt", "a") as file:
        print(item, file=file)

def put(items, item):
    items.append(item)
"""
NUMBERS = "%%task numbers --define\nnumbers = [1, 2, 4]"


@pytest.fixture
def shelf(nb: Notebook) -> Notebook:
    """A notebook that has a module which does what no cell shows."""
    nb.ok(f"from pathlib import Path\nPath('shelves.py').write_text({SHELF!r})", silent=True)
    nb.ok("import sys\nsys.path.insert(0, '')\nimport shelves", "z")
    return nb


def test_elements_that_share_what_one_changes_unseen_run_again_in_turn(shelf: Notebook) -> None:
    shelf.cells(
        f"{NUMBERS}\nshelf = shelves.Shelf()",
        "%%task look --map n=numbers --define\nplace = shelf.look(n)",
        "%%task after --define\nitems = list(shelf.items)",
    )
    said = shelf.ok("%flow run --all", "run")
    assert shelf.value("place, items") == ([1, 2, 3], [1, 2, 4]), said
    assert "The elements of task 'look' share 'shelf', which one of them changed and its code does not show" in said
    assert "Task 'look' runs again: its elements shared 'shelf' and ran beside each other." in said
    assert "flowbook:" not in shelf.ok("%flow run --all", "run") + shelf.output("b")
    assert shelf.value("place, items") == ([1, 2, 3], [1, 2, 4])


def test_elements_that_write_to_one_file_do_it_in_turn(shelf: Notebook) -> None:
    start = "\nfrom pathlib import Path\nnew = Path('noted.txt').write_text('')"
    shelf.cells(
        NUMBERS + start,
        "%%task note --map n=numbers --define\nnoted = shelves.note(n)",
        "%%task after --define\nlines = Path('noted.txt').read_text().split()",
    )
    for _ in range(2):
        said = shelf.ok("%flow run --all", "run")
        assert shelf.value("lines") == ["1", "2", "4"], said
    appends = "import time\ntime.sleep(0.1 / n)\nwith open('noted.txt', 'a') as file:\n    print(n, file=file)"
    shelf.ok(f"%%task note --map n=numbers --define\n{appends}", "b")
    assert "flowbook:" not in shelf.ok("%flow run --all", "run"), "the name of the file is there to be read"
    assert shelf.value("lines") == ["1", "2", "4"]


def test_a_global_that_a_helper_binds_is_handed_on_from_element_to_element(nb: Notebook) -> None:
    nb.cells(
        "%%task --define\ncalls = 0\ndef count():\n    global calls\n    calls += 1\n    return calls",
        NUMBERS,
        "%%task each --map n=numbers --define\nat = count()",
        "%%task after --define\nin_all = calls",
    )
    for _ in range(2):
        nb.ok("%flow run --all", "run")
        assert nb.value("at, in_all, calls") == ([1, 2, 3], 3, 3)


STATE = {
    "a default": ("def count(n, seen=[]):\n    seen.append(n)\n    return len(seen)", "count(n)"),
    "an iterator": ("from itertools import count\nids = count(1)", "next(ids)"),
}


@pytest.mark.parametrize("what", STATE)
def test_elements_in_other_processes_keep_what_they_share(nb: Notebook, what: str) -> None:
    make, use = STATE[what]
    nb.cells(
        f"%%task make --define\nnumbers = [4, 5, 6]\n{make}",
        f"%%task use --define --map n=numbers --isolate process\nused = {use}",
    )
    for _ in range(2):
        nb.ok("%flow run --all", "run")
        assert nb.value("used") == [1, 2, 3]


@pytest.mark.parametrize("code", ["put = shelves.put(items, n)", "items.append(n)"])
def test_elements_in_other_processes_change_what_they_share_in_turn(shelf: Notebook, code: str) -> None:
    shelf.cells(
        f"{NUMBERS}\nitems = []\nsame = [items]",
        f"%%task put --map n=numbers --isolate process --define\n{code}",
    )
    for _ in range(2):
        said = shelf.ok("%flow run --all", "run")
        assert shelf.value("items, same") == ([1, 2, 4], [[1, 2, 4]]), said


def test_elements_in_other_processes_may_change_themselves(nb: Notebook) -> None:
    nb.cells(
        "%%task rows --define\nrows = [{'a': 1}, {'a': 2}]",
        "%%task double --map row=rows --isolate process --define\nrow['b'] = 2 * row['a']",
        "%%task after --define\nseen = [row['b'] for row in rows]",
    )
    for _ in range(2):
        nb.ok("%flow run --all", "run")
        assert nb.value("seen") == [2, 4]
