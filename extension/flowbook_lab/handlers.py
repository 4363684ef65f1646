"""The REST interface under ``/flowbook/api``: runs, their files, workers and deployments.

Every handler asks the server's authorizer for the resource ``flowbook``: reading is ``read``, promoting, cancelling and
starting a worker is ``write``. Whatever touches the database or a file works in a thread, so that the server stays
responsive.
"""

from __future__ import annotations

import asyncio
import json

from jupyter_server.auth.decorator import authorized
from jupyter_server.utils import url_path_join
from tornado import web

from flowbook.errors import UsageError
from flowbook_lab.answering import FlowbookHandler, told
from flowbook_lab.promote_handlers import PROMOTE_PATTERNS
from flowbook_lab.wire import (
    comparison_page,
    deployments_to_json,
    kept_file,
    run_to_json,
    runs_to_json,
    workers_to_json,
)

#: The largest number of runs in one answer.
MOST_RUNS = 1000

#: The kinds of files that are kept with a run.
MEDIA_TYPES = {
    "notebook": "application/x-ipynb+json",
    "html": "text/html; charset=utf-8",
    "svg": "image/svg+xml",
}


class RunsHandler(FlowbookHandler):
    """The latest runs, newest first."""

    @web.authenticated
    @authorized
    @told
    async def get(self) -> None:
        limit = _limit(self.get_query_argument("limit", "50"))
        runs = await asyncio.to_thread(runs_to_json, limit, self.root_dir)
        self.finish(json.dumps({"runs": runs}))


class RunHandler(FlowbookHandler):
    """One run with its nodes."""

    @web.authenticated
    @authorized
    @told
    async def get(self, run_id: str) -> None:
        from flowbook.runs import run_view

        view = await asyncio.to_thread(run_view, run_id)
        self.finish(json.dumps(run_to_json(view)))


class RunCancelHandler(FlowbookHandler):
    """Cancels a run, whatever process executes it; that ends it within two seconds."""

    @web.authenticated
    @authorized
    @told
    async def post(self, run_id: str) -> None:
        from flowbook.flow_runs import cancel_flow_run

        state = await asyncio.to_thread(cancel_flow_run, run_id)
        self.set_status(202)
        self.finish(json.dumps({"message": f"The run is {state.name}."}))


class PageHandler(FlowbookHandler):
    """What a run has put out, for a browser. It may hold any HTML, so the browser is told to run nothing in it."""

    @property
    def content_security_policy(self) -> str:
        """No scripts, no forms, no requests; an origin of its own."""
        return "sandbox; default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'"


class RunFileHandler(PageHandler):
    """A file that was kept with a run."""

    @web.authenticated
    @authorized
    @told
    async def get(self, run_id: str, kind: str) -> None:
        name, content = await asyncio.to_thread(kept_file, run_id, kind)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "private, no-cache")
        if kind == "notebook":
            self.set_header("Content-Disposition", f'attachment; filename="{_ascii(name)}"')
        self.finish(content, set_content_type=MEDIA_TYPES[kind])


class RunDiffHandler(PageHandler):
    """What is different between two runs, as a page."""

    @web.authenticated
    @authorized
    @told
    async def get(self, before: str, after: str) -> None:
        page = await asyncio.to_thread(comparison_page, before, after)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "private, no-cache")
        self.finish(page, set_content_type=MEDIA_TYPES["html"])


class WorkersHandler(FlowbookHandler):
    """The workers that live, and whether schedules fire. POST has this server host one."""

    @web.authenticated
    @authorized
    @told
    async def get(self) -> None:
        self.finish(json.dumps(await asyncio.to_thread(workers_to_json, self.hosted_worker)))

    @web.authenticated
    @authorized
    @told
    async def post(self) -> None:
        self.hosted_worker.ask_for()
        self.set_status(202)
        self.finish(json.dumps({"message": "This server starts a worker."}))


class DeploymentsHandler(FlowbookHandler):
    """All deployments."""

    @web.authenticated
    @authorized
    @told
    async def get(self) -> None:
        self.finish(json.dumps({"deployments": await asyncio.to_thread(deployments_to_json)}))


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
        (f"runs/{run}/cancel", RunCancelHandler),
        (f"runs/{run}/files/({'|'.join(MEDIA_TYPES)})", RunFileHandler),
        (f"runs/{run}/diff/{run}", RunDiffHandler),
        ("workers", WorkersHandler),
        ("deployments", DeploymentsHandler),
        *PROMOTE_PATTERNS,
    ]
    return [(url_path_join(base_url, "flowbook", "api", pattern), handler) for pattern, handler in patterns]
