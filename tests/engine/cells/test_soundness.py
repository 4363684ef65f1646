"""Random cells are run in a namespace that records: the analysis must have foreseen what happened."""

import textwrap

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.examples import examples

from flowbook.cells import analyze

NAMES = ("a", "b", "c", "d")
FUNCTIONS = ("f", "g")
name = st.sampled_from(NAMES)
function = st.sampled_from(FUNCTIONS)


class Recorder(dict):
    """Globals that read through to values from before the cell, and note which."""

    def __init__(self) -> None:
        super().__init__()
        self.before = {"a": 1, "b": 2, "c": 0, "d": 3, "f": lambda: 1, "g": lambda: 0}
        self.seen: set[str] = set()

    def __missing__(self, key: str) -> object:
        value = self.before[key]
        self.seen.add(key)
        return value


def _grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(inner, inner)
    return st.one_of(
        pair.map(lambda p: f"({p[0]} + {p[1]})"),
        pair.map(lambda p: f"({p[0]} and {p[1]})"),
        pair.map(lambda p: f"({p[0]} or {p[1]})"),
        st.tuples(inner, inner, inner).map(lambda p: f"({p[0]} if {p[1]} else {p[2]})"),
        st.tuples(inner, inner, inner).map(lambda p: f"({p[0]} < {p[1]} < {p[2]})"),
        st.tuples(name, inner).map(lambda p: f"({p[0]} := {p[1]})"),
        st.tuples(inner, name, inner).map(lambda p: f"sum([{p[0]} for {p[1]} in range(2) if {p[2]}])"),
        st.tuples(inner, name).map(lambda p: f"sum({p[0]} for {p[1]} in range(2))"),
        st.tuples(name, inner, inner).map(lambda p: f"(lambda {p[0]}={p[1]}: {p[2]})()"),
        inner.map(lambda e: f"len(f'{{{e}}}')"),
        inner.map(lambda e: f"(not {e})"),
    )


expression = st.recursive(
    st.one_of(name, name, st.sampled_from(["0", "1"]), function.map(lambda f: f"{f}()")), _grow, max_leaves=4
)


def block(statements: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(statements, min_size=1, max_size=3).map(lambda s: textwrap.indent("\n".join(s), "    "))


simple = st.one_of(
    st.tuples(name, expression).map(lambda p: f"{p[0]} = {p[1]}"),
    st.tuples(name, name, expression).map(lambda p: f"{p[0]} = {p[1]} = {p[2]}"),
    st.tuples(name, name, expression).map(lambda p: f"{p[0]}, {p[1]} = {p[2]}, 1"),
    st.tuples(name, expression).map(lambda p: f"{p[0]} += {p[1]}"),
    st.tuples(name, name, expression).map(lambda p: f"{p[0]}: {p[1]} = {p[2]}"),
    name.map(lambda n: f"del {n}"),
    expression,
    expression.map(lambda e: f"assert {e}"),
    st.just("raise ValueError"),
    st.tuples(function, name).map(lambda p: f"{p[0]} = lambda: {p[1]}"),
    st.just("f = g"),
)


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = block(inner)
    in_loop = block(st.one_of(inner, expression.map(lambda e: f"if {e}: break"), st.just("continue")))
    return st.one_of(
        st.tuples(expression, body).map(lambda p: f"if {p[0]}:\n{p[1]}"),
        st.tuples(expression, body, body).map(lambda p: f"if {p[0]}:\n{p[1]}\nelse:\n{p[2]}"),
        st.tuples(name, in_loop, body).map(lambda p: f"for {p[0]} in range(2):\n{p[1]}\nelse:\n{p[2]}"),
        st.tuples(expression, body).map(lambda p: f"while {p[0]}:\n{p[1]}\n    break"),
        st.tuples(expression, body).map(lambda p: f"while True:\n    if {p[0]}: break\n{p[1]}\n    break"),
        st.tuples(body, name, body).map(lambda p: f"try:\n{p[0]}\nexcept Exception as {p[1]}:\n{p[2]}"),
        st.tuples(body, body, body).map(lambda p: f"try:\n{p[0]}\nexcept NameError:\n{p[1]}\nelse:\n{p[2]}"),
        st.tuples(body, body).map(lambda p: f"try:\n{p[0]}\nfinally:\n{p[1]}"),
        st.tuples(body, body, body).map(lambda p: f"try:\n{p[0]}\nexcept ValueError:\n{p[1]}\nfinally:\n{p[2]}"),
        body.map(lambda b: f"import contextlib\nwith contextlib.suppress(Exception):\n{b}"),
        st.tuples(expression, name, body).map(
            lambda p: f"match {p[0]}:\n    case 1:\n{textwrap.indent(p[2], '    ')}\n    case {p[1]} if {p[1]}: pass"
        ),
        body.map(lambda b: f"class K:\n{b}"),
        st.tuples(function, name, expression).map(lambda p: f"def {p[0]}({p[1]}=0):\n    return {p[2]}"),
        st.tuples(function, body).map(lambda p: f"def {p[0]}():\n    global a, b\n{p[1]}"),
        st.tuples(function, body).map(lambda p: f"def {p[0]}():\n{p[1]}\n    return 1"),
        st.tuples(function, body).map(
            lambda p: f"class K:\n    def __init__(self):\n    {p[1]!s}\nK()".replace("\n    \n", "\n")
        ),
    )


statement = st.recursive(simple, _compound, max_leaves=6)
program = st.lists(statement, min_size=1, max_size=6).map("\n".join)


@given(program)
@settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))
def test_what_happens_was_foreseen(source: str) -> None:
    try:
        code = compile(source, "<cell>", "exec")
    except SyntaxError:
        return
    analysis = analyze(source)
    namespace = Recorder()
    finished = True
    try:
        exec(code, namespace)
    except Exception:
        finished = False
    assert namespace.seen <= analysis.reads | analysis.builtins
    if finished:
        bound = namespace.keys() - {"__builtins__", "__annotations__"}
        assert bound <= analysis.writes
        surely = analysis.writes - analysis.conditional_writes
        assert surely <= bound
