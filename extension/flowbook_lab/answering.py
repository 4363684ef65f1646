"""What the handlers share: who may ask, where notebooks are, and how a mistake is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_server.base.handlers import APIHandler

from flowbook.errors import FlowbookError, NotFound, ParameterError, UsageError

if TYPE_CHECKING:
    from flowbook_lab.hosted_worker import HostedWorker

#: Under what the settings of the web application have the worker that this server hosts.
HOSTED_WORKER = "flowbook_hosted_worker"

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

    def file_at(self, path: str) -> Path:
        """The notebook at a path of the server. Raises UsageError for one outside of its folder or not saved."""
        root = self.root_dir
        if root is None:
            raise UsageError("This server's notebooks are not files, so they cannot be promoted from here.")
        resolved = (root / path.lstrip("/")).resolve()
        if not path or not resolved.is_relative_to(root):
            raise UsageError(f"The path {path!r} is not inside the folder that this server shows.")
        if not resolved.is_file():
            raise UsageError(f"There is no notebook {path!r}: save it first.")
        return resolved

    def refuse(self, status: int, sentence: str, **more: Any) -> None:
        """Answer with an error that a person can read."""
        self.set_status(status)
        self.finish(json.dumps({"message": sentence, **more}))


def told(method: Method) -> Method:
    """Turn an error of flowbook into an answer that carries its sentence."""

    @wraps(method)
    async def answer(self: FlowbookHandler, *args: str) -> None:
        try:
            await method(self, *args)
        except NotFound as error:
            self.refuse(404, str(error))
        except ParameterError as error:
            self.refuse(400, str(error), field=f"parameters.{error.field}" if error.field else None)
        except FlowbookError as error:
            self.refuse(400, str(error), field=getattr(error, "field", None))

    return answer
