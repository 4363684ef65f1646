"""Marks on the arguments of a task call, which say how flowbook is to treat them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class unmapped(Generic[R]):
    """Marks an argument of ``.map`` that is the same for every item."""

    value: R


@dataclass(frozen=True, slots=True)
class allow_failure(Generic[R]):
    """Marks a future, or a container of some, whose failure does not keep the task from running.

    The task is given the exception in place of the result.
    """

    value: R


@dataclass(frozen=True, slots=True)
class quote(Generic[R]):
    """Marks an argument that is passed on as it is, without a search for futures in it: for very large containers."""

    value: R
