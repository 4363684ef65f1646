"""Tasks and flows in class bodies: methods, class methods and static methods."""

from __future__ import annotations

import asyncio
import functools
import inspect
import pickle
import sys
import timeit
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from flowbook import Flow, Task, flow, task, unmapped
from flowbook.cache_policies import INPUTS
from flowbook.core.records import TaskRun
from flowbook.errors import ParameterError, UsageError
from flowbook.runs import recent_runs, run_view


class Shop:
    def __init__(self, rate: int) -> None:
        self.rate = rate

    @task
    def price(self, n: int) -> int:
        """What n of them cost."""
        return self.rate * n

    @task
    async def later(self, n: int) -> int:
        await asyncio.sleep(0)
        return self.rate * n

    @task
    def prices(self, n: int) -> Iterator[int]:
        for i in range(n):
            yield self.rate * i

    @task
    async def later_prices(self, n: int) -> AsyncIterator[int]:
        for i in range(n):
            yield self.rate * i

    @task
    @classmethod
    def named(cls, n: int) -> tuple[str, int]:
        return cls.__name__, n

    @task
    @staticmethod
    def doubled(n: int) -> int:
        return 2 * n

    @staticmethod
    @task
    def tripled(n: int) -> int:
        return 3 * n

    @flow
    def sale(self, n: int, off: int = 0) -> int:
        return self.price(n) - off

    @flow
    async def later_sale(self, n: int) -> int:
        return await self.later(n)

    @flow
    def sales(self, n: int) -> Iterator[int]:
        yield from self.prices(n)

    @flow
    @classmethod
    def report(cls, n: int) -> tuple[str, int]:
        return cls.named(n)

    @flow
    @staticmethod
    def total(n: int) -> int:
        return Shop.doubled(n)


class Cheap(Shop):
    @task
    def price(self, n: int) -> int:
        return super().price(n) - 1


shop = Shop(10)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: shop.price(2), 20),
        (lambda: shop.price(n=2), 20),
        (lambda: Shop.price(shop, 2), 20),
        (lambda: asyncio.run(shop.later(2)), 20),
        (lambda: list(shop.prices(3)), [0, 10, 20]),
        (lambda: asyncio.run(collect(shop.later_prices(3))), [0, 10, 20]),
        (lambda: shop.named(2), ("Shop", 2)),
        (lambda: Shop.named(2), ("Shop", 2)),
        (lambda: Cheap(1).named(2), ("Cheap", 2)),
        (lambda: Cheap.named(2), ("Cheap", 2)),
        (lambda: shop.doubled(2), 4),
        (lambda: Shop.doubled(2), 4),
        (lambda: shop.tripled(2), 6),
        (lambda: Shop.tripled(2), 6),
        (lambda: Cheap(10).price(2), 19),
        (lambda: shop.sale(2, off=1), 19),
        (lambda: Shop.sale(shop, 2), 20),
        (lambda: asyncio.run(shop.later_sale(2)), 20),
        (lambda: list(shop.sales(3)), [0, 10, 20]),
        (lambda: Cheap.report(2), ("Cheap", 2)),
        (lambda: shop.total(2), 4),
    ],
    ids=range(21),
)
def test_a_method_is_called_as_python_calls_methods(call: Any, expected: Any) -> None:
    assert call() == expected


async def collect(values: Any) -> list[Any]:
    return [value async for value in values]


def test_methods_are_submitted_and_mapped() -> None:
    @flow
    def pipeline() -> list[Any]:
        return [
            shop.price.submit(2).result(),
            shop.price.map([1, 2]).result(),
            shop.price.map(n=[3]).result(),
            shop.later.submit(2).result(),
            shop.prices.submit(3).result(),
            shop.later_prices.submit(3).result(),
            Cheap.named.submit(2).result(),
            Cheap.named.map([1, 2]).result(),
            Shop.doubled.map([1, 2]).result(),
            shop.tripled.submit(2).result(),
            shop.price.delay(2).result(),
        ]

    assert pipeline() == [
        20,
        [10, 20],
        [30],
        20,
        [0, 10, 20],
        [0, 10, 20],
        ("Cheap", 2),
        [("Cheap", 1), ("Cheap", 2)],
        [2, 4],
        6,
        20,
    ]


def test_an_instance_that_is_a_list_is_the_same_for_all_items() -> None:
    class Rates(list[int]):
        @task
        def price(self, n: int) -> int:
            return sum(self) * n

    @flow
    def pipeline() -> list[int]:
        return Rates([1, 2, 3]).price.map([1, 2]).result()  # type: ignore[no-any-return]

    assert pipeline() == [6, 12]


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="a classmethod leaves what it wraps alone")
def test_a_task_below_classmethod_is_submitted_with_its_class() -> None:
    class Below:
        @classmethod
        @task
        def named(cls, n: int) -> tuple[str, int]:
            return cls.__name__, n

    @flow
    def pipeline() -> list[Any]:
        return [Below.named(1), Below.named.submit(2).result(), Below().named.map([3]).result()]  # type: ignore[attr-defined]

    assert pipeline() == [("Below", 1), ("Below", 2), [("Below", 3)]]


def test_options_of_a_method_can_be_changed() -> None:
    @flow
    def pipeline() -> list[Any]:
        return [
            shop.price.with_options(name="dear")(2),
            Cheap.named.with_options(name="said")(2),
            Shop.__dict__["named"].with_options(name="class").__get__(None, Cheap)(2),
            Shop.__dict__["doubled"].with_options(name="static").__get__(shop, Shop)(2),
        ]

    assert pipeline() == [20, ("Cheap", 2), ("Cheap", 2), 4]
    assert {node.name for node in run_view("last").nodes.values()} == {"dear", "said", "class", "static"}
    assert shop.sale.with_options(name="winter")(2) == 20
    assert recent_runs()[0].flow == "winter"


def test_it_looks_like_the_method_that_it_is() -> None:
    assert isinstance(shop.price, Task)
    assert isinstance(shop.sale, Flow)
    assert shop.price.name == "price"
    assert shop.price.description == "What n of them cost."
    assert shop.price.fn(2) == 20
    assert Cheap.named.fn(2) == ("Cheap", 2)
    assert list(inspect.signature(shop.price).parameters) == ["n"]
    assert list(inspect.signature(shop.sale).parameters) == ["n", "off"]
    assert list(inspect.signature(Shop.price).parameters) == ["self", "n"]


def test_a_hook_is_told_of_the_instance_with_the_other_arguments() -> None:
    told: list[TaskRun] = []

    class Counted:
        @task(on_completion=[lambda task, run, state: told.append(run)], task_run_name="{self.label}-{n}")
        def count(self, n: int) -> int:
            return n

        label = "counted"

    counted = Counted()
    counted.count(3)
    assert told[0].parameters == {"self": counted, "n": 3}
    assert told[0].name == "counted-3"


def test_hooks_that_are_added_to_the_task_of_a_class_are_for_all_instances() -> None:
    said: list[str] = []

    class Hooked:
        @task
        def work(self) -> int:
            return 1

        @work.on_completion
        def tell(task: Any, run: Any, state: Any) -> None:
            said.append(state.name)

    Hooked().work()
    assert said == ["Completed"]


def test_what_an_instance_made_is_an_edge_when_the_instance_is_passed_on() -> None:
    @task
    def open_shop() -> Shop:
        return Shop(3)

    @flow
    def pipeline() -> int:
        return open_shop().price(2)

    assert pipeline() == 6
    found = {node.name: node for node in run_view("last").nodes.values()}
    assert found["price"].upstream == (found["open_shop"].id,)


def test_a_cached_method_sees_what_its_instance_holds() -> None:
    calls: list[int] = []

    @dataclass
    class Rate:
        rate: int

        @task(cache_policy=INPUTS)
        def price(self, n: int) -> int:
            calls.append(n)
            return self.rate * n

    assert [Rate(10).price(2), Rate(10).price(2), Rate(20).price(2)] == [20, 20, 40]
    assert calls == [2, 2]


# Parameters of flows


def test_the_instance_is_no_parameter_of_a_flow_run() -> None:
    shop.sale("2")  # type: ignore[arg-type]
    assert recent_runs()[0].parameters == {"n": 2, "off": 0}
    with pytest.raises(ParameterError, match=r"Flow 'sale' has no parameter 'self'\. It has 'n', 'off'\."):
        shop.sale(2, self=3)
    with pytest.raises(ParameterError, match="Parameter 'n' of flow 'sale' does not fit"):
        shop.sale("many")  # type: ignore[arg-type]
    assert shop.sale.validate_parameters({"n": "3"}) == {"n": 3, "off": 0}


def test_the_instance_given_to_the_flow_of_a_class_is_recorded_in_words() -> None:
    Shop.sale(shop, 2)
    assert recent_runs()[0].parameters == {"self": "<Shop>", "n": 2, "off": 0}


def test_a_class_has_a_flow_of_its_own_name_per_instance() -> None:
    first, second = Shop(1), Shop(2)
    taken = first.sale, second.sale
    assert [one(5) for one in taken] == [5, 10]


# What is no method


def test_callables_that_python_does_not_bind_are_not_bound() -> None:
    class Doubler:
        def __call__(self, n: int) -> int:
            return 2 * n

    class Holder:
        doubled = task(Doubler())
        size = task(len)
        added = task(functools.partial(lambda a, b: a + b, 1))
        bound = shop.price
        bound_function = task(shop.price.fn)

    holder = Holder()
    assert holder.doubled(2) == 4
    assert holder.size([1, 2]) == 2
    assert holder.added(2) == 3
    assert holder.bound(2) == 20
    assert holder.bound_function(2) == 20


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(UsageError, match="@task needs a function, not 3"):
        task(3)  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="@flow needs a function, not <property"):
        flow(property(lambda self: 1))  # type: ignore[call-overload]


def test_a_method_can_be_pickled_with_its_instance() -> None:
    cloudpickle = pytest.importorskip("cloudpickle")
    assert pickle.loads(cloudpickle.dumps(shop.price)).fn(2) == 20


def test_unmapped_keeps_its_meaning_for_methods() -> None:
    class Grid:
        @task
        def cell(self, x: int, y: int) -> tuple[int, int]:
            return x, y

    @flow
    def pipeline() -> list[tuple[int, int]]:
        return Grid().cell.map([1, 2], unmapped(0)).result()  # type: ignore[no-any-return]

    assert pipeline() == [(1, 0), (2, 0)]


def test_taking_a_method_from_an_instance_is_cheap() -> None:
    rounds = 2000
    best = min(timeit.repeat(lambda: shop.price, number=rounds, repeat=5)) / rounds
    assert best < 20e-6, f"{best * 1e6:.1f} µs"  # 1 µs here; a new task would take 30
