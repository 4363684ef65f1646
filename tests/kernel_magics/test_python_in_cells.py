"""Whatever Python people write in cells works in a task cell as in a plain one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook

# what a task cell holds, then what a plain cell evaluates afterwards, and its value
BODIES = {
    "function": ("def f(x): return g(x) + 1\ndef g(x): return 2 * x", "f(3)", 7),
    "late binding": ("rate = 2\ndef f(x): return rate * x", "(globals().update(rate=10), f(1))[1]", 10),
    "recursion": ("def fact(n): return 1 if n < 2 else n * fact(n - 1)", "fact(5)", 120),
    "default argument": ("n = 3\ndef f(x=n, *, y=n): return x + y", "f()", 6),
    "closure": ("def counter():\n    n = 0\n    def step():\n        nonlocal n\n        n += 1\n        return n\n    return step\nstep = counter()", "step(), step()", (1, 2)),
    "decorator": ("import functools\ndef twice(f):\n    @functools.wraps(f)\n    def inner(*a): return f(*a) * 2\n    return inner\n@twice\ndef f(x): return x + one\none = 1", "f(2), f.__name__", (6, "f")),
    "cached function": ("import functools\nbase = 5\n@functools.cache\ndef f(x): return base + x", "f(1)", 6),
    "class": ("scale = 2\nclass Point:\n    unit = scale\n    def __init__(self, x): self.x = x\n    def scaled(self): return self.x * scale\np = Point(3)", "p.scaled(), Point(4).scaled(), Point.unit", (6, 8, 2)),
    "subclass": ("class A:\n    def hi(self): return name()\nclass B(A):\n    def hi(self): return super().hi() + '!'\ndef name(): return 'a'", "B().hi()", "a!"),
    "dataclass": ("from dataclasses import dataclass, field, fields\n@dataclass\nclass P:\n    x: int\n    tags: list = field(default_factory=list)\np = P(1)", "p == P(1), fields(P)[0].type is int", (True, True)),
    "enum": ("import enum\nclass E(enum.Enum):\n    A = 1\ne = E.A", "E(1) is e", True),
    "named tuple": ("from typing import NamedTuple\nclass N(NamedTuple):\n    x: int = 1\nn = N()", "n.x", 1),
    "annotations": ("def f(x: int) -> str: ...\ny: int = 3", "f.__annotations__['x'] is int, y", (True, 3)),
    "future annotations": ("from __future__ import annotations\ndef f(x: Nowhere): return x", "f.__annotations__", {"x": "Nowhere"}),
    "comprehensions": ("n = 2\nxs = [n * i for i in range(3) if i < n]\nd = {k: [k + j for j in xs] for k in xs}", "xs, d", ([0, 2], {0: [0, 2], 2: [2, 4]})),
    "nested lambda": ("k = 3\nfs = [lambda x, i=i: x + i + k for i in range(2)]", "[f(1) for f in fs]", [4, 5]),
    "generator": ("k = 2\ndef gen():\n    for i in range(3): yield i * k\nlazy = (i + k for i in range(3))", "list(gen()), list(lazy)", ([0, 2, 4], [2, 3, 4])),
    "global": ("n = 1\ndef bump():\n    global n\n    n += 1\nbump()", "(bump(), n)[1]", 3),
    "global that is new": ("def make():\n    global fresh\n    fresh = 5\nmake()", "fresh", 5),
    "context manager": ("import contextlib\nlog = []\n@contextlib.contextmanager\ndef step(n):\n    log.append(n)\n    yield n\n    log.append(-n)\nwith step(1) as s: pass", "log, s", ([1, -1], 1)),
    "exception": ("class Bad(Exception): pass\ntry:\n    raise Bad('x')\nexcept Bad as e:\n    caught = str(e)", "caught, 'e' in globals()", ("x", False)),
    "unpacking": ("a, (b, *c) = 1, (2, 3, 4)\nd = e = a", "a, b, c, d, e", (1, 2, [3, 4], 1, 1)),
    "walrus and match": ("match (m := [1, 2]):\n    case [x, y]: s = x + y", "m, s", ([1, 2], 3)),
    "loop variable": ("for i in range(3): last = i", "i, last", (2, 2)),
    "star import": ("from math import *\nr = sqrt(4)", "r, sqrt(9)", (2.0, 3.0)),
    "import as": ("import os.path as p, json\nfrom math import pi as PI", "p.join('a', 'b'), json.dumps(1), round(PI)", ("a/b", "1", 3)),
    "del": ("x = 1\ndel x\ny = 2", "'x' in globals(), y", (False, 2)),
    "private": ("_hidden = 4\ndef f(): return _hidden\ny = _hidden", "f(), y, '_hidden' in globals()", (4, 4, False)),
    "private helper": ("def _twice(x): return 2 * x\nclass C:\n    def go(self): return _twice(2)", "C().go(), '_twice' in globals()", (4, False)),
    "exec": ("exec('made = 1')\nglobals()['other'] = 2", "made, other", (1, 2)),
    "name of main": ("m = __name__\nok = __name__ == '__main__'", "m, ok", ("__main__", True)),
    "in globals": ("x = 'plain' in globals(), 'nope' in globals(), globals().get('plain'), globals()['plain']", "x", (True, False, 7, 7)),
    "shadowed builtin": ("list = [1]\nn = len(list)", "n, list", (1, [1])),
    "type alias": ("from typing import TypeVar, Generic\nT = TypeVar('T')\nclass Box(Generic[T]):\n    def get(self) -> T: return plain", "Box().get()", 7),
    "threads": ("from concurrent.futures import ThreadPoolExecutor\nk = 2\ndef f(x): return x * k\nwith ThreadPoolExecutor(2) as pool: out = list(pool.map(f, [1, 2]))", "out", [2, 4]),
    "pickled class": ("import pickle\nclass P:\n    def __init__(self): self.x = 1\nback = pickle.loads(pickle.dumps(P()))\nsame = type(back) is P", "same, pickle.loads(pickle.dumps(P())).x", (True, 1)),
    "pickled function": ("import pickle\ndef f(x): return x + 1\nback = pickle.loads(pickle.dumps(f))(1)", "back, pickle.loads(pickle.dumps(f))(2)", (2, 3)),
    "await": ("import asyncio\nasync def later(x):\n    await asyncio.sleep(0.001)\n    return x\none = await later(1)\nboth = await asyncio.gather(later(2), later(3))", "one, both", (1, [2, 3])),
    "async for and with": ("import asyncio, contextlib\n@contextlib.asynccontextmanager\nasync def cm(): yield 1\nasync def gen():\n    for i in range(2): yield i\nasync with cm() as c: pass\nxs = [x async for x in gen()]", "c, xs", (1, [0, 1])),
    "shell with a name": ("word = 'hello'\nout = !echo {word} $word {word.upper()}\nout = list(out)", "out", ["hello hello HELLO"]),
    "time of a statement": ("k = 3\n%time ys = [k * i for i in range(2)]", "ys", [0, 3]),
    "line magic's value": ("here = %pwd\nok = isinstance(here, str)", "ok", True),
    "cell magic on top": ("%%time\nk = 3\nys = [k * i for i in range(2)]", "ys, k", ([0, 3], 3)),
    "env": ("%env FLOWBOOK_SAID=yes\nimport os\nsaid = os.environ['FLOWBOOK_SAID']", "said", "yes"),
    "captured": ("%%capture cap\nprint('quiet')\nz = plain", "z, cap.stdout", (7, "quiet\n")),
    "bash": ("%%bash --out said\necho from bash", "said", "from bash\n"),
    "user_ns": ("get_ipython().user_ns['via_shell'] = get_ipython().user_ns['plain']", "via_shell", 7),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_a_task_cell_is_python(nb: Notebook, name: str) -> None:
    body, expression, value = BODIES[name]
    nb.ok("plain = 7", "plain")
    first = body.startswith("%%")
    nb.ok(f"%%task t\n{body}", "t")
    assert nb.value(expression) == value
    if not first or "time" in body:
        nb.ok("%flow run --all", "run")
        assert nb.tasks() == {"t": ("fresh", "")}


@pytest.mark.parametrize("name", [name for name in BODIES if name not in ("late binding",)])
def test_the_same_in_a_plain_cell(nb: Notebook, name: str) -> None:
    """The table itself is right: a plain cell gives the same, but for what stays inside a task."""
    body, expression, value = BODIES[name]
    nb.ok("plain = 7", "plain")
    nb.ok(body, "t")
    if not name.startswith("private"):
        assert nb.value(expression) == value


def test_inner_names_are_seen_by_magics_when_three_run_at_once(nb: Notebook) -> None:
    nb.ok("import threading\nmeet = threading.Barrier(3, timeout=20)", "setup")
    for name in "pqr":
        nb.ok(
            f"%%task {name} --define\nword = '{name}'\nmeet.wait()\n"
            f"%time seen_{name} = [word for _ in range(2)]\nmeet.wait()\ndel word",
            name,
        )
    nb.ok("%flow run", "run")
    assert nb.value("seen_p, seen_q, seen_r") == (["p"] * 2, ["q"] * 2, ["r"] * 2)


def test_a_future_import_of_the_notebook_holds_in_tasks(nb: Notebook) -> None:
    nb.ok("from __future__ import annotations", "a")
    nb.ok("%%task\ndef f(x: int): pass", "b")
    assert nb.value("f.__annotations__") == {"x": "int"}


def test_unpicklable_results_and_processes(nb: Notebook) -> None:
    nb.ok("def square(x): return x * x", "a")
    nb.ok("%%task\nimport multiprocessing\nwith multiprocessing.get_context('fork').Pool(1) as pool: out = pool.map(square, [2, 3])", "b")
    assert nb.value("out") == [4, 9]


@pytest.mark.parametrize("where", ["alone", "in a run"])
def test_await_under_a_timeout_and_in_a_run(nb: Notebook, where: str) -> None:
    define = "" if where == "alone" else " --define"
    nb.ok(f"%%task t --timeout 10s{define}\nimport asyncio\nx = await asyncio.sleep(0.001, 5)", "a")
    if define:
        nb.ok("%flow run", "b")
    assert nb.value("x") == 5
    source = f"%%task slow --timeout 200ms{define}\nimport asyncio\nawait asyncio.sleep(30)"
    if define:
        nb.ok(source, "c")
        nb.fails("%flow run", "d")
    else:
        assert "timeout of 0.2 seconds" in nb.fails(source, "c")
    assert nb.states()[-1] == ("slow", "FAILED", "TimedOut")
