"""Stored results: where they are, what they are called, when they are loaded."""

from __future__ import annotations

import json
import sys
import tracemalloc
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sql import sql

from flowbook import flow, task
from flowbook.cache_policies import INPUTS, NO_CACHE
from flowbook.core.storage_names import safe_name
from flowbook.engine import close_engines, engine
from flowbook.errors import UsageError
from flowbook.results import MissingResult, ResultPersistor, ResultStore, StoredResult, cache_statistics
from flowbook.serializers import JSONSerializer
from flowbook.task_runners import SequentialTaskRunner
from flowbook.testing import flowbook_test_harness

pytestmark = pytest.mark.usefixtures("store_url")

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "here"


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def stored() -> Sequence[tuple[Any, ...]]:
    """Size, whether there is a file, serializer and task of each stored result."""
    engine().journal.flush()
    return sql("SELECT size, file IS NOT NULL, serializer, task_key FROM result ORDER BY created")


# --- where results are ------------------------------------------------------------------------------------------------


def test_small_results_are_in_the_database_and_large_ones_in_files(home: Path) -> None:
    @task(cache_policy=INPUTS)
    def make(size: int) -> bytes:
        return b"x" * size

    for size in (10, 8000, 9000):
        assert make(size) == make(size) == b"x" * size
    assert [(is_file, serializer, key) for _, is_file, serializer, key in stored()] == [
        (0, "pickle", make.task_key),
        (0, "pickle", make.task_key),
        (1, "pickle", make.task_key),
    ]
    [name] = files(home / "results")
    assert name.endswith(".pkl")


def test_results_in_a_folder_of_the_user(folder: Path, home: Path) -> None:
    calls: list[int] = []

    @task(cache_policy=INPUTS, result_storage=folder)
    def make(x: int) -> int:
        calls.append(x)
        return x

    assert [make(1), make(1), make(2)] == [1, 1, 2]
    assert calls == [1, 2]
    assert len(files(folder)) == 2
    assert files(home / "results") == []
    assert make.with_options(result_storage=str(folder))(1) == 1
    make.with_options(result_storage=None)(1)
    assert calls == [1, 2, 1], "what is in one folder is not in another one"


@pytest.mark.parametrize("storage", ["s3://bucket/path", 7, ""])
def test_a_storage_that_is_no_folder_is_refused(storage: Any) -> None:
    with pytest.raises(UsageError, match=r"result_storage is .*; give a folder"):
        task(persist_result=True, result_storage=storage)(len)


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, False),
        ({"persist_result": True}, True),
        ({"persist_result": True, "cache_policy": NO_CACHE}, True),
        ({"cache_policy": NO_CACHE}, False),
        ({"result_serializer": "json"}, True),
        ({"cache_result_in_memory": False}, True),
        ({"cache_result_in_memory": False, "cache_policy": NO_CACHE}, True),
        ({"result_storage_key": "x"}, True),
        ({"cache_policy": INPUTS}, True),
        ({"cache_key_fn": lambda context, parameters: "k"}, True),
        ({"cache_expiration": 60, "refresh_cache": True}, False),
        ({"cache_policy": INPUTS, "persist_result": False, "result_storage_key": "x"}, False),
    ],
)
def test_which_options_mean_that_a_result_is_kept(home: Path, options: dict[str, Any], kept: bool) -> None:
    @task(**options)
    def make() -> int:
        return 1

    assert make() == 1
    assert len(stored()) == kept


def test_without_caching_each_run_stores_its_own(home: Path) -> None:
    calls: list[int] = []

    @task(persist_result=True, cache_policy=NO_CACHE)
    def make() -> None:
        calls.append(1)

    make()
    make()
    assert (len(calls), len(stored())) == (2, 2)
    assert cache_statistics() == []


def test_results_of_flows_are_stored_under_their_run(home: Path, folder: Path) -> None:
    @flow(persist_result=True, result_storage=folder, result_serializer="json")
    def inner(n: int) -> dict[str, int]:
        return {"n": n}

    @flow(persist_result=True)
    def outer() -> list[dict[str, int]]:
        return [inner(1), inner(1)]

    assert outer() == [{"n": 1}, {"n": 1}]
    assert len(files(folder)) == 2
    assert [(kind, key) for _, _, kind, key in stored()] == [
        ("json", inner.work.key),
        ("json", inner.work.key),
        ("pickle", outer.work.key),
    ]
    run = outer(return_state=True)
    assert run.result() == [{"n": 1}] * 2
    from flowbook.runs import find_run

    assert ResultStore().read(find_run("last").id) == [{"n": 1}, {"n": 1}]


# --- names ------------------------------------------------------------------------------------------------------------


def test_a_result_is_called_what_the_template_says(folder: Path) -> None:
    calls: list[str] = []

    @task(
        result_storage=folder,
        result_serializer="json",
        result_storage_key="{flow_run.name}/{task_run.name}-{parameters[day]}-{parameters[n]:03d}.json",
    )
    def report(day: str, n: int = 7) -> dict[str, Any]:
        calls.append(day)
        return {"day": day}

    @flow(flow_run_name="nightly")
    def pipeline(day: str) -> Any:
        return report(day)

    assert pipeline("mon") == {"day": "mon"}
    assert files(folder) == ["nightly/report-mon-007.json"]
    assert json.loads((folder / "nightly/report-mon-007.json").read_text()) == {"day": "mon"}
    assert pipeline("mon") == {"day": "mon"}
    assert calls == ["mon"], "what has the same name is the same result"
    assert ResultStore(folder).read("nightly/report-mon-007.json") == {"day": "mon"}


def test_a_name_in_the_home_folder(home: Path) -> None:
    @task(result_storage_key="latest.pkl")
    def make() -> int:
        return 1

    make()
    assert files(home / "results") == ["latest.pkl"]
    assert ResultStore().read("latest.pkl") == 1


def test_with_a_policy_the_name_is_only_a_name(folder: Path, capsys: Capture) -> None:
    calls: list[int] = []

    @task(cache_policy=INPUTS, result_storage=folder, result_storage_key="latest.pkl")
    def make(x: int) -> int:
        calls.append(x)
        return x

    assert [make(1), make(1), make(2), make(2)] == [1, 1, 2, 2]
    assert calls == [1, 2]
    assert make(1) == 1, "its file holds another result now"
    assert calls == [1, 2, 1]
    assert files(folder) == ["latest.pkl"]


def test_a_named_file_of_before_stays(folder: Path) -> None:
    @task(cache_policy=INPUTS, refresh_cache=True, result_storage=folder, result_storage_key="{task_run.name}.pkl")
    def make() -> int:
        return 1

    @flow
    def pipeline() -> None:
        make()
        make()

    pipeline()
    assert files(folder) == ["make-1.pkl", "make.pkl"]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("", "must be a text that is not empty"),
        (7, "must be a text that is not empty"),
        ("{day}.json", r"names 'day'; it may name flow_run, task_run and parameters"),
        ("{parameters[dya]}.json", r"names the parameter 'dya', which it does not have. Did you mean 'day'\?"),
        ("{parameters[day}.json", "which is no template"),
    ],
)
def test_a_template_that_cannot_be_meant_is_refused(template: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):

        @task(result_storage_key=template)
        def report(day: str) -> None: ...


@pytest.mark.parametrize(
    "day", ["../../escape", "/etc/passwd", "a/b", "..", "c:\\x", "line\nbreak", "nul\0", "x" * 300]
)
def test_no_parameter_leads_out_of_the_folder(folder: Path, tmp_path: Path, capsys: Capture, day: str) -> None:
    @task(result_storage=folder, result_storage_key="{parameters[day]}")
    def report(day: str) -> str:
        return day

    before = files(tmp_path)
    assert report(day) == day
    assert [name for name in files(tmp_path) if "flowbook-home" not in name] == before
    assert "The result of task run 'report' is not kept." in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/../b", "../a", "/a", "~/a", "a/", "a\\b", "c:a", "a\0", "a\nb", "\u202ea", "x" * 201]
)
def test_names_that_no_result_can_have(name: str, folder: Path) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a stored result"):
        ResultStore(folder).write(name, 1)


@pytest.mark.parametrize("name", ["a", "a.json", "2026/01/a b.json", "é-ñ.json", ".hidden"])
def test_names_that_a_result_can_have(name: str, folder: Path) -> None:
    assert safe_name(name) == name
    ResultStore(folder).write(name, 1)
    assert ResultStore(folder).read(name) == 1
    assert (folder / name).is_file()


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{flow_run.name}", "The task was called outside of a flow."),
        ("{parameters[day].nothing}", "'nothing'"),
        ("{task_run.colour}", "'colour'"),
    ],
)
def test_a_template_that_cannot_be_filled_in_is_a_warning(template: str, said: str, capsys: Capture) -> None:
    @task(result_storage_key=template)
    def report(day: str = "mon") -> str:
        return day

    assert report() == "mon"
    err = capsys.readouterr().err
    assert f"result_storage_key {template!r} cannot be filled in" in err
    assert said in err


def test_threads_that_write_the_same_name_leave_a_result_that_can_be_read(folder: Path) -> None:
    @task(refresh_cache=True, result_storage=folder, result_storage_key="latest.pkl")
    def make(x: int) -> tuple[int, str]:
        return x, "y" * 10_000 * x

    @flow
    def pipeline() -> None:
        make.map(list(range(40)))

    pipeline()
    value, text = ResultStore(folder).read("latest.pkl")
    assert text == "y" * 10_000 * value


# --- not in memory ----------------------------------------------------------------------------------------------------


def test_a_result_that_is_not_kept_in_memory_is_loaded_when_it_is_asked_for() -> None:
    watched: list[weakref.ref[Any]] = []

    @task(cache_result_in_memory=False)
    def make() -> Any:
        value = np.arange(10)
        watched.append(weakref.ref(value))
        return value

    @task
    def add(numbers: Any) -> int:
        return int(numbers.sum())

    @flow
    def pipeline() -> tuple[Any, ...]:
        future = make.submit()
        future.wait()
        state = make(return_state=True)
        assert isinstance(future.state.data, StoredResult)
        assert isinstance(state.data, StoredResult)
        assert [reference() for reference in watched] == [None]
        return future.result().tolist(), state.result().tolist(), add(future), add.submit(state).result(), make().sum()

    assert pipeline() == (list(range(10)), list(range(10)), 45, 45, 45)


def test_a_hit_that_is_not_kept_in_memory_is_verified_and_not_loaded(capsys: Capture, home: Path) -> None:
    calls: list[int] = []

    @task(cache_policy=INPUTS, cache_result_in_memory=False)
    def make(x: int) -> Any:
        calls.append(x)
        return np.arange(5000)

    make(1)
    state = make(1, return_state=True)
    assert state.name == "Cached"
    assert isinstance(state.data, StoredResult)
    assert state.result().sum() == 12497500
    [name] = files(home / "results")
    (home / "results" / name).write_bytes(b"")
    make(1)
    assert calls == [1, 1]
    assert "was changed since it was written" in capsys.readouterr().err


def test_a_reference_to_a_deleted_result_names_its_file(home: Path) -> None:
    @task(cache_result_in_memory=False)
    def make() -> Any:
        return np.arange(5000)

    state = make(return_state=True)
    [name] = files(home / "results")
    (home / "results" / name).unlink()
    with pytest.raises(MissingResult, match=rf"The stored result {home}/results/{name} cannot be read: No such file"):
        state.result()


def test_a_reference_follows_a_result_that_was_replaced() -> None:
    @task(cache_policy=INPUTS, cache_result_in_memory=False)
    def make(x: int) -> Any:
        return np.full(5000, 7)

    before = make(1, return_state=True)
    make.with_options(refresh_cache=True)(1)
    engine().journal.flush()
    assert before.result().sum() == 35000


def test_a_reference_outlives_the_engine(home: Path) -> None:
    @task(cache_result_in_memory=False)
    def make() -> list[int]:
        return [1, 2]

    state = make(return_state=True)
    close_engines()
    assert state.result() == [1, 2]


def test_a_result_that_cannot_be_stored_stays_in_memory(capsys: Capture) -> None:
    @task(cache_result_in_memory=False)
    def make() -> Any:
        return (n for n in range(3))

    values = make()
    assert list(values) == [0, 1, 2]
    assert (
        "The result of task run 'make' cannot be kept: TypeError: cannot pickle 'generator'" in capsys.readouterr().err
    )


@pytest.mark.slow
def test_a_large_result_is_written_and_read_without_a_copy_of_all_its_bytes() -> None:
    size = 40_000_000

    @task(cache_policy=INPUTS)
    def make() -> Any:
        return {"a": np.zeros(size // 8), "b": 1}

    make.with_options(persist_result=False)()

    def peak_of(call: Callable[[], Any]) -> tuple[Any, int]:
        tracemalloc.start()
        value = call()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return value, peak

    _, writing = peak_of(make)
    value, reading = peak_of(make)
    assert value["a"].nbytes == size
    assert cache_statistics()[0].hits == 1
    assert size < writing < 1.2 * size
    assert size < reading < 1.2 * size


# --- the store --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_folder", [False, True])
@pytest.mark.parametrize("serializer", [None, "json", "gzip/pickle", JSONSerializer, JSONSerializer()])
def test_a_store_gives_back_what_was_written(folder: Path, in_folder: bool, serializer: Any) -> None:
    store = ResultStore(folder if in_folder else None, serializer=serializer)
    assert not store.exists("a")
    store.write("a", {"n": [1, 2.5, None, "x" * 10_000]})
    assert store.exists("a")
    close_engines()
    assert store.read("a") == {"n": [1, 2.5, None, "x" * 10_000]}
    store.write("a", 2)
    assert (store.read("a"), store.exists("b")) == (2, False)
    assert ResultStore(folder if in_folder else None).read("a") == 2, "it knows who wrote it"


def test_what_was_not_written_is_missing(folder: Path) -> None:
    with pytest.raises(MissingResult, match=rf"There is no stored result 'a' in {folder}: none was written"):
        ResultStore(folder).read("a")
    with pytest.raises(MissingResult, match=r"flowbook-home"):
        ResultStore().read("a")


def test_a_file_of_the_store_that_is_gone(folder: Path) -> None:
    store = ResultStore(folder)
    store.write("a", 1)
    (folder / "a").unlink()
    assert not store.exists("a")
    with pytest.raises(MissingResult, match=rf"The stored result {folder}/a cannot be read"):
        store.read("a")


def test_a_value_that_does_not_fit_is_an_error_of_the_store(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"the result is a tuple, which JSON does not give back as it is"):
        ResultStore(folder, serializer="json").write("a", (1, 2))
    assert files(folder) == []


def test_keys_of_tasks_and_of_the_store_are_the_same() -> None:
    @task(cache_key_fn=lambda context, parameters: "shared")
    def make() -> int:
        return 1

    make()
    assert ResultStore().read("shared") == 1
    ResultStore().write("shared", 2)
    assert make() == 2


def test_results_of_a_task_expire_for_the_store_too() -> None:
    with flowbook_test_harness() as harness:

        @task(cache_key_fn=lambda context, parameters: "shared", cache_expiration=10)
        def make() -> int:
            return 1

        make()
        assert ResultStore().exists("shared")
        harness.clock.advance(11)
        assert not ResultStore().exists("shared")


def test_the_name_that_older_tutorials_use() -> None:
    assert ResultPersistor is ResultStore


def test_a_result_that_does_not_fit_its_serializer_is_a_warning(capsys: Capture) -> None:
    @task(cache_policy=INPUTS, result_serializer="json")
    def make() -> Any:
        return {"pairs": [(1, 2)]}

    assert make() == make() == {"pairs": [(1, 2)]}
    err = capsys.readouterr().err
    assert "The result of task run 'make' cannot be kept: ValueError: the result['pairs'][0] is a tuple" in err


def test_a_serializer_that_is_gone_is_a_warning(capsys: Capture) -> None:
    class Mine(JSONSerializer):
        name = "mine"

    def make() -> int:
        return 1

    assert task(cache_policy=INPUTS, result_serializer=Mine())(make)() == 1
    assert task(cache_policy=INPUTS)(make)() == 1
    assert "was written by the serializer 'mine', and cannot be read: There is no result serializer 'mine'" in (
        capsys.readouterr().err
    )


def test_async_tasks_store_their_results() -> None:
    import asyncio

    calls: list[int] = []

    @task(cache_policy=INPUTS)
    async def make(x: int) -> int:
        calls.append(x)
        return x

    @flow
    async def pipeline() -> list[int]:
        return [await make(1), await make(1)]

    assert asyncio.run(pipeline()) == [1, 1]
    assert calls == [1]


def test_what_a_storage_costs_at_decoration() -> None:
    before = set(sys.modules)
    task(cache_policy=INPUTS, result_serializer="json")(len)
    assert not {"sqlalchemy", "cloudpickle", "pandas", "numpy"} & (set(sys.modules) - before)


def test_the_runner_makes_no_difference() -> None:
    calls: list[int] = []

    @task(cache_policy=INPUTS)
    def make(x: int) -> int:
        calls.append(x)
        return x

    @flow(task_runner=SequentialTaskRunner())
    def one_by_one() -> list[int]:
        return [future.result() for future in make.map([1, 2, 1])]

    assert one_by_one() == [1, 2, 1]
    assert calls == [1, 2]
