"""Parameters of flows: bound, coerced, refused with a sentence, and turned back into a call."""

from __future__ import annotations

import decimal
import enum
import json
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, NotRequired, Optional, TypedDict, Union, Unpack

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import BaseModel, Field, Secret, SecretBytes, SecretStr, field_validator
from pydantic.dataclasses import dataclass as pydantic_dataclass

from flowbook import allow_failure, flow, get_run_logger, task
from flowbook.core.parameters import as_call, bind
from flowbook.errors import ParameterError, UpstreamTaskError
from flowbook.runs import recent_runs, run_view


class Region(BaseModel):
    name: str
    limit: int = 10


class Credentials(BaseModel):
    user: str
    password: SecretStr


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Point(NamedTuple):
    x: int
    y: int = 0


class Options(TypedDict, total=False):
    depth: int
    name: str


class Choice(TypedDict):
    name: str
    depth: NotRequired[int]


@dataclass
class Size:
    width: int


@dataclass
class Framed:
    """A dataclass that pydantic cannot make a schema of."""

    frame: pd.DataFrame


@pydantic_dataclass
class Box:
    size: Size
    label: str = "box"


class Own:
    """A class that pydantic knows nothing of."""


class Even(BaseModel):
    n: int

    @field_validator("n")
    @classmethod
    def _even(cls, n: int) -> int:
        if n % 2:
            raise ValueError("it is odd")
        return n


UserId = NewType("UserId", int)


def orders(days: int, region: str = "north", *, strict: bool = False) -> tuple[int, str, bool]:
    return days, region, strict


def none() -> None: ...


def optional(x: str = None) -> Any:  # type: ignore[assignment]  # noqa: RUF013
    return x


def listed(items: list[int]) -> list[int]:
    return items


def model(region: Region) -> Region:
    return region


def positive(n: Annotated[int, Field(gt=0)]) -> int:
    return n


def positional(a: int, /) -> int:
    return a


def everything(a: int, /, b: int = 2, *rest: int, c: int = 3, **more: int) -> tuple[Any, ...]:
    return a, b, rest, c, more


LISTED: Any = Field(default_factory=list)


def described(n: int = Field(default=3, gt=0), tags: list[str] = LISTED, name: str = Field()) -> Any:
    return n, tags, name


def optioned(**options: Unpack[Options]) -> Any:
    return options


def hinted(hint: Any) -> Callable[[Any], Any]:
    """A function of one parameter with this type hint."""

    def take(x: Any) -> Any:
        return x

    take.__annotations__["x"] = hint
    return take


REFUSED: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], str, str | None]] = [
    (
        orders,
        (1,),
        {"regoin": "south"},
        "Flow 'f' has no parameter 'regoin'. Did you mean 'region'? It has 'days', 'region', 'strict'.",
        "regoin",
    ),
    (orders, (), {"days": 1, "q": 2}, "Flow 'f' has no parameter 'q'. It has 'days', 'region', 'strict'.", "q"),
    (none, (), {"x": 1}, "Flow 'f' has no parameter 'x'. It takes none.", "x"),
    (orders, (), {}, "Flow 'f' needs the parameter 'days': pass it, or give it a default.", "days"),
    (orders, (1, "a", "b"), {}, "Flow 'f' cannot be called like this: too many positional arguments.", None),
    (orders, (1,), {"days": 2}, "Flow 'f' cannot be called like this: multiple values for argument 'days'.", None),
    (
        orders,
        ("many",),
        {},
        "Parameter 'days' of flow 'f' does not fit: Input should be a valid integer, unable to parse string as an"
        " integer (it is 'many').",
        "days",
    ),
    (
        orders,
        (1.5,),
        {},
        "Parameter 'days' of flow 'f' does not fit: Input should be a valid integer, got a number with a fractional"
        " part (it is 1.5).",
        "days",
    ),
    (
        orders,
        (None,),
        {},
        "Parameter 'days' of flow 'f' does not fit: Input should be a valid integer (it is None).",
        "days",
    ),
    (
        listed,
        ([1, "x"],),
        {},
        "Parameter 'items'[1] of flow 'f' does not fit: Input should be a valid integer, unable to parse string as an"
        " integer (it is 'x').",
        "items",
    ),
    (
        model,
        ({"name": "n", "limit": "all"},),
        {},
        "Parameter 'region'['limit'] of flow 'f' does not fit: Input should be a valid integer, unable to parse string"
        " as an integer (it is 'all').",
        "region",
    ),
    (positive, (0,), {}, "Parameter 'n' of flow 'f' does not fit: Input should be greater than 0 (it is 0).", "n"),
    (
        everything,
        (1, 2, 3, "x"),
        {},
        "Parameter 'rest'[1] of flow 'f' does not fit: Input should be a valid integer, unable to parse string as an"
        " integer (it is 'x').",
        "rest",
    ),
    (
        everything,
        (1,),
        {"z": "x"},
        "Parameter 'z' of flow 'f' does not fit: Input should be a valid integer, unable to parse string as an"
        " integer (it is 'x').",
        "z",
    ),
    (
        described,
        (),
        {"n": -1, "name": "x"},
        "Parameter 'n' of flow 'f' does not fit: Input should be greater than 0 (it is -1).",
        "n",
    ),
    (described, (), {}, "Flow 'f' needs the parameter 'name': pass it, or give it a default.", "name"),
    (
        optioned,
        (),
        {"depth": "deep"},
        "Flow 'f'['depth'] does not fit: Input should be a valid integer, unable to parse string as an integer (it is"
        " 'deep').",
        "depth",
    ),
    (
        hinted(Own),
        (3,),
        {},
        "Parameter 'x' of flow 'f' does not fit: Input should be an instance of Own (it is 3).",
        "x",
    ),
    (
        hinted(int | list[int]),
        (["one"],),
        {},
        "Parameter 'x' of flow 'f' does not fit: Input should be a valid integer (it is ['one']).",
        "x",
    ),
    (
        hinted(list[int] | None),
        (["one"],),
        {},
        "Parameter 'x'[0] of flow 'f' does not fit: Input should be a valid integer, unable to parse string as an "
        "integer (it is 'one').",
        "x",
    ),
    (hinted(Choice), ({},), {}, "Parameter 'x'['name'] of flow 'f' does not fit: Field required.", "x"),
    (hinted(Region), ({},), {}, "Parameter 'x'['name'] of flow 'f' does not fit: Field required.", "x"),
    (
        hinted(Even),
        ({"n": 3},),
        {},
        "Parameter 'x'['n'] of flow 'f' does not fit: Value error, it is odd (it is 3).",
        "x",
    ),
    (
        hinted(Colour),
        ("blue",),
        {},
        "Parameter 'x' of flow 'f' does not fit: Input should be 'red' (it is 'blue').",
        "x",
    ),
    (
        hinted(Literal["a", "b"]),
        ("c",),
        {},
        "Parameter 'x' of flow 'f' does not fit: Input should be 'a' or 'b' (it is 'c').",
        "x",
    ),
]


@pytest.mark.parametrize(("fn", "args", "kwargs", "said", "field"), REFUSED)
def test_what_does_not_fit_is_refused_before_anything_runs(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], said: str, field: str | None
) -> None:
    with pytest.raises(ParameterError) as raised:
        flow(name="f")(fn)(*args, **kwargs)
    assert str(raised.value) == said
    assert raised.value.field == field
    assert recent_runs() == []


ACCEPTED: list[tuple[Any, Any, Any]] = [
    (int, "7", 7),
    (int, True, 1),
    (float, 1, 1.0),
    (str, "x", "x"),
    (bool, "yes", True),
    (date, "2024-01-15", date(2024, 1, 15)),
    (datetime, "2024-01-15T06:00", datetime(2024, 1, 15, 6)),  # noqa: DTZ001
    (Path, "/tmp", Path("/tmp")),
    (list[int], ["1", 2], [1, 2]),
    (dict[str, float], {"a": "1.5"}, {"a": 1.5}),
    (Optional[int], None, None),  # noqa: UP045
    (int | None, "3", 3),
    (Literal["a", "b"], "a", "a"),
    (Region, {"name": "north"}, Region(name="north")),
    (Any, "as it is", "as it is"),
    ("NoSuchName", "as it is", "as it is"),
    (list["NoSuchName"], "as it is", "as it is"),  # type: ignore[name-defined]  # noqa: F821
    (tuple[int, str], ["1", "a"], (1, "a")),
    (tuple[int, ...], ["1", 2], (1, 2)),
    (set[int], ["1", 1], {1}),
    (frozenset[int], [1], frozenset({1})),
    (Sequence[int], ("1", 2), (1, 2)),
    (Mapping[str, int], {"a": "1"}, {"a": 1}),
    (list[Region], [{"name": "north"}], [Region(name="north")]),
    (dict[str, list[Optional[int]]], {"a": ["1", None]}, {"a": [1, None]}),  # noqa: UP045
    (Union[int, str], "a", "a"),  # noqa: UP007
    (Annotated[int, Field(ge=1)], "1", 1),
    (UserId, "7", 7),
    (type[Region], Region, Region),
    (Callable[[int], int], abs, abs),
    (Colour, "red", Colour.RED),
    (Colour, Colour.RED, Colour.RED),
    (Level, 1, Level.LOW),
    (time, "06:30", time(6, 30)),
    (timedelta, 90, timedelta(seconds=90)),
    (timedelta, "PT1H", timedelta(hours=1)),
    (decimal.Decimal, "1.50", decimal.Decimal("1.50")),
    (uuid.UUID, "12345678123456781234567812345678", uuid.UUID(int=0x12345678123456781234567812345678)),
    (bytes, "abc", b"abc"),
    (Point, ("1",), Point(1, 0)),
    (Point, {"x": 1, "y": "2"}, Point(1, 2)),
    (Options, {"depth": "3"}, {"depth": 3}),
    (Choice, {"name": "x"}, {"name": "x"}),
    (Choice, {"name": "x", "depth": "3"}, {"name": "x", "depth": 3}),
    (Size, {"width": "3"}, Size(3)),
    (Framed, "as it is", "as it is"),
    (Box, {"size": {"width": 3}}, Box(Size(3))),
    (SecretStr, "hunter2", SecretStr("hunter2")),
]


@pytest.mark.parametrize(("hint", "given", "got"), ACCEPTED, ids=repr)
def test_values_become_what_the_hint_says(hint: Any, given: Any, got: Any) -> None:
    def take(x):  # type: ignore[no-untyped-def]
        return x

    take.__annotations__["x"] = hint
    found = flow(take)(given)
    assert found == got
    assert type(found) is type(got)


def test_a_default_of_none_makes_any_hint_optional() -> None:
    assert flow(optional)() is None
    assert flow(optional)(None) is None
    assert flow(optional)("x") == "x"


def test_big_objects_are_handed_on_as_they_are() -> None:
    frame, array = pd.DataFrame({"a": [1]}), np.zeros(3)

    @flow
    def take(frame: pd.DataFrame, array: np.ndarray, anything: object) -> list[Any]:  # type: ignore[type-arg]
        return [frame, array, anything]

    found = take(frame, array, frame)
    assert found[0] is frame
    assert found[1] is array
    assert found[2] is frame


def test_validation_can_be_switched_off() -> None:
    assert flow(validate_parameters=False)(orders)("many") == ("many", "north", False)  # type: ignore[arg-type]


CALLS: list[tuple[tuple[int, ...], dict[str, int]]] = [
    ((1,), {}),
    ((1, 5), {}),
    ((1, 5, 6, 7), {}),
    ((1,), {"b": 5}),
    ((1,), {"c": 4}),
    ((1, 5, 6), {"c": 4, "x": 8, "y": 9}),
    ((1,), {"x": 8}),
]


@pytest.mark.parametrize(("args", "kwargs"), CALLS, ids=repr)
def test_every_kind_of_parameter_arrives(args: tuple[int, ...], kwargs: dict[str, int]) -> None:
    assert flow(everything)(*args, **kwargs) == everything(*args, **kwargs)


@given(
    some.lists(some.integers(), min_size=1, max_size=5), some.dictionaries(some.sampled_from("cxyz"), some.integers())
)
def test_binding_and_calling_are_inverse(args: list[int], kwargs: dict[str, int]) -> None:
    named = bind(everything, "flow 'f'", tuple(args), kwargs)
    again, rest = as_call(everything, named)
    assert everything(*again, **rest) == everything(*args, **kwargs)


def test_one_name_for_two_parameters_is_refused() -> None:
    with pytest.raises(ParameterError, match="'a' twice"):
        flow(name="f")(everything)(1, a=2)


def test_a_hint_that_names_something_unknown_leaves_the_others_in_force() -> None:
    def take(a, b):  # type: ignore[no-untyped-def]
        return a, b

    take.__annotations__.update(a="int", b="NoSuchName")
    assert flow(take)("7", "8") == (7, "8")


def test_every_value_of_rest_and_more_becomes_what_its_hint_says() -> None:
    assert flow(everything)("1", "2", "3", "4", c="5", z="6") == (1, 2, (3, 4), 5, {"z": 6})  # type: ignore[arg-type]
    assert flow(optioned)(depth="3", name="x") == {"depth": 3, "name": "x"}  # type: ignore[arg-type]


def test_defaults_may_be_described_by_pydantic_s_field() -> None:
    assert flow(described)(name="x") == (3, [], "x")
    assert flow(described)("4", ["a"], name="x") == (4, ["a"], "x")  # type: ignore[arg-type]
    assert flow(validate_parameters=False)(described)(name="x") == (3, [], "x")
    assert recent_runs()[0].parameters == {"n": 3, "tags": [], "name": "x"}


# Secrets


SECRETS: list[tuple[Any, Any]] = [
    (SecretStr, "hunter2"),
    (SecretStr | None, "hunter2"),
    (SecretBytes, b"hunter2"),
    (Secret[str], "hunter2"),
    (list[SecretStr], ["hunter2"]),
    (dict[str, SecretStr], {"password": "hunter2"}),
    (Credentials, {"user": "me", "password": "hunter2"}),
    (dict[str, list[Credentials]], {"all": [{"user": "me", "password": "hunter2"}]}),
]


@pytest.mark.parametrize(("hint", "value"), SECRETS, ids=repr)
def test_a_secret_arrives_and_is_never_shown(
    hint: Any, value: Any, home: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []

    @flow(flow_run_name="run with {x}", log_prints=True)
    def use(x: Any) -> None:
        seen.append(json.dumps(x, default=revealed))
        print(x)
        get_run_logger().info("%s", x)
        note(x)

    @task(task_run_name="note {x}", log_prints=True)
    def note(x: Any) -> None:
        print(x)

    use.fn.__annotations__["x"] = hint
    with caplog.at_level(logging.DEBUG):
        use(value)
    assert "hunter2" in seen[0]
    assert "hunter2" not in caplog.text + "".join(capsys.readouterr())
    assert "hunter2" not in json.dumps(recent_runs()[0].parameters) + repr(run_view("last"))
    assert all(b"hunter2" not in file.read_bytes() for file in home.rglob("*") if file.is_file())


def revealed(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return dict(value)
    secret = value.get_secret_value()
    return secret.decode() if isinstance(secret, bytes) else secret


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (SecretStr, 12345678),
        (SecretStr | None, 12345678),
        (Annotated[SecretStr, Field(min_length=20)], "12345678"),
        (list[SecretStr], [12345678]),
        (Credentials, {"user": "me", "password": 12345678}),
        (Credentials, {"password": "12345678"}),
        (list[Credentials], {"password": "12345678"}),
        (NewType("Hidden", SecretStr), 12345678),
    ],
    ids=repr,
)
def test_a_secret_that_does_not_fit_is_not_shown_either(hint: Any, value: Any) -> None:
    with pytest.raises(ParameterError) as raised:
        flow(hinted(hint))(value)
    assert "12345678" not in str(raised.value)
    assert raised.value.field == "x"


# Results of tasks


@task
def three() -> str:
    return "3"


@task
def broken() -> int:
    raise ValueError("no number")


def test_futures_are_replaced_by_their_results_before_these_are_validated() -> None:
    @flow
    def inner(n: int, more: list[int], *rest: int, **extra: int) -> Any:
        return n, more, rest, extra

    @flow
    def outer() -> Any:
        return inner(three.submit(), [three.submit(), 4], three(), z=three(return_state=True))  # type: ignore[call-arg]

    assert outer() == (3, [3, 4], (3,), {"z": 3})


def test_a_sub_flow_does_not_begin_when_a_result_that_it_needs_is_missing() -> None:
    @flow
    def inner(n: Any) -> str:
        return type(n).__name__

    @flow
    def outer() -> str:
        failing = broken.submit()
        with pytest.raises(UpstreamTaskError, match="no number"):
            inner(failing)
        return inner(allow_failure(failing))

    assert outer() == "ValueError"
    assert [run.flow for run in recent_runs()] == ["outer"]
    assert {node.name for node in run_view("last").nodes.values()} == {"broken", "inner"}


def test_a_result_that_does_not_fit_a_sub_flow_is_refused_by_name() -> None:
    @task
    def word() -> str:
        return "many"

    @flow(name="inner")
    def inner(n: int) -> int:
        return n

    @flow
    def outer() -> None:
        inner(word.submit())

    with pytest.raises(ParameterError, match="Parameter 'n' of flow 'inner' does not fit"):
        outer()


def test_a_positional_only_parameter_arrives() -> None:
    assert flow(positional)(7) == 7
    assert flow(positional)("7") == 7  # type: ignore[arg-type]


def test_parameters_of_a_run_are_recorded_with_their_defaults() -> None:
    flow(orders)("7")  # type: ignore[arg-type]
    assert recent_runs()[0].parameters == {"days": 7, "region": "north", "strict": False}
