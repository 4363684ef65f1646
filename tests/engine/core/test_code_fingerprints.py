"""Fingerprints of code: edits are seen wherever they are made, and nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flowbook.core.fingerprints import code_fingerprint, fingerprint

Load = Callable[..., dict[str, Any]]


@pytest.fixture
def load() -> Iterator[Load]:
    """Executes the source of a module as a REPL does, without a file, and hands out its names."""
    made: list[str] = []

    def execute(source: str, name: str = "users_module") -> dict[str, Any]:
        module = types.ModuleType(name)
        module.__file__ = f"/home/user/{name}.py"
        sys.modules[name] = module
        made.append(name)
        exec(compile(textwrap.dedent(source), "<stdin>", "exec"), vars(module))
        return vars(module)

    yield execute
    for name in made:
        sys.modules.pop(name, None)


#: Pairs of modules in which `work` is not the same function.
EDITS = {
    "its code": ("def work(x): return x + 1", "def work(x): return x - 1"),
    "a constant": ("def work(x): return x + 1", "def work(x): return x + 2"),
    "the type of a constant": ("def work(x): return x + 1", "def work(x): return x + 1.0"),
    "an attribute": ("def work(x): return x.real", "def work(x): return x.imag"),
    "a default": ("def work(x, n=1): return x", "def work(x, n=2): return x"),
    "a keyword default": ("def work(x, *, n=1): return x", "def work(x, *, n=2): return x"),
    "a lambda inside": ("def work(x): return (lambda: x)()", "def work(x): return (lambda: -x)()"),
    "a comprehension": ("def work(x): return [a for a in x]", "def work(x): return [a for a in x if a]"),
    "a module constant": ("N = 1\ndef work(x): return x + N", "N = 2\ndef work(x): return x + N"),
    "a list of constants": ("N = [1, 2]\ndef work(x): return N", "N = [1, 3]\ndef work(x): return N"),
    "a constant in a comprehension": (
        "N = 1\ndef work(x): return [N for _ in x]",
        "N = 2\ndef work(x): return [N for _ in x]",
    ),
    "a helper": ("def h(x): return x\ndef work(x): return h(x)", "def h(x): return -x\ndef work(x): return h(x)"),
    "a helper's helper": (
        "def a(x): return x\ndef h(x): return a(x)\ndef work(x): return h(x)",
        "def a(x): return -x\ndef h(x): return a(x)\ndef work(x): return h(x)",
    ),
    "a helper's constant": (
        "N = 1\ndef h(x): return N\ndef work(x): return h(x)",
        "N = 2\ndef h(x): return N\ndef work(x): return h(x)",
    ),
    "a closure": (
        "def make(n):\n  def work(x): return x + n\n  return work\nwork = make(1)",
        "def make(n):\n  def work(x): return x + n\n  return work\nwork = make(2)",
    ),
    "a decorated helper": (
        "import functools\n@functools.cache\ndef h(x): return x\ndef work(x): return h(x)",
        "import functools\n@functools.cache\ndef h(x): return -x\ndef work(x): return h(x)",
    ),
    "a context manager": (
        "import contextlib\n@contextlib.contextmanager\ndef h(): yield 1\ndef work(x):\n  with h(): return x",
        "import contextlib\n@contextlib.contextmanager\ndef h(): yield 2\ndef work(x):\n  with h(): return x",
    ),
    "the user's own decorator": (
        "def d(f):\n  def inner(x): return f(x)\n  return inner\n@d\ndef work(x): return x",
        "def d(f):\n  def inner(x): return -f(x)\n  return inner\n@d\ndef work(x): return x",
    ),
    "a partial": (
        "import functools\ndef h(n, x): return x\nadd = functools.partial(h, 1)\ndef work(x): return add(x)",
        "import functools\ndef h(n, x): return x\nadd = functools.partial(h, 2)\ndef work(x): return add(x)",
    ),
    "a task": (
        "from flowbook import task\n@task\ndef h(x): return x\ndef work(x): return h(x)",
        "from flowbook import task\n@task\ndef h(x): return -x\ndef work(x): return h(x)",
    ),
    "a method": (
        "class C:\n  def m(self): return 1\ndef work(x): return C().m()",
        "class C:\n  def m(self): return 2\ndef work(x): return C().m()",
    ),
    "an inherited method": (
        "class B:\n  def m(self): return 1\nclass C(B): pass\ndef work(x): return C().m()",
        "class B:\n  def m(self): return 2\nclass C(B): pass\ndef work(x): return C().m()",
    ),
    "a property": (
        "class C:\n  @property\n  def p(self): return 1\ndef work(x): return C().p",
        "class C:\n  @property\n  def p(self): return 2\ndef work(x): return C().p",
    ),
    "a static method": (
        "class C:\n  @staticmethod\n  def m(): return 1\ndef work(x): return C.m()",
        "class C:\n  @staticmethod\n  def m(): return 2\ndef work(x): return C.m()",
    ),
    "a class attribute": (
        "class C:\n  n = 1\ndef work(x): return C.n",
        "class C:\n  n = 2\ndef work(x): return C.n",
    ),
    "a field of a dataclass": (
        "import dataclasses\n@dataclasses.dataclass\nclass C:\n  n: int = 1\ndef work(x): return C()",
        "import dataclasses\n@dataclasses.dataclass\nclass C:\n  n: int = 2\ndef work(x): return C()",
    ),
    "the method of an object": (
        "class C:\n  def m(self): return 1\nc = C()\ndef work(x): return c.m()",
        "class C:\n  def m(self): return 2\nc = C()\ndef work(x): return c.m()",
    ),
    "the state of an object": (
        "class C:\n  def __init__(self, n): self.n = n\nc = C(1)\ndef work(x): return c.n",
        "class C:\n  def __init__(self, n): self.n = n\nc = C(2)\ndef work(x): return c.n",
    ),
    "the state in slots": (
        "class C:\n  __slots__ = ('n',)\n  def __init__(self, n): self.n = n\nc = C(1)\ndef work(x): return c.n",
        "class C:\n  __slots__ = ('n',)\n  def __init__(self, n): self.n = n\nc = C(2)\ndef work(x): return c.n",
    ),
    "a function in a table": (
        "def h(x): return x\nT = {'a': h}\ndef work(x): return T['a'](x)",
        "def h(x): return -x\nT = {'a': h}\ndef work(x): return T['a'](x)",
    ),
    "mutual recursion": (
        "def even(n): return n == 0 or odd(n - 1)\ndef odd(n): return n != 0 and even(n - 1)\nwork = odd",
        "def even(n): return n == 0 or odd(n - 1)\ndef odd(n): return n != 1 and even(n - 1)\nwork = odd",
    ),
    "a compiled pattern": (
        "import re\nP = re.compile('a')\ndef work(x): return P.match(x)",
        "import re\nP = re.compile('b')\ndef work(x): return P.match(x)",
    ),
    "an array": (
        "import numpy as np\nA = np.arange(3)\ndef work(x): return A",
        "import numpy as np\nA = np.arange(4)\ndef work(x): return A",
    ),
    "which function of a library": (
        "import math\nf = math.floor\ndef work(x): return f(x)",
        "import math\nf = math.ceil\ndef work(x): return f(x)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_seen(load: Load, edit: str) -> None:
    before, after = (code_fingerprint(load(source)["work"]) for source in EDITS[edit])
    assert before != after
    assert before == code_fingerprint(load(EDITS[edit][0])["work"]), "what was not edited is the same"


#: Pairs of modules in which `work` is the same function.
SAME = {
    "comments and lines": ("def work(x): return x", "\n\n# adds nothing\ndef work(x):  # at all\n    return x"),
    "other functions": ("def work(x): return x", "def other(): pass\nN = 1\ndef work(x): return x"),
    "hints": ("def work(x: int) -> int: return x", "def work(x): return x"),
    "a set of constants": ("def work(x): return x in {'a', 'b', 'c'}", "def work(x): return x in {'c', 'b', 'a'}"),
    "a logger": (
        "import logging\nlog = logging.getLogger('a')\ndef work(x): log.info(x)",
        "import logging\nlog = logging.getLogger('a')\nlog.setLevel(10)\ndef work(x): log.info(x)",
    ),
    "a lock": (
        "import threading\nlock = threading.Lock()\ndef work(x):\n  with lock: return x",
        "import threading\nlock = threading.Lock()\ndef work(x):\n  with lock: return x",
    ),
    "a name of an attribute": ("real = 1\ndef work(x): return x.real", "real = 2\ndef work(x): return x.real"),
}


@pytest.mark.parametrize("case", SAME)
def test_what_does_not_count(load: Load, case: str) -> None:
    one, other = (code_fingerprint(load(source)["work"]) for source in SAME[case])
    assert one == other


#: `work` has state, which it changes itself: that is no edit.
STATE = {
    "appends": "calls = []\ndef work(x): calls.append(x)",
    "appends to what it closes over": (
        "def make():\n  calls = []\n  def work(x): calls.append(x)\n  return work\nwork = make()"
    ),
    "counts": "n = 0\ndef work(x):\n  global n\n  n += 1",
    "counts in a closure": (
        "def make():\n  n = 0\n  def work(x):\n    nonlocal n\n    n += 1\n  return work\nwork = make()"
    ),
    "puts into a dict": "seen = {}\ndef work(x): seen[x] = 1",
    "adds up in a dict": "seen = {'n': 0}\ndef work(x): seen['n'] += 1",
    "deletes": "left = [1, 2, 3]\ndef work(x): del left[0]",
    "adds to a set": "seen = set()\ndef work(x): seen.add(x)",
    "adds to a counter": "import collections\nc = collections.Counter()\ndef work(x): c[x] += 1",
    "an object that counts": (
        "class C:\n  n = 0\n  def hit(self): self.n += 1\nc = C()\ndef work(x): c.hit()"
    ),
    "an attribute of a class": "class C:\n  calls = []\ndef work(x): C.calls.append(x)",
    "an attribute of a namespace": "import types\ns = types.SimpleNamespace(n=0)\ndef work(x): s.n += 1",
    "an iterator": "import itertools\nnumbers = itertools.count()\ndef work(x): next(numbers)",
    "in a helper": "calls = []\ndef h(x): calls.append(x)\ndef work(x): h(x)",
    "in a lambda": "calls = []\ndef work(x): (lambda: calls.append(x))()",
    "fills an array": "import numpy as np\na = np.zeros(9)\ndef work(x): a[x] = 1",
}  # fmt: skip


@pytest.mark.parametrize("case", STATE)
def test_state_that_the_function_changes_is_no_edit(load: Load, case: str) -> None:
    work = load(STATE[case])["work"]
    before = code_fingerprint(work)
    work(1)
    assert code_fingerprint(work) == before
    again = load(STATE[case])["work"]
    assert code_fingerprint(again) == before, "a new process begins as this one did"


def test_a_constant_that_somebody_else_changes_is_an_edit(load: Load) -> None:
    names = load("CONFIG = {'n': 1}\ndef work(x): return CONFIG['n']")
    before = code_fingerprint(names["work"])
    names["CONFIG"]["n"] = 2
    assert code_fingerprint(names["work"]) != before


def test_the_helpers_in_another_module_of_the_user_count(load: Load) -> None:
    def fingerprint_with(helper: str, use: str) -> bytes:
        load(f"def clean(x): return {helper}\ndef unused(): return {helper!r}", "users_helpers")
        return code_fingerprint(load(use)["work"])

    for use in (
        "import users_helpers\ndef work(x): return users_helpers.clean(x)",
        "from users_helpers import clean\ndef work(x): return clean(x)",
    ):
        assert fingerprint_with("x", use) != fingerprint_with("-x", use)
        assert fingerprint_with("x", use) == fingerprint_with("x", use)


def test_nothing_of_the_user_s_is_run(load: Load) -> None:
    names = load(
        """
        ran = []

        class Meta(type):
            def __getattribute__(cls, name):
                ran.append(name)
                return super().__getattribute__(name)

        class C(metaclass=Meta):
            def __getattribute__(self, name): ran.append(name)
            def __reduce_ex__(self, protocol): ran.append("reduce")
            def __getstate__(self): ran.append("state")
            def __repr__(self): ran.append("repr")
            def __eq__(self, other): ran.append("eq")
            def __hash__(self): ran.append("hash")
            @property
            def p(self): ran.append("p")

        class D(dict):
            def items(self): ran.append("items")
            def __iter__(self): ran.append("iter")

        class L(list):
            def __iter__(self): ran.append("iter")

        c, d, l = C(), D(a=1), L([1])
        del ran[:]

        def work(x): return c.p, d, l
        """
    )
    code_fingerprint(names["work"])
    assert names["ran"] == []


def test_a_method_counts_with_its_class(load: Load) -> None:
    def fingerprint_of(helper: str) -> bytes:
        names = load(f"class C:\n  def h(self): return {helper}\n  def work(self): return self.h()")
        return code_fingerprint(names["C"]().work)

    assert fingerprint_of("1") != fingerprint_of("2")


def test_a_function_as_an_argument_is_compared_by_its_code(load: Load) -> None:
    one, same, other = (load(f"def work(x): return {body}")["work"] for body in ("x + 1", "x + 1", "x + 2"))
    assert fingerprint([one]) == fingerprint([same]) != fingerprint([other])


def test_a_callable_without_code_has_a_name() -> None:
    assert code_fingerprint(len) == code_fingerprint(len) != code_fingerprint(max)


MODULE = """
import functools, re
from dataclasses import dataclass

WORDS = {"a", "b", "c"}
TABLE = {"x": 1, ("y", 2): frozenset({"u", "v"})}

@dataclass
class Point:
    x: int = 1
    def norm(self): return abs(self.x)

@functools.cache
def helper(x): return Point(x).norm() in WORDS

def work(x, *, k={"p": 1}):
    return [helper(y) for y in x if y in {"one", "two", "three"}], TABLE, k
"""


@pytest.mark.slow
def test_fingerprints_of_code_are_the_same_in_every_process(tmp_path: Path) -> None:
    (tmp_path / "users_pipeline.py").write_text(MODULE)
    code = (
        "import users_pipeline\nfrom flowbook.core.fingerprints import code_fingerprint\n"
        "print(code_fingerprint(users_pipeline.work).hex())"
    )
    printed = [
        subprocess.run(
            [sys.executable, *options, "-c", code],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(tmp_path)},
        ).stdout
        for seed, options in (("1", ()), ("2", ("-B",)), ("3", ()))
    ]
    assert len(set(printed)) == 1
    assert len(printed[0].strip()) == 64
