"""What tutorials take for granted: services on the internet, and a database at ``postgresql://user:pass@host/db``."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

SEEDS = Path(__file__).parent / "seeds"
Answer = Callable[["Request"], Any]


class Snippets:
    """The code of tutorials, in the folder ``seeds``: as it stands there, with only the import of prefect changed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def run(self, name: str, *, main: bool = False, **given: Any) -> ModuleType:
        """Run a snippet, as a script with `main`; `given` are names that the tutorial has not defined there."""
        path = SEEDS / f"{name}.py"
        module = ModuleType("__main__" if main else f"seed_{name}")
        module.__file__ = str(path)
        vars(module).update(given)
        self._monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(path.read_text(encoding="utf-8"), path, "exec"), vars(module))
        return module


@pytest.fixture
def snippets(monkeypatch: pytest.MonkeyPatch) -> Snippets:
    """The code of the tutorials."""
    return Snippets(monkeypatch)


class Request:
    """What a service was asked."""

    def __init__(self, method: str, url: str, headers: dict[str, str], body: Any) -> None:
        self.method, self.headers, self.body = method, headers, body
        self.url = url.partition("?")[0]
        self.parameters = {name: values[-1] for name, values in parse_qs(urlsplit(url).query).items()}


class Refused(Exception):
    """Raised by an answer: this status, and nothing else."""

    def __init__(self, status: int) -> None:
        self.status = status


class Internet:
    """Services by their address without a query. An answer is JSON, or a function of the request that gives it."""

    def __init__(self) -> None:
        self.services: dict[str, Any] = {}
        self.requests: list[Request] = []

    def answer(self, request: Request) -> Any:
        self.requests.append(request)
        if request.url not in self.services:
            raise Refused(404)
        found = self.services[request.url]
        return found(request) if callable(found) else found


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Iterator[Internet]:
    """Where requests and httpx go to, whatever the host: a server on this machine."""
    import httpx
    import requests

    internet = Internet()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            url = f"https://{self.headers['Host']}{self.path}"
            try:
                answer, status = internet.answer(Request(self.command, url, dict(self.headers), body)), 200
            except Refused as refused:
                answer, status = None, refused.status
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        do_POST = do_GET

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    place = f"127.0.0.1:{server.server_port}"
    send, handle = requests.adapters.HTTPAdapter.send, httpx.HTTPTransport.handle_request

    def send_there(self: Any, request: Any, **options: Any) -> Any:
        address = urlsplit(request.url)
        request.headers.setdefault("Host", address.netloc)
        request.url = address._replace(scheme="http", netloc=place).geturl()
        return send(self, request, **options)

    def handle_there(self: Any, request: Any) -> Any:
        request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=server.server_port)
        return handle(self, request)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send_there)
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle_there)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield internet
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def warehouse(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The database at ``postgresql://user:pass@host/db``: a new, empty one; its URL.

    The tutorials send it plain strings, as SQLAlchemy 1 took them.
    """
    import sqlalchemy

    create_engine, execute = sqlalchemy.create_engine, sqlalchemy.Connection.execute

    def engine_there(url: Any, **options: Any) -> Any:
        if str(url) != "postgresql://user:pass@host/db":
            return create_engine(url, **options)
        engine = create_engine(postgres_url, poolclass=sqlalchemy.NullPool)
        engine.execute = execute_alone.__get__(engine)  # type: ignore[attr-defined]
        return engine

    def execute_alone(engine: Any, statement: str) -> None:
        with engine.begin() as connection:
            connection.execute(statement)

    def execute_text(self: Any, statement: Any, *parameters: Any, **options: Any) -> Any:
        if isinstance(statement, str) and hasattr(self.engine, "execute"):
            statement = sqlalchemy.text(statement)
        return execute(self, statement, *parameters, **options)

    monkeypatch.setattr(sqlalchemy, "create_engine", engine_there)
    monkeypatch.setattr(sqlalchemy.Connection, "execute", execute_text)
    return postgres_url
