"""States of the process that tasks change: a further run of the tasks goes on from what it was before their first one.

As Restart & Run All does: the working directory, environment variables, settings of libraries, and random states that a
plain cell has seeded. What somebody else has changed since is left alone.
"""

from __future__ import annotations

import locale
import logging
import os
import sys
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from typing import Any, NamedTuple, cast

from flowbook_magics.freshness import RANDOM, touched_by
from flowbook_magics.notebook_cells import NotebookCells
from flowbook_magics.random_states import random_states, set_random_states


class State(NamedTuple):
    """How to know a state again, and how to go back to it."""

    get: Callable[[], Any]
    set: Callable[[Any], None]


class ProcessStates:
    """What the states were before the runs of tasks that followed each other, and after the last of them."""

    def __init__(self) -> None:
        self._before: dict[str, Any] = {}
        self._after: dict[str, Any] = {}
        self._left: set[str] = set()  # what tasks have changed that are deleted since

    def left(self, touched: Collection[str]) -> None:
        """A task that changed these is deleted: what it made of them is no state to go on from."""
        self._left.update(touched)

    def begin(self, cells: NotebookCells, run: Collection[str]) -> None:
        """Tasks are to run: if these are all that change a state, go back to what it was before."""
        for name, state in STATES.items():
            now = _known(state)
            if name not in self._after or self._after[name] != now:
                self._before[name] = now
            elif self._before[name] is not None and self._goes_through(cells, run, name):
                with suppress(OSError):  # the folder is gone since
                    state.set(self._before[name])
                self._left.discard(name)

    def end(self) -> None:
        """They have run."""
        self._after = {name: _known(STATES[name]) for name in self._before}

    def _goes_through(self, cells: NotebookCells, run: Collection[str], name: str) -> bool:
        """Whether a run has all tasks that change a state; of a random state, if a plain cell before them seeds it."""
        users = [cell for cell in cells if name in touched_by(cells, cell)]
        tasks = {cell.graph_id for cell in users if cell.is_task}
        if not tasks and name not in self._left:
            return False
        return tasks <= set(run) and (name not in RANDOM or (bool(users) and not users[0].is_task))


def _known(state: State) -> Any:
    try:
        return state.get()
    except OSError:  # the working directory is gone
        return None


def _set_environ(variables: dict[str, str]) -> None:
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)


def _settings_of_pyplot() -> dict[str, Any]:
    matplotlib = sys.modules.get("matplotlib")
    return {} if matplotlib is None else dict(matplotlib.rcParams)


def _set_pyplot(settings: dict[str, Any]) -> None:
    if settings:
        import matplotlib

        dict.update(cast(dict[str, Any], matplotlib.rcParams), settings)  # they were valid before


def _options_of_pandas() -> dict[str, Any]:
    pandas = sys.modules.get("pandas")
    return {} if pandas is None else dict(_flat(pandas.options.d, ""))


def _flat(options: dict[str, Any], before: str) -> Iterator[tuple[str, Any]]:
    for name, value in options.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _set_pandas(options: dict[str, Any]) -> None:
    if not options:
        return
    import pandas

    now = _options_of_pandas()
    for name in options.keys() & now.keys():
        if options[name] != now[name]:
            pandas.set_option(name, options[name])


def _printing_of_numpy() -> dict[str, Any]:
    numpy = sys.modules.get("numpy")
    return {} if numpy is None else dict(numpy.get_printoptions())


def _set_numpy(options: dict[str, Any]) -> None:
    if options:
        import numpy

        numpy.set_printoptions(**options)


def _levels_of_loggers() -> dict[str, int]:
    loggers = {name: each for name, each in logging.root.manager.loggerDict.items() if isinstance(each, logging.Logger)}
    return {"": logging.root.level, **{name: logger.level for name, logger in loggers.items()}}


def _set_levels(levels: dict[str, int]) -> None:
    for name, level in levels.items():
        logging.getLogger(name or None).setLevel(level)


def _set_warnings(filters: list[Any]) -> None:
    warnings.filters[:] = filters  # type: ignore[index]
    warnings._filters_mutated()  # type: ignore[attr-defined]


def _set_locale(name: str) -> None:
    locale.setlocale(locale.LC_ALL, name)


def _set_path(folders: list[str]) -> None:
    sys.path[:] = folders


def _random(name: str) -> State:
    return State(lambda: random_states({name}).get(name), lambda state: set_random_states({name: state}))


STATES = {
    **{name: _random(name) for name in RANDOM},
    "cwd": State(os.getcwd, os.chdir),
    "environ": State(lambda: dict(os.environ), _set_environ),
    "pyplot": State(_settings_of_pyplot, _set_pyplot),
    "pandas.options": State(_options_of_pandas, _set_pandas),
    "numpy.options": State(_printing_of_numpy, _set_numpy),
    "warnings": State(lambda: list(warnings.filters), _set_warnings),
    "sys.path": State(lambda: list(sys.path), _set_path),
    "logging": State(_levels_of_loggers, _set_levels),
    "locale": State(lambda: locale.setlocale(locale.LC_ALL), _set_locale),
}
