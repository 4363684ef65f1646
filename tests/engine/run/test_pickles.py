"""What a notebook or a main script defines is the same in another process as it was in its own."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import dataclass
from textwrap import dedent
from typing import Any

import pytest

from flowbook.run.pickles import dumps

pytestmark = pytest.mark.slow


def sent(source: str) -> Any:
    """What `it` is in a main script, when it has come to this process."""
    send = "\nimport sys\nfrom flowbook.run.pickles import dumps\nsys.stdout.buffer.write(dumps(it))"
    ran = subprocess.run([sys.executable, "-c", dedent(source) + send], capture_output=True, check=True)
    return pickle.loads(ran.stdout)


def test_functions_share_their_variables() -> None:
    bump, get = sent("""
        def make():
            n = 0
            def bump():
                nonlocal n
                n += 1
            return bump, lambda: n
        it = make()
    """)
    bump()
    assert get() == 1


def test_a_function_may_call_itself_and_lack_a_variable() -> None:
    factorial, later = sent("""
        def make():
            def factorial(n):
                return n * factorial(n - 1) if n else 1
            def later():
                return missing
            if factorial is None:
                missing = 1
            return factorial, later
        it = make()
    """)
    assert factorial(4) == 24
    with pytest.raises(NameError, match="missing"):
        later()


def test_a_function_with_a_cache_has_an_empty_one() -> None:
    fib = sent("""
        from functools import lru_cache
        @lru_cache(maxsize=7)
        def it(n):
            return n if n < 2 else it(n - 1) + it(n - 2)
        it(5)
    """)
    assert (fib.cache_info().currsize, fib.cache_parameters()["maxsize"]) == (0, 7)
    assert fib(20) == 6765
    assert fib.__wrapped__.__globals__["it"] is fib


def test_objects_with_slots_have_no_other_attributes() -> None:
    value = sent("""
        from dataclasses import dataclass
        @dataclass(slots=True)
        class Point:
            x: int
            y: int = 2
        it = Point(1)
    """)
    assert (value.x, value.y) == (1, 2)
    assert not hasattr(value, "__dict__")
    assert pickle.loads(dumps(value)) == value


def test_fields_of_a_dataclass_are_inherited() -> None:
    base = sent("""
        from dataclasses import dataclass, field
        @dataclass
        class it:
            tags: list = field(default_factory=list)
    """)

    @dataclass
    class More(base):  # type: ignore[misc,valid-type]
        n: int = 1

    assert (More().tags, More().n) == ([], 1)


def test_cached_properties_and_functions_by_type() -> None:
    value, area = sent("""
        from functools import cached_property, singledispatch
        class Box:
            @cached_property
            def size(self):
                return 3
        @singledispatch
        def area(value):
            return 0
        @area.register
        def _(value: int):
            return value + 1
        area(1)
        it = Box(), area
    """)
    assert (value.size, vars(value)) == (3, {"size": 3})
    assert (area(1), area("x")) == (2, 0)


def test_containers_with_weak_references() -> None:
    keys, some, key = sent("""
        from weakref import WeakKeyDictionary, WeakSet
        class Key:
            pass
        key = Key()
        it = WeakKeyDictionary({key: 1}), WeakSet([key]), key
    """)
    assert keys[key] == 1
    assert list(some) == [key]


def test_what_the_users_code_does_when_a_class_is_defined_is_not_done_again() -> None:
    names, leaf = sent("""
        class Meta(type):
            def __new__(mcs, name, bases, namespace):
                names.append(name)
                return super().__new__(mcs, name, bases, namespace)
            def label(cls):
                return cls.__name__.lower()
        class Base:
            def __init_subclass__(cls):
                names.append("subclass " + cls.__name__)
        names = []
        class Root(metaclass=Meta):
            pass
        class Leaf(Base, Root):
            pass
        it = names, Leaf
    """)
    assert names == ["Root", "subclass Leaf", "Leaf"] or names == ["Root", "Leaf", "subclass Leaf"]
    assert leaf.label() == "leaf"
    assert [each.__name__ for each in leaf.__mro__] == ["Leaf", "Base", "Root", "object"]

    class Another(leaf):  # type: ignore[misc,valid-type]
        pass

    assert len(names) == 5, "it is done for classes that are defined here"
