"""What a cell reads, binds and changes: tables of cells with their answers."""

import json
import sys
from pathlib import Path

import pytest

from flowbook.cells import Analysis, analyze, to_python

HERE = Path(__file__).parent


def rows(table: str) -> list[pytest.param]:
    """The cases of a table that this Python can parse."""
    cases = [json.loads(line) for line in (HERE / table).read_text().splitlines()]
    return [
        pytest.param(case, id=f"{case.get('id', '')}{case['code'][:60]!r}")
        for case in cases
        if tuple(case.get("python", (3, 11))) <= sys.version_info[:2]
    ]


@pytest.mark.parametrize("case", rows("dataflow.jsonl") + rows("flow_cases.jsonl"))
def test_reads_and_writes(case: dict) -> None:
    analysis = analyze(case["code"])
    assert (sorted(analysis.reads), sorted(analysis.writes)) == (case["reads"], case["writes"])


@pytest.mark.parametrize("case", rows("dataflow.jsonl") + rows("flow_cases.jsonl"))
def test_a_task_line_and_indentation_by_comments_change_nothing(case: dict) -> None:
    plain = analyze(case["code"])
    for typed in ("%%task name --retries 2\n", "#| task\n", "# why\n\n%%task\n", "\n\n"):
        if "__future__" not in case["code"]:
            assert analyze(typed + case["code"]).reads == plain.reads
        assert to_python(typed + case["code"]).count("\n") == (typed + case["code"]).count("\n")


@pytest.mark.parametrize("case", rows("magic_cases.jsonl"))
def test_magics(case: dict) -> None:
    if "error" in case:
        with pytest.raises(SyntaxError) as caught:
            analyze(case["code"])
        assert [caught.value.lineno, caught.value.text] == case["error"]
        return
    analysis = analyze(case["code"])
    assert (sorted(analysis.reads), sorted(analysis.writes)) == (case["reads"], case["writes"])
    assert sorted(analysis.resources) == case.get("resources", [])
    assert sorted(analysis.flags) == case.get("flags", [])
    if "is_prelude" in case:
        assert analysis.is_prelude == case["is_prelude"]


@pytest.mark.parametrize("case", rows("effect_cases.jsonl"))
def test_effects(case: dict) -> None:
    analysis = analyze(case["code"])
    assert sorted(analysis.mutates) == case["mutates"]
    assert analysis.mutates <= analysis.reads
    if "resources" in case:
        assert sorted(analysis.resources) == case["resources"]


@pytest.mark.parametrize(
    ("code", "flags"),
    [
        ("exec('x = 1')", {"dynamic"}),
        ("y = eval(text)", {"dynamic"}),
        ("globals()['x'] = 1", {"dynamic"}),
        ("locals()", {"dynamic"}),
        ("vars()", {"dynamic"}),
        ("vars(obj)", set()),
        ("def f(a):\n    return locals()\nf(1)", set()),
        ("def f():\n    exec('1')", set()),
        ("def f():\n    exec('1')\nf()", {"dynamic"}),
        ("def exec(x): ...\nexec('1')", set()),
        ("df.query('a > @limit')", set()),
        ("df.query(text)", {"dynamic"}),
        ("df.eval(f'{column} > @limit')", {"dynamic"}),
        ("model.eval()", set()),
        ("import pandas as pd\npd.eval('a + b')", {"dynamic"}),
        ("import numexpr as ne\nne.evaluate('a * b')", {"dynamic"}),
        ("y = _ + 1", {"history"}),
        ("Out[3]", {"history"}),
        ("_3", {"history"}),
        ("for _ in range(3):\n    print(_)", set()),
        ("get_ipython().run_line_magic('x', '')", {"ipython"}),
        ("from m import *", {"star-import"}),
        ("x = 1", set()),
    ],
)
def test_flags(code: str, flags: set[str]) -> None:
    assert analyze(code).flags == flags


def test_names_in_a_query_are_reads() -> None:
    assert analyze("df.query('a > @limit and b < @top')").reads == {"df", "limit", "top"}


def test_star_import_with_known_names_needs_no_flag() -> None:
    analysis = analyze("from m import *\ny = foo(bar)", exports={"m": ["foo"]})
    assert (analysis.reads, analysis.writes, analysis.flags) == ({"bar"}, {"foo", "y"}, frozenset())


def test_run_with_known_names_binds_them() -> None:
    analysis = analyze("%run setup.py\ny = foo(bar)", exports={"setup.py": ["foo"]})
    assert (analysis.reads, analysis.writes, analysis.flags) == ({"bar"}, {"foo", "y"}, frozenset())
    assert analysis.resources == {"files:setup.py"}


def test_late_reads_are_those_of_functions_not_called_here() -> None:
    analysis = analyze("k = a\ndef f(x=b):\n    return c + d\nprint(d)")
    assert analysis.reads == {"a", "b", "c", "d"}
    assert analysis.late_reads == {"c"}
    assert analysis.definitions["f"][0].reads == {"c", "d"}


def test_a_called_function_reads_now() -> None:
    assert analyze("def f():\n    return c\nx = f()").late_reads == frozenset()


def test_conditional_writes() -> None:
    analysis = analyze("a = 1\nif a:\n    b = 2\nfor i in x:\n    c = 3\ndef f():\n    global g\n    g = 1")
    assert analysis.conditional_writes == {"b", "c", "g", "i"}
    assert analysis.late_writes == {"g"}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import numpy as np, os.path\nfrom a.b import c as d", {"np": "numpy", "os": "os", "d": "a.b.c"}),
        ("from . import x\nfrom ..y import z", {"x": "..x", "z": "..y.z"}),
        ("import a\na = 1", {}),
    ],
)
def test_imports(code: str, expected: dict[str, str]) -> None:
    assert analyze(code).imports == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import a\nfrom b import c\n\ndef f(): ...\n\n@d\nclass C: ...", True),
        ('"""Only words."""\n# and comments', True),
        ("", True),
        ("try:\n    import a\nexcept ImportError:\n    import b as a", True),
        ("import a\nx = 1", False),
        ("%load_ext flowbook\nimport a", True),
        ("!ls", False),
        ("%timeit x = 1", False),
        ("%%bash\nls", False),
    ],
)
def test_prelude(code: str, expected: bool) -> None:
    assert analyze(code).is_prelude is expected


def test_aliases_and_holders() -> None:
    analysis = analyze("y = x\nv = a[:2]\nd = {'k': df}\nm = n = []\nz = x.copy()")
    assert analysis.aliases == {"y": {"x"}, "v": {"a"}, "m": {"n"}, "n": {"m"}}
    assert analysis.holds == {"d": {"df"}}


def test_private_and_deleted_names() -> None:
    analysis = analyze("_tmp = 1\nx = _tmp\ndel y")
    assert (analysis.private, analysis.deletes) == ({"_tmp"}, {"y"})


def test_a_name_deleted_on_some_paths_is_not_gone() -> None:
    assert analyze("if c:\n    del x").deletes == frozenset()
    assert analyze("if c:\n    del x\nelse:\n    del x").deletes == {"x"}


def test_warnings_about_the_code_are_not_raised() -> None:
    assert analyze("x = '\\d'").writes == {"x"}


def test_builtins_are_told_apart() -> None:
    analysis = analyze("n = len(xs)\ndisplay(n)")
    assert analysis.reads == {"xs"}
    assert analysis.builtins == {"len", "display"}


def test_modules_of_other_cells_give_names_their_meaning() -> None:
    shuffled = analyze("mix(xs)", modules={"mix": "random.shuffle"})
    assert (shuffled.mutates, shuffled.resources) == ({"xs"}, {"random"})
    own = analyze("random.shuffle(xs)", modules={"random": ""})
    assert own.resources == frozenset()


def test_a_syntax_error_points_into_the_cell_as_typed() -> None:
    with pytest.raises(SyntaxError) as caught:
        analyze("%%task\n!ls {x}\n%time value = f(1 +")
    assert (caught.value.lineno, caught.value.text) == (3, "%time value = f(1 +")
    assert caught.value.text[caught.value.offset - 1] == "("


def test_an_analysis_is_a_frozen_record() -> None:
    analysis = analyze("x = 1")
    assert analysis == analyze("x  =  1  # same")
    with pytest.raises(AttributeError):
        analysis.reads = frozenset()
    assert isinstance(analysis, Analysis)
