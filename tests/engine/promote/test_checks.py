"""What the check of a notebook finds before it runs unattended, and what follows from it."""

from __future__ import annotations

import json
import re
import sys
import threading
from contextlib import closing, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from flowbook import engine
from flowbook.promote import promote
from flowbook.promote.checks.checking import check_file
from flowbook.promote.checks.finding import UnfitNotebook
from flowbook.promote.checks.pickling import UNPICKLABLE
from flowbook.promote.checks.places import SourceLines
from flowbook.promote.checks.runs import Ran
from flowbook.run.pickles import why_not_pickled
from flowbook.store.deployments import all_deployments, find_deployment, manifest_of

LOAD = "%load_ext flowbook"

#: The cells; the severity, cell (from 0) and line of the one finding; and what it says.
FOUND: list[tuple[tuple[str, ...], tuple[str, int | None, int | None], str]] = [
    # Somebody would have to answer.
    (("x = 1\nname = input('?')",), ("error", 0, 2), r"^input\(\) has nobody to ask"),
    (("import getpass", "p = getpass.getpass()"), ("error", 1, 1), r"^getpass\.getpass\(\) .*environment variable"),
    (("from getpass import getpass as ask\np = ask()",), ("error", 0, 2), r"^getpass\.getpass\(\) "),
    (("x = 1\nbreakpoint()",), ("error", 0, 2), r"^breakpoint\(\) .*executed notebook"),
    (("import pdb; pdb.set_trace()",), ("error", 0, 1), r"^pdb\.set_trace\(\) "),
    (("def ask():\n    return input()", "x = ask()"), ("error", 0, 2), r"^input\(\) "),
    (("class A:\n    def __init__(self):\n        self.x = input()", "A()"), ("error", 0, 3), r"^input\(\) "),
    (("def ask():\n    return input()",), ("warning", 0, 2), r"^input\(\) "),
    (("there = True", "if there:\n    x = input()"), ("warning", 1, 2), r"^input\(\) "),
    (("try:\n    x = input()\nexcept Exception:\n    x = ''",), ("warning", 0, 2), r"^input\(\) "),
    (("import sys\nx = sys.stdin.readline()",), ("warning", 0, 2), r"^sys\.stdin\.readline\(\) reads nothing"),
    ((LOAD, "%%task a\nx = 1", "%%flow n\nprint(input())"), ("warning", 2, 2), r"^input\(\) "),
    ((LOAD, "%%flow n\nprint(input())"), ("error", 1, 2), r"^input\(\) "),
    (("%%debug\nx = 1",), ("error", 0, 1), r"^`%%debug` has nobody to ask"),
    (("x = 1", "%debug print(x)"), ("error", 1, 1), r"^`%debug print\(x\)` has nobody to ask"),
    (("x = 1\n%debug",), ("warning", 0, 2), r"^`%debug` has nobody to ask"),
    (("x = 1\n%pdb on",), ("warning", 0, 2), r"^`%pdb on` has nobody to ask"),
    # There is no screen.
    *(
        ((f"%matplotlib {backend}\nx = 1",), ("warning", 0, 1), r"needs a screen .*`%matplotlib inline`")
        for backend in ("widget", "qt", "qt5", "notebook", "tk")
    ),
    (("%gui qt",), ("warning", 0, 1), r"needs a screen"),
    # Hidden state.
    (("x = 1", "y = 2\nprint(undefined_name)"), ("error", 1, 2), r"^'undefined_name' is used, and no cell defines it"),
    (("print(later)", "later = 1"), ("error", 0, 1), r"^'later' is used before cell 2 defines it.*Move cell 2 before"),
    (("def f():\n    return rate", "f()"), ("error", 0, 2), r"^'rate' is used, and no cell defines it"),
    (("def f():\n    return rate",), ("warning", 0, 2), r"^'rate' is used"),
    (("try:\n    rate\nexcept NameError:\n    rate = 1", "x = 1 if rate else old"), ("warning", 1, 1), r"^'old' "),
    (("%%cython\ndef f(): pass", "f()"), ("warning", 1, 1), r"^'f' is used, .*unless one does so by code in text"),
    (("exec('a = 1')", "print(a)"), ("warning", 1, 1), r"^'a' is used"),
    (("day: date = None",), ("warning", 0, 1), r"^'date' is used"),
    # Other machines are not this one.
    ((f"p = '{Path.home()}/data.csv'",), ("warning", 0, 1), r"a path of your own home folder.*relative"),
    (("x = 1\np = '/home/somebody/data.csv'",), ("warning", 0, 2), r"'/home/somebody/data\.csv' is a path of somebody"),
    (("p = f'/Users/somebody/{1}.csv'",), ("warning", 0, 1), r"a path of somebody's home folder"),
    ((r"p = 'C:\\Users\\somebody\\data.csv'",), ("warning", 0, 1), r"a path of somebody's home folder"),
    (("%cd /home/somebody/work",), ("warning", 0, 1), r"'/home/somebody/work' is a path"),
    (("import os\nx = os.environ['NOT_SET_HERE']",), ("warning", 0, 2), r"variable NOT_SET_HERE is read.*work pool"),
    (("import os\nx = os.getenv('NOT_SET_HERE')\ny = os.getenv('NOT_SET_HERE')",), ("warning", 0, 2), r"NOT_SET_HERE"),
    # Packages.
    (("%pip install pandas",), ("warning", 0, 1), r"installs at each run, and takes whatever version of pandas is"),
    (("%pip install -q pandas==2.2 numpy",), ("warning", 0, 1), r"whatever version of numpy is"),
    (("%pip install pandas==2.2 -r more.txt",), ("warning", 0, 1), r"installs at each run\. Put it into the env"),
    (("import sys\n!{sys.executable} -m pip install pandas",), ("warning", 0, 2), r"version of pandas"),
    (("%conda install -c forge pandas=2.2",), ("warning", 0, 1), r"installs at each run\. Put it"),
    (("%%bash\ncd .\npip install pandas",), ("warning", 0, 3), r"version of pandas"),
    # Schedules that `%deploy` would refuse.
    (("%deploy --schedule '0 0 30 2 *'",), ("error", 0, 1), r"never fires"),
    (("%deploy --schedule '0 7 * * *' --tz Europe/Zürich",), ("error", 0, 1), r"Europe/Zürich"),
    (("%deploy --every often",), ("error", 0, 1), r"'often' is no length of time"),
    # Cells that keep their place.
    ((LOAD, "%%task a\nx = 1", "%%task b\ny = eval('x')"), ("warning", 2, None), r"runs alone.*may use any name"),
    (
        (LOAD, "import random", "%%task a\nx = random.random()", "%%task b\ny = random.random()"),
        ("warning", 3, None),
        r"^It waits for tasks that it reads nothing from, because it shares random state with a\.",
    ),
    # Modules.
    (("import math\nimport rates_of_ours as r",), ("warning", 0, 2), r"^'rates_of_ours' is imported, and is nei"),
    (("from rates_of_ours.swiss import day",), ("warning", 0, 1), r"as rates_of_ours/swiss\.py\. Bring it back"),
    # Files.
    (("import pandas as pd\nd = pd.read_csv('rates.csv')",), ("warning", 0, 2), r"^'rates\.csv' is read, and is"),
    (("x = 1", "with open('in/rates.txt', 'rb') as f:\n    f.read()"), ("warning", 1, 1), r"^'in/rates\.txt' is read"),
    (("from pathlib import Path\nt = (Path('in') / 'a.txt').read_text()",), ("warning", 0, 2), r"^'in/a\.txt' is read"),
    (("import os, numpy\nn = numpy.load(os.path.join('a', 'b.npy'))",), ("warning", 0, 2), r"^'a/b\.npy' is read"),
    # What goes to another process.
    (
        (LOAD, "import threading\nx = 1\nlock = threading.Lock()", "%%task a --isolate process\nwith lock:\n    y = 1"),
        ("error", 2, 2),
        r"^'lock' is sent to the process of this cell; cell 2, line 3, makes it a lock, which cannot be pickled\.",
    ),
    (
        (LOAD, "file = open('log.txt', 'a')", "def log(text):\n    file.write(text)", "%%task --runner dask\nlog('x')"),
        ("error", 3, None),
        r"^'file' is sent .*cell 2, line 1, makes it an open file",
    ),
    (
        (LOAD, "%%task a --isolate process\nnames = (str(n) for n in range(3))", "%%task b\nprint(list(names))"),
        ("error", 1, 2),
        r"^'names' is a generator, which cannot be sent back from the process of this cell, and cell 3 reads it\.",
    ),
    # What goes to another thread.
    (
        (LOAD, "from sqlalchemy import create_engine\ndb = create_engine('sqlite://')", "%%task a\nrows = db.begin()"),
        ("warning", 1, 2),
        r"^'db' is an SQLite database in memory, .* each thread another one; cell 3 reads it.*StaticPool",
    ),
    (
        (LOAD, "%%task a\nimport threading\nown = threading.local()", "%%task b\nown.x = 1"),
        ("warning", 1, 3),
        r"^'own' is a threading\.local, which is empty in every other thread; cell 3 reads it",
    ),
    # What asks whether an object still lives.
    (
        (LOAD, "import weakref", "%%task a\nn = object()\npool = weakref.WeakSet([n])"),
        ("warning", 2, 3),
        r"^It uses weakref\.WeakSet\(\), but what tasks make lives as long as others .* in one cell\.$",
    ),
    (
        (LOAD, "%%task a\nclass Log:\n    def __del__(self):\n        print('gone')"),
        ("warning", 1, 3),
        r"^It uses __del__\(\), but",
    ),
    # What cannot be read at all.
    (("x = 1", "y = (",), ("error", 1, 1), r"^'\(' was never closed"),
    (("%%task a --retires 3\nx = 1",), ("error", 0, 1), r"--retires"),
    (("%%task a --after b\nx = 1", "%%task b\ny = x"), ("error", None, None), r"wait for each other"),
    (("",), ("error", None, None), r"no code cell"),
    ((LOAD, "%%task a\nx = 1", "%%flow n --params a:\nx = 1"), ("error", None, None), r"Cell 3, line 1: --params 'a:'"),
]  # fmt: skip

#: Cells in which nothing is to be found.
CLEAN: list[tuple[str, ...]] = [
    ("import math\nx = [math.pi for _ in range(3)]", "display(x)\nlen(x)"),
    ("def input(text):\n    return text", "x = input('?')"),
    ("from math import *", "x = pi"),
    ("for i in range(3):\n    y = i", "print(y, i, _, _1, In)"),
    ("%env NOT_SET_HERE=1", "import os\nx = os.environ['NOT_SET_HERE']"),
    ("import os\nos.environ['NOT_SET_HERE'] = '1'", "x = os.environ['NOT_SET_HERE']"),
    ("def load_dotenv():\n    pass\nload_dotenv()", "import os\nx = os.environ['NOT_SET_HERE']"),
    ('help = """\n%matplotlib qt\n%pip install x\n"""',),
    ("%%html\npip install pandas",),
    ("# parameters\nday: str = '2026-01-01'", "print(day)"),
    ("%deploy", "%deploy --schedule '0 7 * * 1-5' --tz Europe/Zurich", "zone = 'UTC'\n%deploy --tz $zone --every 1h"),
    (LOAD, "%%task a\nx = 1", "%%task b\ny = x"),
    ("import threading\nown = threading.local()", "own.x = 1"),
    (LOAD, "%%task a\nx = 1", "%%flow n --params day:str\nprint(day, x)"),
    (LOAD, "%%flow nightly-load --params day:str='a'\nprint(day)"),
    ("from flowbook import flow", "@flow\ndef f(n: int = 1):\n    return n", "exploring = undefined_name"),
    ("try:\n    import rates_of_ours\nexcept ImportError:\n    rates_of_ours = None",),
    ("import sys\nsys.path.append('lib')", "import rates_of_ours"),
    ("%%writefile rates_of_ours.py\nday = 1", "import rates_of_ours"),
    ("from . import x\nfrom .part import y",),
    ("def later():\n    import rates_of_ours",),
    ("import pandas as pd\nd = pd.DataFrame()\nd.to_csv('made.csv')", "e = pd.read_csv('made.csv')"),
    ("!curl -O https://example.org/got.csv", "t = open('got.csv').read()"),
    ("import os\nif os.path.exists('old.csv'):\n    t = open('old.csv').read()",),
    ("from pathlib import Path\nt = Path('old.csv').read_text() if Path('old.csv').exists() else ''",),
    ("import os\nos.chdir('elsewhere')", "t = open('there.csv').read()"),
    ("import pandas as pd\nd = pd.read_csv('https://example.org/x.csv')\nopen('made.txt', 'w').write('x')",),
    (LOAD, "import threading\nlock = threading.Lock()", "%%task a\nwith lock:\n    y = 1"),
    ("import sys, weakref\nn = {1}\nr = weakref.ref(n)\nc = sys.getrefcount(n)",),
    (LOAD, "%%task a\nimport gc\ngc.collect()"),
    ("import zipfile\nz = zipfile.ZipFile('made.zip', 'a')",),
    (LOAD, "%%task a\nfor n in [1, 2]:\n    last = n\nprint(last)\ndel n"),
    (LOAD, "f = open('made.txt', 'w')\nf = 1", "g = lambda: f", "%%task a --isolate process\ny = f + g()"),
    ("def helper():\n    return made_later", "made_later = 1", "helper()"),
]


@pytest.mark.parametrize(("cells", "where", "says"), FOUND)
def test_what_is_found(
    make_notebook: Any, cells: tuple[str, ...], where: tuple[str, int | None, int | None], says: str
) -> None:
    (found,) = check_file(make_notebook("book", *cells))
    assert (found.severity, found.cell, found.line) == where
    assert re.search(says, f"{found.why} {found.fix}"), found
    assert found.title == ("Notebook" if found.cell is None else f"Cell {found.cell + 1}")
    assert found.why.endswith((".", "?"))
    assert found.fix.endswith(".")


@pytest.mark.parametrize("cells", CLEAN)
def test_nothing_is_found(make_notebook: Any, cells: tuple[str, ...]) -> None:
    assert check_file(make_notebook("book", *cells)) == []


def test_what_a_plain_cell_begins_and_a_task_awaits(make_notebook: Any) -> None:
    begin = "import asyncio\nbegun = asyncio.create_task(asyncio.sleep(1))"
    said = [each.sentence for each in check_file(make_notebook("book", LOAD, begin, "%%task a\nawait begun"))]
    assert (
        "Cell 2: It makes 'begun' in the kernel's own event loop, which stands still while cell 3 awaits. "
        "Make a task of it, too: tasks share another loop."
    ) in said
    said = [
        each.sentence for each in check_file(make_notebook("book", LOAD, f"%%task b\n{begin}", "%%task a\nawait begun"))
    ]
    assert "kernel's own event loop" not in " ".join(said)


def test_a_kernel_that_is_not_there(make_notebook: Any) -> None:
    (missing,) = check_file(make_notebook("r", "x <- 1", kernel="ir", language="R"))
    assert (missing.severity, missing.title, missing.cell) == ("error", "Kernel", None)
    assert "needs the kernel 'ir', which is not installed here." in missing.sentence
    (other,) = check_file(make_notebook("py", "x = 1", kernel=".venv-of-somebody"))
    assert (other.severity, other.title) == ("warning", "Kernel")


@pytest.mark.parametrize(
    ("planning", "says"),
    [
        ({"cron": "0 0 30 2 *"}, "never fires"),
        ({"cron": "0 7 * * *", "timezone": "Europe/Zürich"}, "Europe/Zürich"),
        ({"rrule": "FREQ=DAILY;UNTIL=20200101T000000Z"}, "never fires after now"),
    ],
)
def test_a_schedule_that_is_asked_about(make_notebook: Any, planning: dict[str, Any], says: str) -> None:
    (found,) = check_file(make_notebook("book", "x = 1"), planning=planning)
    assert (found.severity, found.title) == ("error", "Schedule")
    assert says in found.why


def test_what_is_beside_the_notebook_is_found(make_notebook: Any) -> None:
    reads = "t = open('data/x.csv').read()\nimport numpy as np\nn = np.loadtxt('data/y.txt')"
    path = make_notebook("book", "import helpers\nfrom pack import part, anything\nimport pack.sub.deep", reads)
    for name in ("data/x.csv", "data/y.txt", "pack/part.py", "pack/sub/deep.py"):
        file = path.parent / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    helpers = path.parent / "helpers.py"
    helpers.write_text(
        "from pack.part import x\nfrom pack.gone import y\ntry:\n    import not_here\nexcept ImportError: ..."
    )
    (found,) = check_file(path)
    assert (found.severity, found.cell, found.line) == ("warning", 0, 1)
    assert found.why == (
        "'pack.gone', which helpers.py imports, is neither installed nor beside the notebook, as pack/gone.py."
    )
    helpers.unlink()
    (found,) = check_file(path)
    assert (found.line, found.why.split(",")[0]) == (1, "'helpers' is imported")


def test_a_folder_that_is_called_like_what_is_installed(make_notebook: Any) -> None:
    path = make_notebook("book", "import nbformat.v4\nimport rates_of_ours.part")
    for name in ("nbformat", "rates_of_ours"):
        (path.parent / name).mkdir()
    (found,) = check_file(path)
    assert found.why.startswith("'rates_of_ours.part' is imported, and is neither installed nor")


def test_a_file_outside_of_the_folder_is_told(make_notebook: Any) -> None:
    path = make_notebook("book", "x = 1\nt = open('../rates.csv').read()")
    (path.parents[1] / "rates.csv").write_text("")
    (found,) = check_file(path)
    assert (found.severity, found.cell, found.line) == ("warning", 0, 2)
    assert found.why.startswith("'../rates.csv' is outside of the notebook's folder")


#: How the constructors are called that need something; of these nobody is there to answer.
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "threading.Barrier": (2,),
    "threading.Timer": (1, print),
    "sqlite3.connect": (":memory:",),
    "sqlalchemy.create_engine": ("sqlite://",),
    "subprocess.Popen": (["true"],),
    "gzip.open": (__file__,),
    "csv.reader": ([],),
    "csv.writer": (sys.stdout,),
}
CONNECT = {"psycopg.connect", "socket.create_connection"}


@pytest.mark.parametrize("path", sorted(UNPICKLABLE.keys() - CONNECT))
def test_what_is_said_to_be_unpicklable_is(path: str) -> None:
    module, _, name = path.rpartition(".")
    value = getattr(import_module(module), name)(*ARGUMENTS.get(path, ()))
    with closing(value) if hasattr(value, "close") else nullcontext():
        assert why_not_pickled("it", "x", value) is not None
    if path == "subprocess.Popen":
        value.wait()


def test_what_a_kernel_holds_counts_where_the_code_does_not_show_it(make_notebook: Any) -> None:
    task = "%%task a --isolate process\nwith guard['lock']:\n    y = total"
    path = make_notebook("book", LOAD, "import shared_of_ours as s\nguard = s.make()\ntotal = s.total()", task)
    (path.parent / "shared_of_ours.py").write_text("")
    assert check_file(path) == []
    (found,) = check_file(path, values={"guard": {"lock": threading.Lock()}, "total": 1})
    assert (found.severity, found.cell, found.line) == ("warning", 2, 2)
    assert found.why == (
        "'guard' is sent to the process of this cell, and it holds at guard['lock'] a _thread.lock, which cannot be "
        "pickled (TypeError: cannot pickle '_thread.lock' object)."
    )


def counted(path: Path, *counts: int | None) -> Path:
    """The notebook with these numbers in the prompts of its cells."""
    plain = json.loads(path.read_text())
    for cell, count in zip(plain["cells"], counts, strict=True):
        cell["execution_count"] = count
    path.write_text(json.dumps(plain))
    return path


@pytest.mark.parametrize(
    ("counts", "where", "says"),
    [
        ((1, None, 3), (1, None), "It has never run."),
        ((1, 7, 3), (2, None), "It ran before cell 2 (as [3] and [7])"),
    ],
)
def test_cells_whose_outputs_are_not_of_this_notebook(
    make_notebook: Any, counts: tuple[int | None, ...], where: tuple[int, None], says: str
) -> None:
    path = counted(make_notebook("book", "x = 1", "y = 2", "z = 3"), *counts)
    (found,) = check_file(path)
    assert (found.severity, found.cell, found.line) == ("warning", *where)
    assert says in found.why


def test_numbers_that_say_nothing(make_notebook: Any) -> None:
    path = make_notebook("book", "x = 1", "%flow check", "z = 3")
    assert check_file(counted(path, None, None, None)) == []  # outputs are cleared before a commit
    assert check_file(counted(path, 4, None, 5)) == []


def test_what_a_kernel_knows_counts_more_than_what_was_saved(make_notebook: Any) -> None:
    path = counted(make_notebook("book", "x = 1", "y = 2", "z = 3"), 9, None, 3)
    ran = {f"c{n}": Ran(count=n, source=source) for n, source in enumerate(("x = 1", "y = 2", "z = 3"), 1)}
    assert check_file(path, ran=ran) == []
    (found,) = check_file(path, ran=ran | {"c2": Ran(count=2, source="y = 1")})
    assert (found.cell, found.why) == (1, "It was changed since it ran.")


def test_an_error_stops_promoting_unless_forced(make_notebook: Any) -> None:
    path = make_notebook("book", "%pip install pandas", "x = input()")
    with pytest.raises(UnfitNotebook, match=r"^Cell 2, line 1: input\(\) has nobody to ask") as raised:
        promote(path)
    assert [one.severity for one in raised.value.findings] == ["warning", "error"]
    with pytest.raises(UnfitNotebook):
        promote(path, dry_run=True)
    assert all_deployments(engine.engine().database) == []
    made = promote(path, force=True)
    assert len(made.warnings) == 2
    kept = manifest_of(engine.engine().database, find_deployment(engine.engine().database, "book").id, 1)
    assert kept["warnings"] == list(made.warnings)
    assert [(one["severity"], one["cell"], one["line"]) for one in kept["findings"]] == [
        ("warning", 0, 1),
        ("error", 1, 1),
    ]


def test_warnings_do_not_stop_promoting_and_are_kept(make_notebook: Any) -> None:
    made = promote(make_notebook("book", "%pip install pandas"))
    assert made.warnings[0].startswith("Cell 1, line 1: `%pip install pandas` installs at each run")
    kept = manifest_of(engine.engine().database, made.id, made.version)
    assert [one["why"] for one in kept["findings"]] == [made.warnings[0].partition(": ")[2].partition(" Put it")[0]]


def test_a_kernel_of_another_machine_can_be_forced(make_notebook: Any) -> None:
    made = promote(make_notebook("r", "x <- 1", kernel="ir", language="R"), force=True)
    assert manifest_of(engine.engine().database, made.id, 1)["kernel"] == "ir"


def test_variables_of_its_job_are_set(make_notebook: Any) -> None:
    path = make_notebook("book", "import os\nx = os.environ['NOT_SET_HERE']")
    assert promote(path, job_variables={"env": {"NOT_SET_HERE": "1"}}).warnings == ()


@pytest.mark.parametrize("indent", [1, None])
@pytest.mark.parametrize("as_text", [True, False])
def test_where_a_line_of_a_cell_stands_in_the_file(indent: int | None, as_text: bool) -> None:
    sources = ["# source\n", "a = 'x\\n'\n\nb = \"y\"\n", "c = 1"]
    cells = [
        {
            "metadata": {"source": ["no"], "cells": [{"source": "no"}]},
            "source": text if as_text else text.splitlines(True),
        }
        for text in sources
    ]
    text = json.dumps({"metadata": {"cells": [{"source": ["no"]}]}, "cells": cells}, indent=indent)
    lines = SourceLines(text)
    for cell, line, code in ((0, 1, "# source"), (1, 1, "a = 'x"), (1, 3, "b = "), (2, 1, "c = 1")):
        found = lines.line(cell, line)
        assert found is not None
        assert code in text.split("\n")[found - 1]
        if indent and not as_text:
            assert text.split("\n")[found - 1].strip().startswith('"' + code)
    assert lines.line(3, 1) is None
