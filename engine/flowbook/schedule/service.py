"""A worker as a service of this user: the unit that systemd reads, and the line for cron where there is no systemd.

The text of a unit is made by the rules of systemd.service(5), systemd.exec(5) and systemd.unit(5).
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flowbook.core.deploying import DEFAULT_POOL
from flowbook.errors import UsageError
from flowbook.store.urls import parse_url

_ENDS_WITHIN = 45  # seconds: the worker's grace period, and what it needs to end what is left after that
_VARIABLES = ("FLOWBOOK_HOME", "FLOWBOOK_DATABASE_URL", "FLOWBOOK_KEEP_RUNS", "FLOWBOOK_LOGGING_LEVEL")


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """A worker of `pool` for `limit` runs at a time, with this environment."""

    pool: str
    limit: int
    name: str | None
    environment: Mapping[str, str]

    @property
    def unit_name(self) -> str:
        """What systemd calls it."""
        return "flowbook-worker" if self.pool == DEFAULT_POOL else f"flowbook-worker-{_escaped(self.pool)}"

    @property
    def unit_path(self) -> Path:
        """Where the unit stands."""
        return _config() / "systemd" / "user" / f"{self.unit_name}.service"

    @property
    def secrets_path(self) -> Path:
        """Where variables stand that nobody else may read."""
        return _config() / "flowbook" / f"{self.unit_name}.env"

    @property
    def command(self) -> tuple[str, ...]:
        """What it executes."""
        words = (sys.executable, "-m", "flowbook.cli", "worker", "start", "--pool", self.pool, "--limit")
        return (*words, str(self.limit), *(("--name", self.name) if self.name else ()))

    def secrets(self) -> dict[str, str]:
        """The variables that hold a password, or may."""
        return {name: value for name, value in self.environment.items() if _is_secret(name, value)}

    def unit(self) -> str:
        """The text of the unit. Only the worker itself is told to stop: it lets its runs come to their end."""
        secret = self.secrets()
        plain = [f"Environment={_quoted(f'{n}={v}')}" for n, v in self.environment.items() if n not in secret]
        if secret:
            plain.append(f"EnvironmentFile={_percent(str(self.secrets_path))}")
        lines = [
            "[Unit]",
            f"Description=flowbook worker of the pool {_percent(self.pool)}",
            "After=network-online.target",
            "",
            "[Service]",
            f"ExecStart={' '.join(_quoted(word, dollars=True) for word in self.command)}",
            *plain,
            "Restart=always",
            "RestartSec=5",
            "KillSignal=SIGTERM",
            "KillMode=mixed",
            f"TimeoutStopSec={_ENDS_WITHIN}",
            "",
            "[Install]",
            "WantedBy=default.target",
        ]
        return "\n".join(lines) + "\n"

    def secrets_text(self) -> str:
        """The text of the file with the secrets."""
        return "".join(f"{name}={_in_file(value)}\n" for name, value in self.secrets().items())

    def commands(self) -> tuple[str, ...]:
        """What makes the service start now, and with this machine."""
        return (
            "systemctl --user daemon-reload",
            f"systemctl --user enable --now {shlex.quote(self.unit_name)}",
            "loginctl enable-linger",
        )

    def cron_line(self) -> str:
        """The line of a crontab that starts it with the machine. Secrets are read from their file."""
        secret = self.secrets()
        plain = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items() if name not in secret]
        source = f"set -a; . {shlex.quote(str(self.secrets_path))}; set +a; " if secret else ""
        line = f"{source}{' '.join([*plain, shlex.join(self.command)])} >/dev/null 2>&1"
        return f"@reboot {line}".replace("%", r"\%")  # which means a new line there, see crontab(5)


def service_for(pool: str, limit: int, name: str | None) -> Service:
    """The service for a worker with the settings of this process. Raises UsageError for a name it cannot have."""
    for title, text in (("pool", pool), ("name", name or "")):
        if not text.isprintable():
            raise UsageError(f"The {title} {text!r} has characters that a unit of systemd cannot hold.")
    given = {variable: os.environ[variable] for variable in _VARIABLES if os.environ.get(variable)}
    if "FLOWBOOK_HOME" in given:
        given["FLOWBOOK_HOME"] = str(Path(given["FLOWBOOK_HOME"]).expanduser().absolute())
    return Service(pool=pool, limit=limit, name=name, environment=given)


def has_systemd() -> bool:
    """Whether services of users are run by systemd here, see sd_booted(3)."""
    return Path("/run/systemd/system").is_dir()


def install(service: Service, *, force: bool) -> bool:
    """Write the unit, and the file with its secrets; False if they were there. Raises UsageError for another unit."""
    path, text = service.unit_path, service.unit()
    known = path.read_text(encoding="utf-8") if path.exists() else None
    if known not in (None, text) and not force:
        raise UsageError(f"{path} is there and says something else. Replace it with --force, or see --print.")
    write_secrets(service)
    if known == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return True


def write_secrets(service: Service) -> None:
    """Write the file with the secrets of the service, if it has any, so that its owner only can read it."""
    if not service.secrets():
        return
    path = service.secrets_path
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(service.secrets_text())
    new.replace(path)


def _is_secret(name: str, value: str) -> bool:
    if name != "FLOWBOOK_DATABASE_URL":
        return False
    url = parse_url(value)
    return url.password is not None or bool(url.query)


def _config() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()


def _escaped(text: str) -> str:
    """`text` as part of the name of a unit."""
    return re.sub(rb"[^A-Za-z0-9_.-]", lambda found: b"\\x%02x" % found[0][0], text.encode()).decode()


def _percent(text: str) -> str:
    return text.replace("%", "%%")


def _quoted(word: str, *, dollars: bool = False) -> str:
    """A word of a line of a unit: with the escapes of C, and ``%`` and in commands ``$`` doubled."""
    said = _percent(word)
    said = said.replace("$", "$$") if dollars else said
    if re.fullmatch(r"[\w./:=@%+,$-]+", said):
        return said
    return '"' + said.replace("\\", r"\\").replace('"', r"\"") + '"'


def _in_file(value: str) -> str:
    """A value in a file of variables, which systemd and a shell read alike."""
    return '"' + re.sub(r'([\\"$`])', r"\\\1", value) + '"'
