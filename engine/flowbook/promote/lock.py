"""The lock of a version: all distributions of the environment it was deployed from, as requirements for pip or uv.

It is complete, so it is installed without looking for dependencies. flowbook itself is not in it: who executes a run
has to speak with the database as its worker does, so the worker gives its own.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from typing import Any

from flowbook.errors import NotFound
from flowbook.store.database import Database
from flowbook.store.deployments import find_deployment, manifest_of
from flowbook.store.snapshots import load_snapshot, sha_of

_NAMED = re.compile(r"^(Name|Version):(.*)$", re.MULTILINE)
_LEFT_OUT = frozenset({"flowbook", "pip"})  # an environment has a pip of its own


@dataclass(frozen=True, kw_only=True, slots=True)
class Lock:
    """The text of a lock, and a warning for each distribution that cannot be installed from it on other machines."""

    content: bytes
    warnings: tuple[str, ...]

    @property
    def sha(self) -> str:
        """What it is kept under."""
        return sha_of(self.content)


def make_lock(found: Iterable[Distribution] | None = None, python: str | None = None) -> Lock:
    """The lock of the distributions `found` for a version of Python; by default of what this process runs in."""
    lines: dict[str, str] = {}
    warnings: dict[str, str] = {}
    for each in distributions() if found is None else found:
        name, number = name_and_version(each)
        key = _key(name)
        if not key or key in _LEFT_OUT or key in lines:  # the first one of a name is what is imported
            continue
        direct = direct_url(each)
        lines[key] = requirement(name, number, direct)
        if direct.get("url", "").startswith("file:"):
            warnings[key] = _elsewhere(name, direct)
    head = f"# Python {python or platform.python_version()}"
    text = "\n".join([head, *(lines[key] for key in sorted(lines))]) + "\n"
    return Lock(content=text.encode(), warnings=tuple(warnings[key] for key in sorted(warnings)))


def name_and_version(distribution: Distribution) -> tuple[str, str]:
    """What its metadata says first; empty texts if it is none. `Distribution` itself parses all of it, each time."""
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or distribution.read_text("") or ""
    head, _, _ = text.partition("\n\n")  # below it is the description, which may be long
    said = {key: value.strip() for key, value in reversed(_NAMED.findall(head))}  # the first of each counts
    return said.get("Name", ""), said.get("Version", "")


def direct_url(distribution: Distribution) -> dict[str, Any]:
    """Where a distribution is from, if not from an index: what ``direct_url.json`` of PEP 610 says."""
    try:
        found = json.loads(distribution.read_text("direct_url.json") or "{}")
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def has_requirement(lock: bytes, name: str) -> bool:
    """Whether a lock names the distribution."""
    return any(_key(re.split("==| @ ", line)[0]) == name for line in lock.decode().splitlines())


def requirement(name: str, version: str, direct: dict[str, Any]) -> str:
    """A line of a requirements file."""
    url = direct.get("url")
    if not url:
        return f"{name}=={version}"
    if direct.get("dir_info", {}).get("editable"):
        return f"-e {url}  # {name}=={version}"
    control = direct.get("vcs_info")
    if control:
        url = f"{control['vcs']}+{url}@{control['commit_id']}"
    hashes = direct.get("archive_info", {}).get("hashes", {})
    parts = [f"{kind}={hashes[kind]}" for kind in sorted(hashes)][:1]
    if direct.get("subdirectory"):
        parts.append(f"subdirectory={direct['subdirectory']}")
    return f"{name} @ {url}" + (f"#{'&'.join(parts)}" if parts else "")


def _key(name: str) -> str:
    """What names that mean the same distribution have in common."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _elsewhere(name: str, direct: dict[str, Any]) -> str:
    how = "editable" if direct.get("dir_info", {}).get("editable") else "local"
    return (
        f"The lock names {name} by its {how} path {direct['url']}, which other machines do not have and which "
        "may change: install a released version of it, or have only this machine execute the runs."
    )


def lock_of(database: Database, name: str, version: int | None = None) -> str:
    """The text of the lock of a deployment's newest version, or of `version`. Raises NotFound if there is none."""
    found = find_deployment(database, name)
    number = version or found.version
    sha = manifest_of(database, found.id, number).get("lock")
    if sha is None:
        raise NotFound(
            f"Version {number} of deployment {found.name!r} has no lock. Deploy it with --lock, "
            "and its next version has."
        )
    return load_snapshot(database, sha).decode()
