"""Names of result files, filled in from a template of the user; a name can never lead out of its folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from string import Formatter
from typing import Any

from flowbook.errors import UsageError, did_you_mean

_ROOTS = ("flow_run", "task_run", "parameters")


def check_template(template: object, title: str, parameters: Iterable[str] | None) -> str:
    """The template, if it can be meant; `parameters` are those it may name, None if that is not known.

    Raises UsageError.
    """
    if not isinstance(template, str) or not template:
        raise UsageError(f"result_storage_key of {title} is {template!r}; it must be a text that is not empty.")
    try:
        fields = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise UsageError(f"result_storage_key of {title} is {template!r}, which is no template: {error}.") from None
    known = None if parameters is None else tuple(parameters)
    for field in fields:
        root, _, rest = field.partition("[") if "[" in field else field.partition(".")
        if root.partition(".")[0] not in _ROOTS:
            raise UsageError(
                f"result_storage_key of {title} names {field!r}; it may name flow_run, task_run and parameters, "
                "as in '{flow_run.name}-{parameters[day]}.json'."
            )
        wanted = rest.partition("]")[0]
        if root == "parameters" and "[" in field and known is not None and wanted not in known:
            raise UsageError(
                f"result_storage_key of {title} names the parameter {wanted!r}, which it does not have."
                f"{did_you_mean(wanted, known)}"
            )
    return template


def storage_name(template: str, *, flow_run: Any, task_run: Any, parameters: Mapping[str, Any]) -> str:
    """The name that the template gives to a result. Raises UsageError if it cannot be filled in, or is not safe."""
    values = {"task_run": task_run, "parameters": parameters}
    if flow_run is not None:
        values["flow_run"] = flow_run
    try:
        name = _Filled().vformat(template, (), values)
    except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
        if isinstance(error, UsageError):
            raise
        outside = " The task was called outside of a flow." if flow_run is None and "flow_run" in str(error) else ""
        raise UsageError(f"result_storage_key {template!r} cannot be filled in: {error!r}.{outside}") from None
    return safe_name(name)


def safe_name(name: str) -> str:
    """`name`, if it is the name of a file inside a folder, ``report.json`` or ``2024/report.json``.

    Raises UsageError if it leads elsewhere, or no file can have it.
    """
    parts = PurePosixPath(name).parts
    bad = (
        not parts
        or name.startswith(("/", "~"))
        or name.endswith("/")
        or any(part in (".", "..") for part in name.split("/"))
        or any(ch in "\\:" or not ch.isprintable() for ch in name)
        or any(len(part.encode("utf-8", "surrogateescape")) > 200 for part in parts)
    )
    if bad:
        raise UsageError(
            f"{name!r} cannot be the name of a stored result: a name is one of a file inside the folder of results, "
            "without '..', '\\' and ':'."
        )
    return "/".join(parts)


class _Filled(Formatter):
    """Fills in a template; what is filled in can be no more than a part of a file's name."""

    def format_field(self, value: Any, format_spec: str) -> str:
        text: str = super().format_field(value, format_spec)
        if "/" in text or text in (".", ".."):
            raise UsageError(
                f"result_storage_key would put {text!r} into the name of a file, where it means another folder."
            )
        return text
