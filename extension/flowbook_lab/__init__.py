"""flowbook in Jupyter: the server's REST interface and the JupyterLab extension."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

__version__ = "0.1.0"


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "flowbook"}]


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "flowbook_lab"}]


def _load_jupyter_server_extension(server_app: ServerApp) -> None:
    import atexit

    from flowbook_lab.answering import HOSTED_WORKER
    from flowbook_lab.handlers import routes
    from flowbook_lab.hosted_worker import HostedWorker

    web_app = server_app.web_app
    hosted = web_app.settings[HOSTED_WORKER] = HostedWorker(server_app.log)
    atexit.register(hosted.close)
    hosted.start()
    web_app.add_handlers(".*$", routes(web_app.settings["base_url"]))  # type: ignore[no-untyped-call]
