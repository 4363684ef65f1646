"""What a paused flow run is to be told: the fields of a pydantic model, and whether an input fits them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowbook.errors import ParameterError, UsageError

if TYPE_CHECKING:
    from pydantic import BaseModel

_LONGEST = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One field, for whoever asks a person. `default` is the text that stands in it at first, None if there is none."""

    name: str
    title: str
    description: str | None
    required: bool
    default: str | None
    choices: tuple[str, ...] = ()
    """What may be chosen; nothing if anything may be written."""


class Asked:
    """The input of one pause. `kind` is a pydantic model, or a type for a model with one field, ``value``."""

    def __init__(self, kind: Any) -> None:
        from pydantic import BaseModel, create_model
        from pydantic.errors import PydanticUserError

        self._is_model = isinstance(kind, type) and issubclass(kind, BaseModel)
        try:
            self.model: type[BaseModel] = kind if self._is_model else create_model("Input", value=(kind, ...))
        except PydanticUserError as error:
            raise UsageError(
                f"wait_for_input is {kind!r}, which is no type of a value: give a type such as int, or a class that "
                f"inherits from flowbook.input.RunInput ({str(error).splitlines()[0]})."
            ) from None
        self.description: str | None = getattr(self.model, "_description", None)

    def value_of(self, given: Mapping[str, Any], title: str, *, texts: bool = False) -> Any:
        """What `given` is as the model, or as the type; raises ParameterError, which names the field.

        With `texts` the values are what a person typed: JSON where the field does not take the text as it is.
        """
        from pydantic import ValidationError

        values = {name: self._of_text(name, text) for name, text in given.items()} if texts else dict(given)
        try:
            found = self.model.model_validate(values)
        except ValidationError as error:
            raise _problem(error, title, list(self.model.model_fields)) from None
        return found if self._is_model else found.value  # type: ignore[attr-defined]

    def fields(self) -> tuple[Field, ...]:
        """The fields in the order of the model."""
        schema = self.model.model_json_schema()
        return tuple(
            self._field(name, said, schema.get("$defs", {})) for name, said in schema.get("properties", {}).items()
        )

    def schema(self) -> dict[str, Any]:
        """The JSON schema of the input, for the record."""
        plain: dict[str, Any] = json.loads(json.dumps(self.model.model_json_schema(), default=str))
        return plain

    def _field(self, name: str, said: Mapping[str, Any], definitions: Mapping[str, Any]) -> Field:
        known = self.model.model_fields[name]
        return Field(
            name=name,
            title=str(said.get("title") or name),
            description=known.description,
            required=known.is_required(),
            default=None if known.is_required() else _as_text(known.get_default(call_default_factory=True)),
            choices=_choices(said, definitions),
        )

    def _of_text(self, name: str, text: Any) -> Any:
        from pydantic import TypeAdapter, ValidationError

        known = self.model.model_fields.get(name)
        if known is None or not isinstance(text, str):
            return text
        try:
            TypeAdapter(known.rebuild_annotation()).validate_python(text, strict=True)
        except ValidationError:
            try:
                return json.loads(text)
            except ValueError:
                pass
        return text


def _choices(said: Mapping[str, Any], definitions: Mapping[str, Any]) -> tuple[str, ...]:
    """The values that a field may have, if its schema lists them: an enumeration, a literal, a yes or no."""
    reference = said.get("$ref") or next((part["$ref"] for part in said.get("allOf", ()) if "$ref" in part), None)
    if reference:
        return _choices(definitions.get(str(reference).rpartition("/")[2], {}), {})
    if said.get("type") == "boolean":
        return ("true", "false")
    listed = [said["const"]] if "const" in said else said.get("enum", ())
    return tuple(_as_text(value) or "" for value in listed)


def _as_text(value: Any) -> str | None:
    """A value as a person would type it."""
    if value is None or isinstance(value, str):
        return value
    from pydantic_core import to_json

    text = to_json(value, fallback=str).decode()
    return str(json.loads(text)) if text.startswith('"') else text


def _problem(error: Any, title: str, fields: list[str]) -> ParameterError:
    """The first thing that does not fit, as a sentence."""
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"]]
    field = path[0] if path else None
    if first["type"] == "missing":
        return ParameterError(f"The input of {title} needs the field {'.'.join(path)!r}.", field=field)
    if first["type"] == "extra_forbidden":
        has = ", ".join(map(repr, fields)) or "none"
        return ParameterError(f"The input of {title} has no field {field!r}; it has {has}.", field=field)
    shown = repr(first.get("input"))
    shown = shown if len(shown) <= _LONGEST else shown[: _LONGEST - 3] + "..."
    said = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    what = f"Field {'.'.join(path)!r} of the input of {title}" if path else f"The input of {title}"
    return ParameterError(f"{what} does not fit: {said} (it is {shown}).", field=field)
