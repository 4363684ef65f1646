"""What changed from one version of a deployment to the next, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from typing import Any

_SHOWN = 3
_MISSING = object()


def changes(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[str]:
    """What is different in the manifest `after`: ``the code``, ``parameters day``, ``concurrency_limit 1 → 2``, …"""
    if after.get("copy_of") is not None:
        return [f"a copy of version {after['copy_of']}"]
    if before is None:
        return ["the first version"]
    found = []
    if before["snapshot"] != after["snapshot"]:
        found.append("the code")
    if before["source"] != after["source"]:
        found.append(f"the file: {after['source'] or 'none, the flow itself was kept'}")
    for title, key in (("parameters", "parameters"), ("local files", "local_imports"), ("data files", "data_files")):
        if names := _differing(before.get(key, {}), after.get(key, {})):
            found.append(f"{title} {_some(names)}")
    if before["schedules"] != after["schedules"]:
        found.append("the schedules")
    found += _settings(before.get("settings", {}), after.get("settings", {}))
    found += _settings(
        *(
            {f"{name} timeout": f"{length:g} s" for name, length in each.get("timeouts", {}).items()}
            for each in (before, after)
        )
    )
    if before.get("job_variables", {}) != after.get("job_variables", {}):
        found.append("job variables")
    if before.get("lock") != after.get("lock"):
        found.append("the lock")
    if before["python"] != after["python"]:
        found.append(f"Python {before['python']} → {after['python']}")
    if names := _differing(_versions(before), _versions(after)):
        found.append(f"distributions {_some(names)}")
    return found or ["nothing"]


def changed_cells(before: Mapping[str, Any], after: Mapping[str, Any]) -> int | None:
    """How many code cells say something else, are new or are gone; None where their code is not understood."""
    old, new = ([cell.get("hash") for cell in manifest["cells"]] for manifest in (before, after))
    if not old or not new or None in (*old, *new):
        return None if before["snapshot"] != after["snapshot"] else 0
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return sum(max(i2 - i1, j2 - j1) for kind, i1, i2, j1, j2 in blocks if kind != "equal")


def _settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} {before.get(name)} → {after.get(name)}" if name != "description" else "the description"
        for name in _differing(before, after)
    ]


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    names = dict.fromkeys([*before, *after])
    return [name for name in names if before.get(name, _MISSING) != after.get(name, _MISSING)]


def _versions(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {each["name"]: each["version"] for each in manifest.get("distributions", [])}


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = len(listed) - _SHOWN
    return ", ".join(listed[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
