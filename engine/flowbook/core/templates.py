"""Placeholders in the parameters of a deployment, such as ``{{ scheduled_time }}``.

They are replaced by name, in texts at any depth, when a run is made. Nothing is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flowbook.errors import ParameterError, did_you_mean

_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][\w.]*)\s*\}\}")
_MOMENTS = ("data_interval_start", "data_interval_end", "scheduled_time")

#: What a placeholder may name. With ``.date`` a moment gives its date alone, in the zone of the schedule.
NAMES = (*_MOMENTS, *(f"{name}.date" for name in _MOMENTS), "run_id")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunMoment:
    """When a run is due, for placeholders. `previous` gives the fire before, and is only asked where it is needed."""

    run_id: str
    scheduled: datetime
    previous: Callable[[], datetime]

    def value_of(self, name: str) -> str:
        """The text that stands for a placeholder of this name."""
        if name == "run_id":
            return self.run_id
        moment = self.previous() if name.startswith("data_interval_start") else self.scheduled
        return moment.date().isoformat() if name.endswith(".date") else moment.isoformat()


def has_placeholder(value: Any) -> bool:
    """Whether there is any placeholder in `value`, at any depth."""
    if isinstance(value, str):
        return _PLACEHOLDER.search(value) is not None
    if isinstance(value, Mapping):
        return any(map(has_placeholder, value.values()))
    return isinstance(value, list | tuple) and any(map(has_placeholder, value))


def is_placeholder(value: Any) -> bool:
    """Whether `value` is one placeholder and nothing else."""
    return isinstance(value, str) and _PLACEHOLDER.fullmatch(value.strip()) is not None


def check_placeholders(parameters: Mapping[str, Any], title: str) -> None:
    """Raise ParameterError for a placeholder whose name is unknown."""
    for field, value in parameters.items():
        for name in _names_in(value):
            if name not in NAMES:
                raise ParameterError(
                    f"Parameter {field!r} of {title} has the placeholder {{{{ {name} }}}}, which is unknown."
                    f"{did_you_mean(name, NAMES)} There are {', '.join(NAMES)}.",
                    field=field,
                )


def as_date(value: str) -> str:
    """The placeholder `value` for a parameter that is a date."""
    name = _names_in(value)[0]
    return f"{{{{ {name}.date }}}}" if name in _MOMENTS else value


def render(value: Any, moment: RunMoment) -> Any:
    """`value` with all placeholders replaced."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda found: moment.value_of(found[1]) if found[1] in NAMES else found[0], value)
    if isinstance(value, Mapping):
        return {key: render(member, moment) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [render(member, moment) for member in value]
    return value


def _names_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return _PLACEHOLDER.findall(value)
    members = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [name for member in members for name in _names_in(member)]
