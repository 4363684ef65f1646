"""Input for paused flow runs: models of what a person is asked for."""

from __future__ import annotations

from copy import copy
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, create_model

from flowbook.errors import refuse_unknown

__all__ = ["RunInput"]


class RunInput(BaseModel):
    """A pydantic model of what a paused flow run asks for.

    ::

        class Approval(RunInput):
            approved: bool
            comment: str = ""

        answer = pause_flow_run(wait_for_input=Approval)
    """

    model_config = ConfigDict(extra="forbid")

    _description: ClassVar[str | None] = None

    @classmethod
    def with_initial_data(cls, description: str | None = None, **defaults: Any) -> type[Self]:
        """The same model with other defaults, and a description in Markdown that is shown above its form.

        Raises UsageError for a default of a field that the model does not have.
        """
        refuse_unknown(f"{cls.__name__}.with_initial_data()", defaults, cls.model_fields)
        changed: dict[str, Any] = {}
        for name, value in defaults.items():
            field = copy(cls.model_fields[name])
            field.default, field.default_factory = value, None
            changed[name] = (field.annotation, field)
        made: type[Self] = create_model(cls.__name__, __base__=cls, __module__=cls.__module__, **changed)
        if description is not None:
            made._description = description
        return made
