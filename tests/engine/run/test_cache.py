"""Cached results: reused when the call is the same, and never in doubt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.sql import sql

from flowbook import flow, task
from flowbook.cache_policies import (
    DEFAULT,
    FLOW_PARAMETERS,
    INPUTS,
    NO_CACHE,
    NONE,
    RUN_ID,
    TASK_SOURCE,
    CachePolicy,
    TaskRunContext,
    task_input_hash,
)
from flowbook.engine import close_engines, engine
from flowbook.errors import UsageError
from flowbook.results import CacheStatistics, cache_statistics
from flowbook.runs import run_view
from flowbook.testing import Harness, flowbook_test_harness

pytestmark = pytest.mark.usefixtures("store_url")

Capture = pytest.CaptureFixture[str]
LARGE = "x" * 20_000  # more than what the database keeps


@pytest.fixture
def calls() -> list[Any]:
    """The calls that were not answered from the cache."""
    return []


@pytest.fixture
def harness() -> Iterator[Harness]:
    """A home of its own whose clock stands still."""
    with flowbook_test_harness() as made:
        yield made


def counting(calls: list[Any], policy: CachePolicy | None = None, **options: Any) -> Any:
    """A task that returns the number of the call."""

    @task(cache_policy=policy, **options)
    def load(*args: Any, **kwargs: Any) -> Any:
        calls.append((args, kwargs))
        return len(calls)

    return load


def large(calls: list[Any], policy: CachePolicy = INPUTS) -> Any:
    """A task that returns the number of the call, and too much for the database."""

    @task(cache_policy=policy)
    def load(x: Any) -> Any:
        calls.append(x)
        return len(calls), LARGE

    return load


def files(home: Path) -> list[Path]:
    return sorted(path for path in (home / "results").rglob("*") if path.is_file())


def rows() -> int:
    engine().journal.flush()
    [(found,)] = sql("SELECT count(*) FROM result")
    return int(found)


# --- the same call ----------------------------------------------------------------------------------------------------


def test_the_same_inputs_are_loaded_once(calls: list[Any]) -> None:
    load = counting(calls, INPUTS)
    assert [load(1), load(1), load(2), load(1, x=[3]), load(1, x=[3])] == [1, 1, 2, 3, 3]


def test_arguments_are_compared_by_name_with_defaults(calls: list[Any]) -> None:
    @task(cache_policy=INPUTS)
    def load(a: int, b: int = 2, *rest: int, c: int = 3, **more: int) -> int:
        calls.append(1)
        return len(calls)

    same = [load(1), load(a=1), load(1, 2), load(b=2, a=1), load(1, c=3)]
    assert same == [1] * 5
    assert [load(1, 3), load(1, 2, 4), load(1, d=5), load(1, d=5, c=3), load(1, c=5)] == [2, 3, 4, 4, 5]


def test_the_types_of_arguments_count(calls: list[Any]) -> None:
    load = counting(calls, INPUTS)
    assert [load(1), load(True), load(1.0), load("1"), load(1)] == [1, 2, 3, 4, 1]


def test_a_reused_result_is_seen_in_the_graph(calls: list[Any]) -> None:
    load = counting(calls, INPUTS)

    @flow
    def pipeline() -> list[int]:
        return [load(1), load(1), load.submit(1).result()]

    assert pipeline() == [1, 1, 1]
    assert [node.look for node in run_view("last").nodes.values()] == ["succeeded", "reused", "reused"]


@pytest.mark.parametrize("size", [1, 20_000])
def test_results_outlive_the_process_that_made_them(calls: list[Any], size: int) -> None:
    @task(cache_policy=INPUTS)
    def load(x: str) -> str:
        calls.append(x)
        return x * size

    assert load("a") == "a" * size
    close_engines()
    assert load("a") == "a" * size
    assert len(calls) == 1


@pytest.mark.parametrize("policy", [None, NO_CACHE, NONE, NONE + NO_CACHE, NONE - "x"], ids=str)
def test_without_a_policy_nothing_is_kept(home: Path, calls: list[Any], policy: CachePolicy | None) -> None:
    load = counting(calls, policy)
    assert [load(1), load(1)] == [1, 2]
    assert (files(home), rows()) == ([], 0)


def test_persist_result_false_means_no_caching(home: Path, calls: list[Any]) -> None:
    load = counting(calls, INPUTS, persist_result=False)
    assert [load(1), load(1)] == [1, 2]
    assert rows() == 0


def test_arguments_are_compared_by_what_they_contain(calls: list[Any]) -> None:
    load = counting(calls, INPUTS)
    frame = pd.DataFrame({"a": [1, 2]})
    assert load(frame) == load(frame.copy()) == 1
    frame.loc[0, "a"] = 9
    assert load(frame) == 2
    assert load({"x": 1, "y": [2]}) == load({"y": [2], "x": 1}) == 3


def test_futures_are_compared_by_their_results(calls: list[Any]) -> None:
    load = counting(calls, INPUTS)
    one = task(lambda: 1)

    @flow
    def pipeline() -> list[int]:
        return [load.submit(one.submit()).result(), load(1)]

    assert pipeline() == [1, 1]


def test_two_tasks_do_not_share_results() -> None:
    @task(cache_policy=INPUTS)
    def one(x: int) -> str:
        return "one"

    @task(cache_policy=INPUTS)
    def two(x: int) -> str:
        return "two"

    assert [one(1), two(1)] == ["one", "two"]


def test_methods_are_compared_with_their_object(calls: list[Any]) -> None:
    class Loader:
        def __init__(self, url: str) -> None:
            self.url = url

        @task(cache_policy=INPUTS)
        def load(self, x: int) -> str:
            calls.append(x)
            return self.url

    assert [Loader(url).load(1) for url in "aab"] == ["a", "a", "b"]
    assert len(calls) == 2


def test_a_mutable_argument_is_compared_as_it_was_given(calls: list[Any]) -> None:
    @task(cache_policy=INPUTS)
    def consume(items: list[int]) -> int:
        calls.append(1)
        return sum(items.pop() for _ in range(len(items)))

    assert consume([1, 2]) == 3
    assert consume([1, 2]) == 3
    assert consume([]) == 0
    assert len(calls) == 2


def test_a_kept_none_is_a_result(calls: list[Any]) -> None:
    @task(cache_policy=INPUTS)
    def load() -> None:
        calls.append(1)

    load()
    load()
    assert len(calls) == 1


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


# --- what cannot be compared ------------------------------------------------------------------------------------------


def test_arguments_that_cannot_be_compared_are_never_the_same(calls: list[Any], home: Path, capsys: Capture) -> None:
    @task(cache_policy=INPUTS)
    def load(x: int, by: Any) -> int:
        calls.append(x)
        return len(calls)

    lock = threading.Lock()
    assert [load(1, lock), load(1, lock), load(1, by=lock)] == [1, 2, 3]
    assert rows() == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if "WARNING" in line]
    assert len(warnings) == 1
    assert "Runs of task 'load' are not cached: its argument 'by' cannot be compared: a _thread.lock" in warnings[0]


def test_what_can_be_compared_only_after_the_call_is_not_kept(calls: list[Any], home: Path) -> None:
    @task(cache_policy=INPUTS)
    def consume(items: list[Any]) -> int:
        calls.append(1)
        return len([items.pop() for _ in range(len(items))])

    assert consume([threading.Lock()]) == 1
    assert consume([]) == 0
    assert len(calls) == 2


def test_a_result_that_cannot_be_kept_is_a_warning(calls: list[Any], capsys: Capture, home: Path) -> None:
    @task(cache_policy=INPUTS, persist_result=True)
    def load() -> Any:
        calls.append(1)
        return threading.Lock()

    load()
    load()
    assert len(calls) == 2
    said = "The result of task run 'load' cannot be kept: TypeError: cannot pickle '_thread.lock' object"
    assert said in capsys.readouterr().err
    assert (files(home), rows()) == ([], 0)


# --- policies ---------------------------------------------------------------------------------------------------------


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


def test_the_default_is_to_reuse_within_a_flow_run(calls: list[Any]) -> None:
    load = counting(calls, persist_result=True)

    @flow
    def pipeline() -> list[int]:
        return [load(1), load(1), load(2)]

    assert pipeline() == [1, 1, 2]
    assert pipeline() == [3, 3, 4], "another run"
    assert [load(1), load(1)] == [5, 6], "outside of flows each task run is one of its own"


def test_the_default_policy_by_its_name(calls: list[Any]) -> None:
    assert repr(DEFAULT) == "INPUTS + TASK_SOURCE + RUN_ID"
    load = counting(calls, DEFAULT)

    @flow
    def pipeline() -> list[int]:
        return [load(1), load(1)]

    assert pipeline() == [1, 1]


def test_a_run_id_is_the_same_throughout_a_flow_run(calls: list[Any]) -> None:
    load = counting(calls, RUN_ID)

    @flow
    def pipeline() -> list[int]:
        return [load(1), load(2)]

    assert [pipeline(), pipeline()] == [[1, 1], [2, 2]]


def test_flow_parameters(calls: list[Any]) -> None:
    load = counting(calls, FLOW_PARAMETERS)

    @flow
    def pipeline(day: str, n: int = 1) -> list[int]:
        return [load(1), load(2)]

    assert [pipeline("mon"), pipeline("mon", 1), pipeline("tue")] == [[1, 1], [1, 1], [2, 2]]
    assert [load(1), load(2)] == [3, 3], "outside of flows there are none"


def test_an_argument_is_left_out(calls: list[Any]) -> None:
    @task(cache_policy=DEFAULT - "debug" - "verbose")
    def load(x: int, debug: bool = False, verbose: bool = False) -> int:
        calls.append(x)
        return len(calls)

    @flow
    def pipeline() -> list[int]:
        return [load(1), load(1, debug=True), load(1, verbose=True), load(2)]

    assert pipeline() == [1, 1, 1, 2]


def test_leaving_an_argument_out_means_that_the_others_are_compared(calls: list[Any]) -> None:
    @task(cache_policy=TASK_SOURCE - "debug")
    def load(x: int, debug: bool = False) -> int:
        calls.append(x)
        return len(calls)

    assert [load(1), load(1, debug=True), load(2)] == [1, 1, 2]


def test_an_argument_that_does_not_exist_cannot_be_left_out() -> None:
    with pytest.raises(
        UsageError, match=r"leaves out the argument 'debg', which it does not have. Did you mean 'debug'"
    ):

        @task(cache_policy=INPUTS - "debg")
        def load(x: int, debug: bool = False) -> None: ...

    task(cache_policy=INPUTS - "debg")(lambda x, **options: None)


def test_sums_of_policies() -> None:
    assert INPUTS + NO_CACHE == INPUTS
    assert NO_CACHE + INPUTS == INPUTS
    assert repr(INPUTS - "b" - "a" + TASK_SOURCE) == "INPUTS - 'a' - 'b' + TASK_SOURCE"
    with pytest.raises(TypeError):
        INPUTS + "x"  # type: ignore[operator]
    with pytest.raises(TypeError):
        INPUTS - 1  # type: ignore[operator]


def test_a_key_function_is_told_of_the_run(calls: list[Any]) -> None:
    told: list[Any] = []

    def key(context: TaskRunContext, parameters: dict[str, Any]) -> str:
        run, around = context.task_run, context.flow_run
        told.append((context.task.name, run.name, run.flow_run_id, run.id, around and (around.id, around.name)))
        assert context.parameters == parameters
        return f"day {parameters['day']}"

    @task(cache_key_fn=key)
    def load(x: int, day: str = "mon") -> int:
        calls.append(x)
        return len(calls)

    @flow(flow_run_name="the-run")
    def pipeline() -> list[int]:
        return [load(1), load(2, day="mon"), load(3, "tue")]

    assert pipeline() == [1, 1, 2]
    assert load(9) == 1
    run = run_view("last")
    assert [entry[:3] for entry in told[:3]] == [("load", name, run.id) for name in ("load", "load-1", "load-2")]
    assert [entry[3] for entry in told[:3]] == list(run.nodes)
    assert [entry[4] for entry in told] == [(run.id, "the-run")] * 3 + [None]


def test_keys_of_a_function_are_shared_by_tasks(calls: list[Any]) -> None:
    one = counting(calls, cache_key_fn=lambda context, parameters: "the same")
    other = task(cache_key_fn=lambda context, parameters: "the same")(lambda: "never called")
    assert [one(), other()] == [1, 1]


def test_a_key_function_may_say_that_a_call_is_not_cached(calls: list[Any], home: Path) -> None:
    load = counting(calls, cache_key_fn=lambda context, parameters: None)
    assert [load(), load()] == [1, 2]
    assert rows() == 0


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (lambda context, parameters: 1 / 0, "its cache key cannot be made: ZeroDivisionError: division by zero"),
        (lambda context, parameters: 7, "gave the cache key 7; it must be a string, or None for no caching"),
    ],
)
def test_a_key_function_that_fails_is_a_warning(calls: list[Any], capsys: Capture, key: Any, said: str) -> None:
    load = counting(calls, cache_key_fn=key)
    assert [load(), load()] == [1, 2]
    assert said in capsys.readouterr().err


def test_of_a_key_function_and_a_policy_the_function_counts(calls: list[Any], capsys: Capture) -> None:
    load = counting(calls, INPUTS, cache_key_fn=lambda context, parameters: "k")
    assert [load(1), load(2)] == [1, 1]


def test_the_key_function_of_tutorials(calls: list[Any], tmp_path: Path) -> None:
    @task(cache_key_fn=task_input_hash, cache_expiration=timedelta(hours=1))
    def load(sql: str) -> int:
        calls.append(sql)
        return len(calls)

    assert [load("a"), load("a"), load(sql="a"), load("b")] == [1, 1, 1, 2]
    before, after = define(tmp_path, "before", "x + 1"), define(tmp_path, "after", "x + 2")
    assert [task(cache_key_fn=task_input_hash)(fn)(1) for fn in (before, before, after)] == [2, 2, 3]
    lock = threading.Lock()
    assert [load(lock), load(lock)] == [3, 4]  # type: ignore[arg-type]


@dataclass
class ByDay(CachePolicy):
    days: int

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        return None if inputs["day"] < 0 else f"{task_ctx.task.name} {inputs['day'] // self.days} {flow_parameters}"


def test_a_policy_of_one_s_own(calls: list[Any]) -> None:
    def load(x: int, day: int) -> int:
        calls.append(x)
        return len(calls)

    weekly = task(cache_policy=ByDay(7))(load)
    assert [weekly(1, 1), weekly(2, 6), weekly(3, 7), weekly(4, -1), weekly(5, -1)] == [1, 1, 2, 3, 4]
    both = task(cache_policy=ByDay(7) + INPUTS - "day")(load)
    assert [both(1, 1), both(1, 6), both(2, 6), both(3, -1), both(3, -1)] == [5, 5, 6, 7, 8]


def test_what_is_no_policy_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"cache_policy of task 'len' is 'inputs'; give one of flowbook.cache_policies"
    ):
        task(cache_policy="inputs")(len)
    with pytest.raises(UsageError, match=r"cache_key_fn of task 'len' is 'key'; give a function"):
        task(cache_key_fn="key")(len)


# --- expiration and refreshing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("expiration", [60, 60.0, timedelta(minutes=1)])
def test_results_expire(harness: Harness, calls: list[Any], expiration: Any) -> None:
    load = counting(calls, INPUTS, cache_expiration=expiration)
    assert load(1) == 1
    harness.clock.advance(59)
    assert load(1) == 1
    harness.clock.advance(2)
    assert load(1) == 2, "its result has expired"
    harness.clock.advance(59)
    assert load(1) == 2, "the time counts from the newer result"


@pytest.mark.parametrize("expiration", [0, -1, "1h", True])
def test_an_expiration_that_cannot_be_meant_is_refused(expiration: Any) -> None:
    with pytest.raises(UsageError, match=r"cache_expiration of task 'len' is .*; give a timedelta, or seconds"):
        task(cache_policy=INPUTS, cache_expiration=expiration)(len)


def test_refreshing_ignores_what_is_stored_and_replaces_it(calls: list[Any]) -> None:
    load = counting(calls, INPUTS)
    assert [load(1), load(1)] == [1, 1]
    assert load.with_options(refresh_cache=True)(1) == 2
    assert load(1) == 2


# --- results in doubt -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("harm", ["changed", "cut", "emptied", "deleted", "other key"])
def test_a_file_that_is_not_as_it_was_written_is_never_loaded(
    home: Path, calls: list[Any], capsys: Capture, harm: str
) -> None:
    load = large(calls)
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
    assert load("a") == (2, LARGE)
    err = capsys.readouterr().err
    assert "WARNING" in err
    assert f"The stored result {path}" in err
    assert "The task runs again." in err
    assert load("a") == (2, LARGE), "the new result was kept in its place"


@pytest.mark.parametrize(
    ("column", "value"), [("content", b"\x80\x05K\x07."), ("serializer", "json"), ("signature", b"\0")]
)
def test_a_row_that_is_not_as_it_was_written_is_never_loaded(
    calls: list[Any], capsys: Capture, column: str, value: Any
) -> None:
    load = counting(calls, INPUTS)
    load("a")
    close_engines()
    sql(f"UPDATE result SET {column} = :value", value=value)
    assert load("a") == 2
    assert "was changed since it was written" in capsys.readouterr().err


def test_one_result_cannot_be_passed_off_as_another(home: Path, calls: list[Any]) -> None:
    load = counting(calls, INPUTS)
    assert [load("a"), load("b")] == [1, 2]
    close_engines()
    content, signature = sql("SELECT content, signature FROM result")[0]
    sql("UPDATE result SET content = :content, signature = :signature", content=content, signature=signature)
    assert sorted([load("a"), load("b")]) in ([1, 3], [2, 3])


def test_a_damaged_signing_key_is_a_warning(home: Path, calls: list[Any], capsys: Capture) -> None:
    load = counting(calls, INPUTS)
    load(1)
    (home / "key").write_bytes(b"short")
    assert load(1) == 2
    assert f"The signing key {home / 'key'} is damaged." in capsys.readouterr().err


class Loud:
    def __setstate__(self, state: Any) -> None:
        raise RuntimeError("unpickled")

    def __reduce_ex__(self, protocol: Any) -> Any:
        return (Loud, (), {"a": 1})


def test_a_result_that_cannot_be_read_is_a_warning(calls: list[Any], capsys: Capture) -> None:
    @task(cache_policy=INPUTS)
    def load() -> Any:
        calls.append(1)
        return Loud()

    load()
    load()
    assert len(calls) == 2
    assert "cannot be read: RuntimeError: unpickled. The task runs again." in capsys.readouterr().err


def test_files_are_their_owner_s_only(home: Path, calls: list[Any]) -> None:
    large(calls)(1)
    [path] = files(home)
    assert path.stat().st_mode & 0o777 == 0o600
    assert (home / "key").stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_replaced_is_removed(home: Path, calls: list[Any]) -> None:
    load = large(calls)
    load(1)
    [before] = files(home)
    load.with_options(refresh_cache=True)(1)
    [after] = files(home)
    assert before != after
    assert load(1) == (2, LARGE)


def test_a_file_replaced_before_it_was_committed_is_removed(home: Path, calls: list[Any]) -> None:
    load = large(calls).with_options(refresh_cache=True)

    @flow
    def pipeline() -> None:
        for _ in range(5):
            load(1)

    pipeline()
    assert len(files(home)) == 1
    assert load.with_options(refresh_cache=False)(1) == (5, LARGE)


# --- many at once -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 20_000])
def test_threads_that_make_the_same_result_are_all_right(length: int) -> None:
    together = threading.Barrier(8, timeout=30)

    @task(cache_policy=INPUTS)
    def load(x: str) -> str:
        together.wait()
        return x * length

    @flow
    def pipeline() -> list[str]:
        return [future.result() for future in [load.submit("a") for _ in range(8)]]

    assert pipeline() == ["a" * length] * 8
    assert load("a") == "a" * length
    assert cache_statistics()[0].hits == 1


PROCESS = """
import sys
from flowbook import flow, task
from flowbook.cache_policies import INPUTS

@task(cache_policy=INPUTS, refresh_cache=True)
def load(x):
    return x, "y" * 20_000

@task(cache_policy=INPUTS)
def reused(x):
    return x, "y" * 20_000

reused.task_key = load.task_key

@flow
def pipeline():
    for _ in range(30):
        assert load(1) == (1, "y" * 20_000)
        assert reused(1) == (1, "y" * 20_000)

pipeline()
print("done")
"""


@pytest.mark.slow
def test_processes_that_make_the_same_result_are_all_right(home: Path) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", PROCESS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in started:
        out, err = process.communicate(timeout=60)
        assert out == "done\n", err
        assert "WARNING" not in err
    assert len(files(home)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("length", [1, 20_000])
def test_a_completed_run_has_its_result_after_a_kill(home: Path, length: int) -> None:
    code = f"""
    from flowbook import flow, task
    from flowbook.cache_policies import INPUTS

    @task(cache_policy=INPUTS)
    def load(x):
        return str(x) * {length}

    @flow
    def pipeline():
        n = 0
        while True:
            load(n)
            n += 1
            print(n, flush=True)

    pipeline()
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "FLOWBOOK_LOGGING_LEVEL": "ERROR"},
    )
    assert process.stdout is not None
    while int(process.stdout.readline()) < 600:
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate()
    calls: list[int] = []

    @task(cache_policy=INPUTS)
    def load(x: int) -> Any:
        calls.append(x)

    load.task_key = "__main__.load"
    [(completed,)] = sql("SELECT count(*) FROM task_run WHERE state_name = 'Completed'")
    assert completed > 0
    assert [load(n) for n in range(completed)] == [str(n) * length for n in range(completed)]
    assert calls == []


# --- statistics -------------------------------------------------------------------------------------------------------


def test_statistics(harness: Harness, calls: list[Any]) -> None:
    @task(cache_policy=INPUTS)
    def slow(x: int) -> int:
        harness.clock.advance(90)
        return x

    @task(cache_policy=INPUTS)
    def quick(x: int) -> int:
        return x

    @task(persist_result=True, cache_policy=NO_CACHE)
    def stored() -> None: ...

    assert cache_statistics() == []

    @flow
    def pipeline() -> None:
        for x in (1, 1, 2, 1):
            slow(x)
        quick(1)
        stored()

    pipeline()
    slow(2)
    slow.with_options(refresh_cache=True)(1)
    assert cache_statistics() == [
        CacheStatistics(task=slow.task_key, hits=3, misses=3, seconds_saved=270.0),
        CacheStatistics(task=quick.task_key, hits=0, misses=1, seconds_saved=0.0),
    ]
