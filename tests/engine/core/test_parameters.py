"""Parameters of flows: bound, coerced, refused with a sentence, and turned back into a call."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import BaseModel, Field

from flowbook import flow
from flowbook.core.parameters import as_call, bind
from flowbook.errors import ParameterError
from flowbook.runs import recent_runs


class Region(BaseModel):
    name: str
    limit: int = 10


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
        "Parameter 'items' of flow 'f'[1] does not fit: Input should be a valid integer, unable to parse string as an"
        " integer (it is 'x').",
        "items",
    ),
    (
        model,
        ({"name": "n", "limit": "all"},),
        {},
        "Parameter 'region' of flow 'f'['limit'] does not fit: Input should be a valid integer, unable to parse string"
        " as an integer (it is 'all').",
        "region",
    ),
    (positive, (0,), {}, "Parameter 'n' of flow 'f' does not fit: Input should be greater than 0 (it is 0).", "n"),
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


def everything(a: int, /, b: int = 2, *rest: int, c: int = 3, **more: int) -> tuple[Any, ...]:
    return a, b, rest, c, more


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


def test_a_positional_only_parameter_arrives() -> None:
    assert flow(positional)(7) == 7
    assert flow(positional)("7") == 7  # type: ignore[arg-type]


def test_parameters_of_a_run_are_recorded_with_their_defaults() -> None:
    flow(orders)("7")  # type: ignore[arg-type]
    assert recent_runs()[0].parameters == {"days": 7, "region": "north", "strict": False}
