"""Which kind a notebook is, which flow is meant, and what of the notebook a flow needs."""

from __future__ import annotations

from typing import Any

import pytest

from flowbook import engine
from flowbook.promote import promote
from flowbook.store.deployments import find_deployment, manifest_of

IMPORT = "from flowbook import flow, task"


def captured(name: str) -> dict[str, Any]:
    database = engine.engine().database
    found = find_deployment(database, name)
    return manifest_of(database, found.id, found.version)


@pytest.mark.parametrize(
    ("cells", "kind", "entrypoint"),
    [
        (("x = 1",), "plain", "book.ipynb"),
        (("%load_ext flowbook", "%%task\nx = 1"), "cells", "book.ipynb"),
        (("%load_ext flowbook", "x = 1", "%deploy"), "cells", "book.ipynb"),
        (("#| task load\nx = 1", "y = x"), "cells", "book.ipynb"),
        ((IMPORT, "@flow\ndef nightly_load(): ..."), "flow", "book.ipynb:nightly_load"),
        (("import flowbook as fb\n@fb.flow(name='n')\ndef f(): ...",), "flow", "book.ipynb:f"),
        (("%load_ext flowbook", "%%flow nightly\nx = 1"), "flow", "book.ipynb:nightly"),
        (("from prefect import flow", "@flow\ndef f(): ..."), "plain", "book.ipynb"),
        ((IMPORT, "%%task\nx = 1", "@flow\ndef f(): ..."), "cells", "book.ipynb"),
        # A flow that another one calls is not meant.
        ((IMPORT, "@flow\ndef part(): ...", "@flow\ndef whole():\n    part()"), "flow", "book.ipynb:whole"),
    ],
)
def test_kind_and_entrypoint(make_notebook: Any, cells: tuple[str, ...], kind: str, entrypoint: str) -> None:
    made = promote(make_notebook("book", *cells), name="d")
    assert made.kind == kind
    assert captured("d")["entrypoint"] == entrypoint


def test_a_flow_is_named_as_when_it_is_called(make_notebook: Any) -> None:
    assert promote(make_notebook("a", IMPORT, "@flow\ndef nightly_load(): ...")).name == "nightly-load"
    assert promote(make_notebook("b", IMPORT, "@flow(name='Nightly load')\ndef f(): ...")).flow == "Nightly load"


def test_only_what_the_flow_needs_is_executed(make_notebook: Any) -> None:
    path = make_notebook(
        "book",
        IMPORT,
        "import pandas as pd",
        "%matplotlib inline",
        "rate = 3",
        "exploring = 1 / 0",
        "@task\ndef double(x):\n    return x * rate",
        "@flow\ndef nightly(k: int = 1):\n    return double(k)",
        "nightly(5)",
    )
    promote(path)
    assert captured("nightly")["slice"] == [0, 2, 3, 5, 6]


def test_the_cell_of_a_flow_is_executed_with_what_it_reads(make_notebook: Any) -> None:
    path = make_notebook(
        "book",
        "%load_ext flowbook",
        "a = 1",
        "b = 2",
        "%%flow nightly-load --params day:date,n:int=3\nprint(a, day, n)",
    )
    promote(path, parameters={"day": "2026-01-01"})
    found = captured("nightly-load")
    assert (found["entrypoint"], found["slice"]) == ("book.ipynb:nightly_load", [0, 1, 3])
    assert [(each["name"], each["annotation"], each["default"]) for each in found["schema"]] == [
        ("day", "date", None),
        ("n", "int", "3"),
    ]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ("", (0, 0.0)),
        ("retries=2", (2, 0.0)),
        ("retries=2, retry_delay_seconds=1.5", (2, 1.5)),
        ("retries=3, retry_delay_seconds=[10, 30, 60]", (3, 10.0)),
        ("retries=HOW_OFTEN, retry_delay_seconds=lambda n: n", (0, 0.0)),
    ],
)
def test_retries_of_the_decorator_are_those_of_the_deployment(
    make_notebook: Any, options: str, kept: tuple[int, float]
) -> None:
    cells = (IMPORT, "HOW_OFTEN = 3", f"@flow({options})\ndef nightly(): ...")
    promote(make_notebook("book", *cells), name="d")
    settings = find_deployment(engine.engine().database, "d").settings
    assert (settings.retries, settings.retry_delay) == kept
    promote(make_notebook("book", IMPORT, "@flow\ndef nightly(): ..."), name="d")
    assert find_deployment(engine.engine().database, "d").settings.retries == 0
