"""Cached results: reused when the call is the same, and never in doubt."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flowbook import flow, task
from flowbook.cache_policies import INPUTS, NO_CACHE, NONE, TASK_SOURCE, CachePolicy
from flowbook.engine import close_engines
from flowbook.runs import run_view

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def calls() -> list[Any]:
    """The calls that were not answered from the cache."""
    return []


def counting(calls: list[Any], policy: CachePolicy | None) -> Any:
    @task(cache_policy=policy)
    def load(*args: Any, **kwargs: Any) -> Any:
        calls.append((args, kwargs))
        return len(calls)

    return load


def files(home: Path) -> list[Path]:
    return sorted(path for path in (home / "results").rglob("*") if path.is_file())


def test_the_same_inputs_are_loaded_once(calls: list[Any]) -> None:
    load = counting(calls, INPUTS)
    assert [load(1), load(1), load(2), load(1, x=[3]), load(1, x=[3])] == [1, 1, 2, 3, 3]


def test_a_reused_result_is_seen_in_the_graph(calls: list[Any]) -> None:
    load = counting(calls, INPUTS)

    @flow
    def pipeline() -> list[int]:
        return [load(1), load(1), load.submit(1).result()]

    assert pipeline() == [1, 1, 1]
    assert [node.look for node in run_view("last").nodes.values()] == ["succeeded", "reused", "reused"]


def test_results_outlive_the_process_that_made_them(calls: list[Any]) -> None:
    load = counting(calls, INPUTS)
    load("a")
    close_engines()
    assert load("a") == 1


@pytest.mark.parametrize("policy", [None, NO_CACHE, NONE], ids=["none given", "NO_CACHE", "NONE"])
def test_without_a_policy_nothing_is_kept(home: Path, calls: list[Any], policy: CachePolicy | None) -> None:
    load = counting(calls, policy)
    assert [load(1), load(1)] == [1, 2]
    assert files(home) == []


def test_arguments_are_compared_by_what_they_contain(calls: list[Any]) -> None:
    load = counting(calls, INPUTS)
    frame = pd.DataFrame({"a": [1, 2]})
    assert load(frame) == load(frame.copy()) == 1
    frame.loc[0, "a"] = 9
    assert load(frame) == 2
    assert load({"x": 1, "y": [2]}) == load({"x": 1, "y": [2]}) == 3


def test_futures_are_compared_by_their_results(calls: list[Any]) -> None:
    load = counting(calls, INPUTS)
    one = task(lambda: 1)

    @flow
    def pipeline() -> list[int]:
        return [load.submit(one.submit()).result(), load(1)]

    assert pipeline() == [1, 1]


def test_arguments_that_cannot_be_compared_are_never_the_same(calls: list[Any], home: Path) -> None:
    load = counting(calls, INPUTS)
    lock = threading.Lock()
    assert [load(lock), load(lock)] == [1, 2]
    assert files(home) == []


def define(tmp_path: Path, name: str, body: str) -> Callable[..., Any]:
    """The function `load` of a module with that source."""
    import importlib.util

    path = tmp_path / f"{name}.py"
    path.write_text(f"def load(x):\n    return {body}\n")
    spec = importlib.util.spec_from_file_location("pipeline", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[..., Any] = module.load
    return found


def test_edited_code_is_run_again_where_the_policy_says_so(tmp_path: Path) -> None:
    before, after = define(tmp_path, "before", "x + 1"), define(tmp_path, "after", "x + 2")
    by_both, by_source = INPUTS + TASK_SOURCE, TASK_SOURCE
    assert [task(cache_policy=by_both)(fn)(1) for fn in (before, before, after)] == [2, 2, 3]
    assert [task(cache_policy=INPUTS)(fn)(1) for fn in (before, after)] == [2, 2]
    assert [task(cache_policy=by_source)(before)(x) for x in (10, 20)] == [11, 11], "inputs do not count"


def test_edited_code_without_a_source_is_run_again_too() -> None:
    def made(body: str) -> Any:
        names: dict[str, Any] = {"__name__": "nowhere"}
        exec(f"def load(x):\n    return {body}", names)
        return task(cache_policy=INPUTS + TASK_SOURCE)(names["load"])

    assert [made("x + 1")(1), made("x + 1")(1), made("x + 2")(1)] == [2, 2, 3]


def test_two_tasks_do_not_share_results() -> None:
    @task(cache_policy=INPUTS)
    def one(x: int) -> str:
        return "one"

    @task(cache_policy=INPUTS)
    def two(x: int) -> str:
        return "two"

    assert [one(1), two(1)] == ["one", "two"]


@pytest.mark.parametrize("harm", ["changed", "cut", "emptied", "deleted", "other key"])
def test_a_file_that_is_not_as_it_was_written_is_never_loaded(
    home: Path, calls: list[Any], capsys: Capture, harm: str
) -> None:
    load = counting(calls, INPUTS)
    load("a")
    [path] = files(home)
    content = path.read_bytes()
    if harm == "changed":
        path.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
    elif harm == "cut":
        path.write_bytes(content[:-3])
    elif harm == "emptied":
        path.write_bytes(b"")
    elif harm == "deleted":
        path.unlink()
    else:
        (home / "key").write_bytes(b"k" * 32)
    capsys.readouterr()
    assert load("a") == 2
    err = capsys.readouterr().err
    assert "WARNING" in err
    assert f"The stored result {path}" in err
    assert "The task runs again." in err
    assert load("a") == 2, "the new result was kept in its place"


def test_a_result_that_cannot_be_kept_is_a_warning(calls: list[Any], capsys: Capture, home: Path) -> None:
    @task(cache_policy=INPUTS)
    def load() -> Any:
        calls.append(1)
        return threading.Lock()

    load()
    load()
    assert len(calls) == 2
    assert "The result cannot be kept for later runs: " in capsys.readouterr().err
    assert files(home) == []


def test_failures_are_not_kept(calls: list[Any]) -> None:
    @task(cache_policy=INPUTS)
    def load() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("busy")
        return 7

    with pytest.raises(OSError, match="busy"):
        load()
    assert load() == 7


def test_a_kept_none_is_a_result(calls: list[Any]) -> None:
    @task(cache_policy=INPUTS)
    def load() -> None:
        calls.append(1)

    load()
    load()
    assert len(calls) == 1


def test_files_are_their_owner_s_only(home: Path, calls: list[Any]) -> None:
    counting(calls, INPUTS)(1)
    [path] = files(home)
    assert path.stat().st_mode & 0o777 == 0o600
    assert (home / "key").stat().st_mode & 0o777 == 0o600


def test_a_mutable_argument_is_compared_as_it_was_given(calls: list[Any]) -> None:
    @task(cache_policy=INPUTS)
    def consume(items: list[int]) -> int:
        calls.append(1)
        return sum(items.pop() for _ in range(len(items)))

    assert consume([1, 2]) == 3
    assert consume([1, 2]) == 3
    assert consume([]) == 0
    assert len(calls) == 2
