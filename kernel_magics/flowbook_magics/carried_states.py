"""States of the process that go with a cell to another process, and come back if it has changed them there."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from flowbook_magics.process_states import STATES


class _Carried(NamedTuple):
    get: Callable[[], Any]
    set: Callable[[Any], None]
    difference: Callable[[Any, Any], Any] = lambda _, after: after
    """What to set where the state is `before` for it to be `after`."""


def carried_states(resources: Collection[str]) -> dict[str, Any]:
    """The states among these resources, for `set_carried` in another process. They can be compared and pickled."""
    states = {}
    for name in resources & _CARRIED.keys():
        with suppress(OSError):  # the working directory is gone
            states[name] = _CARRIED[name].get()
    return states


def set_carried(states: Mapping[str, Any]) -> None:
    """Have these states here, as far as they can be had."""
    for name, state in states.items():
        with suppress(OSError):  # this machine has no such folder
            _CARRIED[name].set(state)


def changes_since(before: Mapping[str, Any]) -> dict[str, Any]:
    """What to give `set_carried` where the states are as they were when `carried_states` gave `before`."""
    now = carried_states(before.keys())
    return {
        name: _CARRIED[name].difference(before[name], state) for name, state in now.items() if state != before[name]
    }


_AT_FIRST = dict(os.environ)
_changed = set[str]()


def _variables() -> dict[str, str | None]:
    """The environment variables that have been changed in this process; what others have is theirs."""
    _changed.update(_difference(_AT_FIRST, os.environ))
    return {name: os.environ.get(name) for name in _changed}


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    return {name: after.get(name) for name in {*before, *after} if before.get(name) != after.get(name)}


def _set_variables(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _add_folders(path: list[str]) -> None:
    for index, folder in enumerate(path):
        if folder not in sys.path:
            sys.path.insert(index, folder)


def _decimal_context() -> Any:
    decimal = sys.modules.get("decimal")
    return None if decimal is None else decimal.getcontext().__reduce__()


def _set_decimal_context(reduced: Any) -> None:
    if reduced is not None:
        import decimal

        make, parts = reduced
        decimal.setcontext(make(*parts))


def _errors_of_numpy() -> Any:
    numpy = sys.modules.get("numpy")
    return None if numpy is None else {**STATES["numpy.options"].get(), "": numpy.geterr()}


def _set_numpy(options: Any) -> None:
    if options is not None:
        import numpy

        numpy.set_printoptions(**{name: value for name, value in options.items() if name})
        numpy.seterr(**options[""])


def _settings_of_sklearn() -> Any:
    sklearn = sys.modules.get("sklearn")
    return None if sklearn is None else sklearn.get_config()


def _set_sklearn(settings: Any) -> None:
    if settings is not None:
        importlib.import_module("sklearn").set_config(**settings)


def _settings_of_pyplot() -> dict[str, Any]:
    settings: dict[str, Any] = STATES["pyplot"].get()
    return {name: value for name, value in settings.items() if name not in _OF_PROCESS}


_OF_PROCESS = ("backend", "backend_fallback", "interactive")
"""Settings of matplotlib that say how this very process draws."""
_CARRIED = {
    **{name: _Carried(*STATES[name]) for name in ("cwd", "locale", "logging", "pandas.options", "warnings")},
    "pyplot": _Carried(_settings_of_pyplot, STATES["pyplot"].set),
    "environ": _Carried(_variables, _set_variables, _difference),
    "sys.path": _Carried(lambda: list(sys.path), _add_folders),
    "decimal": _Carried(_decimal_context, _set_decimal_context),
    "numpy.options": _Carried(_errors_of_numpy, _set_numpy),
    "sklearn.options": _Carried(_settings_of_sklearn, _set_sklearn),
}
