"""Promoting a notebook under the server's folder: the draft of it, what is typed meanwhile, and the promotion."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from flowbook.errors import FlowbookError, UsageError, refuse_unknown
from flowbook_lab.answering import FlowbookHandler, told

if TYPE_CHECKING:
    from flowbook.promote import Promoted
    from flowbook.promote.options import DeployOptions
    from flowbook.schedules import Schedule

_TEXTS = ("path", "name", "flow", "when", "text", "timezone", "catchup", "overlap", "pool")


class DraftHandler(FlowbookHandler):
    """What a person is asked, and told, before the notebook at `path` becomes the deployment `name`."""

    @web.authenticated
    @authorized
    @told
    async def get(self) -> None:
        from flowbook.promote.draft import draft

        path = self.file_at(self.get_query_argument("path", ""))
        name, flow = (self.get_query_argument(key, "") or None for key in ("name", "flow"))
        found = await asyncio.to_thread(draft, path, time.time(), name=name, flow=flow)
        self.finish(json.dumps(asdict(found), default=str))


class ScheduleHandler(FlowbookHandler):
    """A schedule as typed: in words, with its next fires. `kind` is ``cron`` or ``interval``."""

    @web.authenticated
    @authorized
    @told
    async def get(self) -> None:
        from flowbook.promote.typed_schedule import preview, typed_schedule

        kind, text, zone = (self.get_query_argument(name, "").strip() for name in ("kind", "text", "timezone"))
        found = preview(typed_schedule(kind, text, zone), datetime.now(UTC))
        fires = [{"at": fire.at.isoformat(), "shift": fire.shift} for fire in found.fires]
        self.finish(json.dumps({"words": found.words, "fires": fires, "caveats": found.caveats}))


class ParametersHandler(FlowbookHandler):
    """Whether the values that are typed for the parameters of a notebook fit: field -> why not."""

    @web.authenticated
    @authorized
    @told
    async def post(self) -> None:
        from flowbook.promote.draft import parameter_problems

        asked = asked_for(self.request.body)
        path = self.file_at(asked.path)
        found = await asyncio.to_thread(parameter_problems, path, asked.parameters, asked.flow or None)
        self.finish(json.dumps({"problems": found}))


class PromoteHandler(FlowbookHandler):
    """Makes a deployment of a notebook, and asks for a run of it if the request says ``"run_once": true``.

    One whose runs would certainly fail is refused with what was found, unless the request says ``"force": true``.
    """

    @web.authenticated
    @authorized
    @told
    async def post(self) -> None:
        from flowbook.promote.checks.finding import UnfitNotebook
        from flowbook.settings import current_settings

        asked = asked_for(self.request.body)
        path = self.file_at(asked.path)
        try:
            promoted = await asyncio.to_thread(promoted_as, path, asked)
        except UnfitNotebook as error:
            self.refuse(400, str(error), findings=[asdict(finding) for finding in error.findings])
            return
        run = await asyncio.to_thread(_run_of, promoted) if asked.run_once else {}
        self.hosted_worker.look_now()
        answer = {
            "deployment": {"name": promoted.name, "version": promoted.version},
            "next_fires": [time.isoformat() for time in promoted.next_fires],
            "worker_command": "flowbook worker start" if current_settings().server_worker == "off" else None,
            "warnings": list(promoted.warnings),
            **run,
        }
        self.finish(json.dumps(answer))


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a request says. Empty texts are what was not said: it stays as it was deployed.

    `flow` is one of the notebook, if it defines several. `when` is ``demand`` (no schedule), ``cron`` or ``interval``
    (with the `text` that was typed). `data` are the files that are declared, or None for what was.
    """

    path: str
    name: str
    flow: str
    when: str
    text: str
    timezone: str
    catchup: str
    overlap: str
    pool: str
    parameters: dict[str, Any]
    data: tuple[str, ...] | None
    force: bool
    run_once: bool


def asked_for(body: bytes) -> Asked:
    """What a request's body says. Raises UsageError for one that cannot be meant."""
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise UsageError("The request's body must be a JSON object with the notebook's path.")
    refuse_unknown("the request", said, Asked.__slots__)
    texts = {key: said.get(key) or "" for key in _TEXTS}
    if wrong := [key for key, value in texts.items() if not isinstance(value, str)]:
        raise UsageError(f"{wrong[0]} must be a string.")
    parameters = said.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise UsageError("parameters must be an object: names with their values.")
    data = said.get("data")
    if data is not None and not (isinstance(data, list) and all(isinstance(name, str) for name in data)):
        raise UsageError("data must be a list of the names of files.")
    return Asked(
        **{key: value.strip() for key, value in texts.items()},
        parameters=parameters,
        data=None if data is None else tuple(data),
        force=said.get("force") is True,
        run_once=said.get("run_once") is True,
    )


def promoted_as(path: Path, asked: Asked) -> Promoted:
    """The deployment that is asked for, made. Raises what `promote_notebook` raises."""
    from flowbook.promote.promotion import promote_notebook

    return promote_notebook(path, asked.flow or None, _options(path, asked), force=asked.force)


def _options(path: Path, asked: Asked) -> DeployOptions:
    from flowbook.promote.fields import typed_values
    from flowbook.promote.notebook import read_notebook
    from flowbook.promote.options import DeployOptions
    from flowbook.promote.reading import read

    values = {}
    if asked.parameters:
        values = typed_values(read(read_notebook(path), asked.flow or None).schema, asked.parameters)
    return DeployOptions(
        name=asked.name or None,
        schedules=_schedules(asked),
        parameters=values,
        overlap=asked.overlap or None,
        pool=asked.pool or None,
        data=asked.data,
    )


def _schedules(asked: Asked) -> tuple[Schedule, ...] | None:
    from flowbook.promote.typed_schedule import preview, typed_schedule

    if not asked.when:
        return None
    if asked.when == "demand":
        return ()
    made = typed_schedule(asked.when, asked.text, asked.timezone, asked.catchup or None)
    preview(made, datetime.now(UTC))  # refuses what never fires
    return (made,)


def _run_of(promoted: Promoted) -> dict[str, Any]:
    """The run that was asked for, or why there is none; the deployment is made in any case."""
    from flowbook.promote import request_run

    try:
        return {"run": request_run(f"{promoted.flow}/{promoted.name}").number, "no_run": None}
    except FlowbookError as error:
        return {"run": None, "no_run": str(error)}


#: Below ``flowbook/api/``.
PROMOTE_PATTERNS: list[tuple[str, type[FlowbookHandler]]] = [
    ("promote", PromoteHandler),
    ("promote/draft", DraftHandler),
    ("promote/parameters", ParametersHandler),
    ("promote/schedule", ScheduleHandler),
]
