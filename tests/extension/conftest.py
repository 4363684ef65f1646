"""A real Jupyter server with the extension, in a thread of the test process."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from jupyter_server.serverapp import ServerApp
from tests.waiting import WITHIN
from traitlets.config import Config

TOKEN = "a-token-of-the-tests"


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where a server is, and which folder it shows."""

    url: str
    root: Path

    def client(self, *, token: str | None = TOKEN) -> httpx.Client:
        """A client that shows `token` with every request."""
        headers = {"Authorization": f"token {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=WITHIN)


class InThread(ServerApp):
    """Signals belong to the main thread."""

    def init_signal(self) -> None:
        """Leave them alone."""


def _config(root: Path, port: int) -> Config:
    config = Config()
    config.IdentityProvider.token = TOKEN
    config.ServerApp.update(
        allow_root=True,
        base_url="/a/",
        jpserver_extensions={"flowbook_lab": True},
        log_level="ERROR",
        open_browser=False,
        port=port,
        port_retries=0,
        root_dir=str(root),
    )
    return config


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests; its handlers read FLOWBOOK_HOME anew for each test."""
    root = tmp_path_factory.mktemp("root")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOWBOOK_SERVER_WORKER", "off")
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name.lower())))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        ready, over = threading.Event(), asyncio.Event()
        loop = asyncio.new_event_loop()

        async def serve() -> None:
            app = InThread(config=_config(root, port))
            app.initialize(argv=[])
            app.start_app()
            ready.set()
            await over.wait()
            app.http_server.stop()
            await app._cleanup()

        thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
        thread.start()
        assert ready.wait(WITHIN), "the Jupyter server did not start"
        yield Server(url=f"http://127.0.0.1:{port}/a/", root=root)
        loop.call_soon_threadsafe(over.set)
        thread.join(WITHIN)
        loop.close()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """A client that may do everything."""
    with server.client() as made:
        yield made
