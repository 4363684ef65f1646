"""Flows that are loaded from a file or module by their entrypoint."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flowbook import Flow, flow
from flowbook.errors import UsageError
from flowbook.flows import load_flow_from_entrypoint
from flowbook.runs import recent_runs

ONE = """
from flowbook import flow, task

@task
def double(n):
    return 2 * n

@flow
def doubled(n: int = 1):
    return double(n)
"""

TWO = (
    ONE
    + """
@flow(name="nightly")
def tripled(n: int = 1):
    return 3 * n

class Shop:
    @flow
    @classmethod
    def sale(cls, n: int = 1):
        return cls.__name__, n

def plain():
    pass
"""
)

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file of code below a folder and returns its path."""

    def to(name: str, code: str) -> Path:
        path = tmp_path / "code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(code))
        return path

    return to


@pytest.fixture(autouse=True)
def imports_as_before() -> Iterator[None]:
    """What a test makes importable is gone after it."""
    paths, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = paths
    for name in set(sys.modules) - modules:
        if not name.startswith(("flowbook", "sqlalchemy", "alembic")):
            del sys.modules[name]


def test_a_flow_is_loaded_from_a_folder(write: Write) -> None:
    folder = write("jobs/etl.py", TWO).parent.parent
    loaded = Flow.from_source(source=folder, entrypoint="jobs/etl.py:doubled")
    assert loaded(2) == 4
    assert flow.from_source(str(folder), "jobs/etl.py:tripled")(2) == 6
    assert [run.flow for run in recent_runs()] == ["nightly", "doubled"]


def test_a_flow_is_loaded_from_a_file(write: Write) -> None:
    assert Flow.from_source(write("one.py", ONE))(2) == 4
    assert Flow.from_source(write("two.py", TWO), "tripled")(2) == 6


def test_an_entrypoint_is_a_path_and_a_name(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("two.py", TWO)
    assert load_flow_from_entrypoint(f"{path}:doubled")(2) == 4
    monkeypatch.chdir(path.parent)
    assert load_flow_from_entrypoint("two.py:doubled")(2) == 4
    assert load_flow_from_entrypoint("./two.py:Shop.sale")(2) == ("Shop", 2)
    write("one.py", ONE)
    assert load_flow_from_entrypoint("one.py")(2) == 4


def test_a_flow_is_found_by_the_name_that_it_was_given_too(write: Write) -> None:
    assert Flow.from_source(write("two.py", TWO), "nightly")(2) == 6


def test_a_flow_is_loaded_from_a_module(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write("company/__init__.py", "").parent.parent
    write("company/nightly_jobs.py", TWO)
    assert Flow.from_source(folder, "company.nightly_jobs:doubled")(2) == 4
    assert Flow.from_source(folder, "company.nightly_jobs.tripled")(2) == 6
    monkeypatch.chdir(folder)
    write("company/single_job.py", ONE)
    assert load_flow_from_entrypoint("company.single_job")(2) == 4


def test_a_file_of_a_package_may_import_its_neighbours(write: Write) -> None:
    write("company/__init__.py", "")
    write("company/jobs/__init__.py", "")
    write("company/jobs/rates.py", "RATE = 3")
    path = write(
        "company/jobs/etl.py",
        """
        from flowbook import flow
        from .rates import RATE
        from company.jobs import rates

        @flow
        def etl(n: int):
            return RATE * n, rates.RATE, __name__
        """,
    )
    assert load_flow_from_entrypoint(f"{path}:etl")(2) == (6, 3, "company.jobs.etl")


def test_a_file_may_import_what_is_beside_it_at_once_and_later(write: Write) -> None:
    write("rates_at_once.py", "RATE = 3")
    write("rates_later.py", "RATE = 4")
    path = write(
        "etl.py",
        """
        from flowbook import flow
        from rates_at_once import RATE

        @flow
        def etl(n: int):
            import rates_later
            return RATE * n, rates_later.RATE
        """,
    )
    assert load_flow_from_entrypoint(f"{path}:etl")(2) == (6, 4)
    assert sys.path[0] != str(path.parent)


def test_what_is_beside_a_file_hides_nothing_afterwards(write: Write) -> None:
    write("colorsys.py", "HERE = True")
    path = write("etl.py", ONE)
    load_flow_from_entrypoint(f"{path}:doubled")
    sys.modules.pop("colorsys", None)
    import colorsys

    assert not hasattr(colorsys, "HERE")


def test_type_hints_of_the_file_are_validated(write: Write) -> None:
    path = write(
        "typed.py",
        """
        from __future__ import annotations
        from dataclasses import dataclass
        from flowbook import flow

        @dataclass
        class Region:
            name: str
            size: int

        @flow
        def report(region: Region):
            return region.size
        """,
    )
    loaded = load_flow_from_entrypoint(f"{path}:report")
    assert loaded({"name": "north", "size": "3"}) == 3


def test_an_edited_file_is_loaded_as_it_is_now(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = write("etl.py", ONE)
    assert Flow.from_source(path)(2) == 4
    path.write_text(ONE.replace("2 * n", "5 * n"))
    assert Flow.from_source(path)(2) == 10
    assert not (path.parent / "__pycache__").exists()


def test_a_file_may_be_called_like_a_module_of_python(write: Write) -> None:
    import random

    path = write("random.py", ONE)
    assert Flow.from_source(path)(2) == 4
    assert sys.modules["random"] is random


def test_files_of_one_name_do_not_mix(write: Write) -> None:
    first, second = write("a/etl_job.py", ONE), write("b/etl_job.py", ONE.replace("2 * n", "7 * n"))
    one, other = Flow.from_source(first), Flow.from_source(second)
    assert (one(2), other(2)) == (4, 14)
    assert one.fn.__module__ != other.fn.__module__


def test_flows_that_the_file_only_imports_are_not_meant(write: Write) -> None:
    write("common_flows.py", TWO)
    path = write("main.py", "from common_flows import doubled, tripled\n" + ONE.replace("doubled", "main"))
    assert Flow.from_source(path).name == "main"
    only = write("reexported.py", "from common_flows import doubled\n")
    assert Flow.from_source(only).name == "doubled"


REFUSED: list[tuple[str, str | None, str]] = [
    ("two.py", None, r"two\.py defines 'doubled', 'tripled'\. Say which one: '\.\.\.:doubled'\."),
    ("two.py", "doubeld", r"two\.py has no flow 'doubeld'\. Did you mean 'doubled'\? It has 'doubled', 'tripled'\."),
    ("two.py", "plain", r"'plain' in .*two\.py is no flow but <function plain.*Decorate its function with @flow\."),
    ("two.py", "Shop.sole", r"two\.py has no flow 'Shop\.sole'\."),
    ("none.py", None, r"none\.py defines no flow\. Decorate a function in it with @flow\."),
    ("none.py", "f", r"none\.py has no flow 'f'\. It defines no flow\."),
    ("tow.py", None, r"There is no file .*tow\.py\. Did you mean 'two\.py'\?"),
    ("two.py", "two.py:doubled", r"two\.py is no folder, so the entrypoint is just the name of a flow"),
    ("", None, r"code is a folder; say which flow of it with entrypoint='path/to/file\.py:flow_name'\."),
    ("", "missing.py:f", r"There is no file .*missing\.py\."),
    ("", "no_such_module:f", r"There is no module 'no_such_module'\. Give 'package\.module:flow_name', or a file"),
    ("", "textwrap:dedent", r"The module 'textwrap' is .*, not one in .*code\. Give the file instead"),
    ("notes.ipynb", "f", r"notes\.ipynb is a notebook.*`flowbook promote notes\.ipynb`"),
]


@pytest.mark.parametrize(("source", "entrypoint", "said"), REFUSED)
def test_what_cannot_be_found_is_refused_with_a_sentence(
    write: Write, source: str, entrypoint: str | None, said: str
) -> None:
    folder = write("two.py", TWO).parent
    write("none.py", "x = 1")
    write("notes.ipynb", "{}")
    with pytest.raises(UsageError, match=said):
        Flow.from_source(folder / source, entrypoint)


@pytest.mark.parametrize("source", ["https://github.com/org/repo.git", "git@github.com:org/repo.git", "s3://bucket/x"])
def test_what_is_not_local_is_refused(source: str) -> None:
    with pytest.raises(UsageError, match=r"is not on this machine\. Fetch it first"):
        Flow.from_source(source, "flows.py:etl")


def test_a_source_that_is_no_path_is_refused() -> None:
    with pytest.raises(UsageError, match="The source of a flow is a local folder or file, not <object"):
        Flow.from_source(object(), "flows.py:etl")  # type: ignore[arg-type]


BROKEN: list[tuple[str, type[BaseException], str]] = [
    ("import no_such_module_at_all\n", ModuleNotFoundError, r"line 1, could not be loaded: ModuleNotFoundError: No"),
    ("x = 1\nraise ValueError('not today')\n", ValueError, r"line 2, could not be loaded: ValueError: not today\."),
    ("x = 1\n\ndef f(:\n", SyntaxError, r"line 3, could not be loaded: SyntaxError"),
    ("import sys\nsys.exit(3)\n", SystemExit, r"line 2, could not be loaded: SystemExit: 3\. What only a script does"),
]


@pytest.mark.parametrize(("code", "cause", "said"), BROKEN)
def test_a_file_that_cannot_be_executed_says_why(
    write: Write, code: str, cause: type[BaseException], said: str
) -> None:
    path = write("broken_job.py", code)
    with pytest.raises(UsageError, match=said) as raised:
        Flow.from_source(path)
    assert isinstance(raised.value.__cause__, cause)
    assert "broken_job" not in sys.modules


def test_a_file_that_is_broken_now_leaves_the_one_before_in_place(write: Write) -> None:
    path = write("etl_before.py", ONE)
    loaded: Any = Flow.from_source(path)
    path.write_text("raise ValueError('not today')")
    with pytest.raises(UsageError, match="not today"):
        Flow.from_source(path)
    assert sys.modules["etl_before"].doubled is loaded
    assert loaded(2) == 4


def test_another_process_can_import_what_was_loaded(write: Write) -> None:
    path = write("etl_elsewhere.py", ONE)
    loaded = Flow.from_source(path)
    code = f"import sys; sys.path[:] = {sys.path!r}; import {loaded.fn.__module__} as it; print(it.__file__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(path)
