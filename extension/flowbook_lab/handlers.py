"""The REST interface under ``/flowbook/api``: runs, their files, workers, and promoting a notebook.

Every handler asks the server's authorizer for the resource ``flowbook``: reading is ``read``, promoting and starting a
worker is ``write``. Whatever touches the database or a file works in a thread, so that the server stays responsive.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from flowbook.errors import FlowbookError, NotFound, UsageError
from flowbook_lab.wire import kept_file, run_to_json, summary_to_json, workers_to_json

if TYPE_CHECKING:
    from flowbook_lab.hosted_worker import HostedWorker

#: Under what the settings of the web application have the worker that this server hosts.
HOSTED_WORKER = "flowbook_hosted_worker"

#: The largest number of runs in one answer.
MOST_RUNS = 1000

#: The kinds of files that are kept with a run.
MEDIA_TYPES = {
    "notebook": "application/x-ipynb+json",
    "html": "text/html; charset=utf-8",
    "svg": "image/svg+xml",
}

#: A method that answers a request; the arguments are the groups of its pattern.
Method = Callable[..., Coroutine[Any, Any, None]]


class FlowbookHandler(APIHandler):
    """What the handlers share."""

    auth_resource = "flowbook"

    @property
    def root_dir(self) -> Path | None:
        """The folder whose files the server shows, or None when its contents are not files."""
        root = getattr(self.contents_manager, "root_dir", None)
        return Path(root).resolve() if root else None

    @property
    def hosted_worker(self) -> HostedWorker:
        """The worker of this server."""
        hosted: HostedWorker = self.settings[HOSTED_WORKER]
        return hosted

    def refuse(self, status: int, sentence: str, **more: Any) -> None:
        """Answer with an error that a person can read."""
        self.set_status(status)
        self.finish(json.dumps({"message": sentence, **more}))


def _told(method: Method) -> Method:
    """Turn an error of flowbook into an answer that carries its sentence."""

    @wraps(method)
    async def answer(self: FlowbookHandler, *args: str) -> None:
        try:
            await method(self, *args)
        except NotFound as error:
            self.refuse(404, str(error))
        except FlowbookError as error:
            self.refuse(400, str(error))

    return answer


class RunsHandler(FlowbookHandler):
    """The latest runs, newest first."""

    @web.authenticated
    @authorized
    @_told
    async def get(self) -> None:
        from flowbook.runs import recent_runs

        limit = _limit(self.get_query_argument("limit", "50"))
        runs = await asyncio.to_thread(recent_runs, limit)
        root = self.root_dir
        self.finish(json.dumps({"runs": [summary_to_json(run, root) for run in runs]}))


class RunHandler(FlowbookHandler):
    """One run with its nodes."""

    @web.authenticated
    @authorized
    @_told
    async def get(self, run_id: str) -> None:
        from flowbook.runs import run_view

        view = await asyncio.to_thread(run_view, run_id)
        self.finish(json.dumps(run_to_json(view)))


class RunFileHandler(FlowbookHandler):
    """A file that was kept with a run. It may hold any HTML, so the browser is told to run nothing in it."""

    @property
    def content_security_policy(self) -> str:
        """No scripts, no forms, no requests; an origin of its own."""
        return "sandbox; default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'"

    @web.authenticated
    @authorized
    @_told
    async def get(self, run_id: str, kind: str) -> None:
        name, content = await asyncio.to_thread(kept_file, run_id, kind)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "private, no-cache")
        if kind == "notebook":
            self.set_header("Content-Disposition", f'attachment; filename="{_ascii(name)}"')
        self.finish(content, set_content_type=MEDIA_TYPES[kind])


class WorkersHandler(FlowbookHandler):
    """The workers that live, and whether schedules fire. POST has this server host one."""

    @web.authenticated
    @authorized
    @_told
    async def get(self) -> None:
        self.finish(json.dumps(await asyncio.to_thread(workers_to_json, self.hosted_worker)))

    @web.authenticated
    @authorized
    @_told
    async def post(self) -> None:
        self.hosted_worker.ask_for()
        self.set_status(202)
        self.finish(json.dumps({"message": "This server starts a worker."}))


class PromoteHandler(FlowbookHandler):
    """Makes a deployment of a notebook under the server's folder.

    One whose runs would certainly fail is refused with what was found, unless the request says ``"force": true``.
    """

    @web.authenticated
    @authorized
    @_told
    async def post(self) -> None:
        asked = self._asked()
        path = self._notebook(asked["path"])
        from flowbook.promote import promote
        from flowbook.promote.checks.finding import UnfitNotebook
        from flowbook.settings import current_settings

        options: dict[str, Any] = {
            "name": asked["name"] or None,
            "cron": asked["schedule"] or None,
            "timezone": (asked["schedule"] and asked["timezone"]) or None,
        }
        if asked["force"]:
            options["force"] = True
        try:
            promoted = await asyncio.to_thread(promote, path, **options)
        except UnfitNotebook as error:
            self.refuse(400, str(error), findings=[asdict(finding) for finding in error.findings])
            return
        self.hosted_worker.look_now()
        answer = {
            "deployment": {"name": promoted.name, "version": promoted.version},
            "next_fires": [time.isoformat() for time in promoted.next_fires],
            "worker_command": "flowbook worker start" if current_settings().server_worker == "off" else None,
            "warnings": list(promoted.warnings),
        }
        self.finish(json.dumps(answer))

    def _asked(self) -> dict[str, Any]:
        try:
            body = json.loads(self.request.body)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise UsageError("The request's body must be a JSON object with the notebook's path.")
        asked = {key: body.get(key) or "" for key in ("path", "name", "schedule", "timezone")}
        wrong = [key for key, value in asked.items() if not isinstance(value, str)]
        if wrong:
            raise UsageError(f"{wrong[0]} must be a string.")
        return {**{key: value.strip() for key, value in asked.items()}, "force": body.get("force") is True}

    def _notebook(self, path: str) -> Path:
        root = self.root_dir
        if root is None:
            raise UsageError("This server's notebooks are not files, so they cannot be promoted from here.")
        resolved = (root / path.lstrip("/")).resolve()
        if not path or not resolved.is_relative_to(root):
            raise UsageError(f"The path {path!r} is not inside the folder that this server shows.")
        if not resolved.is_file():
            raise UsageError(f"There is no notebook {path!r}: save it first.")
        return resolved


def _limit(text: str) -> int:
    """The number of runs asked for."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_RUNS):
        raise UsageError(f"limit must be a whole number from 1 to {MOST_RUNS}, not {text!r}.")
    return int(text)


def _ascii(name: str) -> str:
    """A file name that cannot end or continue the header it stands in."""
    return "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in name)


def routes(base_url: str) -> list[tuple[str, type[FlowbookHandler]]]:
    """The handlers with their patterns, for ``web_app.add_handlers``."""
    run = r"([\w.-]{1,128})"
    patterns: list[tuple[str, type[FlowbookHandler]]] = [
        ("runs", RunsHandler),
        (f"runs/{run}", RunHandler),
        (f"runs/{run}/files/({'|'.join(MEDIA_TYPES)})", RunFileHandler),
        ("workers", WorkersHandler),
        ("promote", PromoteHandler),
    ]
    return [(url_path_join(base_url, "flowbook", "api", pattern), handler) for pattern, handler in patterns]
