"""The states of the random generators that the whole process shares, by the names of their resources."""

from __future__ import annotations

import ctypes
import pickle
import random
import sys
import threading
import time
from collections.abc import Mapping, Set
from typing import Any

_PYTHON, _NUMPY = "random", "numpy.random"
_OF_MT19937 = 625 * 4  # bytes: 624 words and the place among them
_JUST_NOW = 0.001  # seconds: a look takes 20 µs, and cells that follow each other end and begin at once


class DrawnNumbers:
    """Which of the cells that run beside each other have drawn numbers.

    That is looked up whenever one begins or ends. If a generator has moved on, those did it that are known to use it;
    if none is, each that ran may have.
    """

    def __init__(self) -> None:
        self._noting = threading.Lock()
        self._marks: dict[str, Any] = {}
        self._noted = 0.0
        self._running: dict[object, tuple[Set[str], set[str]]] = {}

    def begin(self, run: object, known: Set[str]) -> None:
        """A cell begins a run; `known` are the resources that it is known to use."""
        with self._noting:
            if time.perf_counter() - self._noted > _JUST_NOW:
                self._note()
            self._running[run] = known, set()

    def end(self, run: object) -> frozenset[str]:
        """A run ends; the generators from which it may have drawn although that is not known."""
        with self._noting:
            self._note()
            return frozenset(self._running.pop(run)[1])

    def _note(self) -> None:
        now = _marks()
        moved = [name for name, mark in self._marks.items() if now.get(name, mark) != mark]
        self._marks, self._noted = now, time.perf_counter()
        for name in moved:
            if not any(name in known for known, _ in self._running.values()):
                for _, found in self._running.values():
                    found.add(name)


drawn_numbers = DrawnNumbers()


def _marks() -> dict[str, Any]:
    """For each generator that the process has by now what differs when it has given a number."""
    marks: dict[str, Any] = {}
    if "distributed" not in sys.modules:  # its own threads draw, too
        marks[_PYTHON] = random.getstate()
    numpy = _of_numpy()
    if numpy is not None:
        generator = numpy._bit_generator
        is_usual = type(generator).__name__ == "MT19937"  # its `state` takes 50 µs
        address = generator.ctypes.state_address
        marks[_NUMPY] = ctypes.string_at(address, _OF_MT19937) if is_usual else repr(generator.state)
    return marks


def random_states(resources: Set[str]) -> dict[str, Any]:
    """The states of the generators among these resources, to which `set_random_states` can go back.

    They can be compared and pickled.
    """
    states: dict[str, Any] = {}
    if _PYTHON in resources:
        states[_PYTHON] = random.getstate()
    if _NUMPY in resources and (numpy := _of_numpy()) is not None:
        states[_NUMPY] = pickle.dumps(numpy.get_state(legacy=False))
    return states


def set_random_states(states: Mapping[str, Any]) -> None:
    """Have generators go on from these states."""
    if _PYTHON in states:
        random.setstate(states[_PYTHON])
    if states.get(_NUMPY) is not None:
        import numpy.random

        numpy.random.set_state(pickle.loads(states[_NUMPY]))  # noqa: S301 - of our own


def _of_numpy() -> Any:
    """NumPy's global generator, if NumPy is imported."""
    module = sys.modules.get("numpy.random.mtrand")
    return getattr(module, "_rand", None)  # it is there last
