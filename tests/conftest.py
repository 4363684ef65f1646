"""Fixtures for all tests: every test has a home of its own, and leaves no thread of the engine behind."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.drawn import drawn_in
from tests.notebook_files import write_notebook

from flowbook.engine import close_engines
from flowbook.settings import current_settings
from flowbook.testing import Harness, flowbook_test_harness

if TYPE_CHECKING:
    from tests.postgres import OwnServer, Server

MakeNotebook = Callable[..., Path]

# nbformat imports jsonschema, and that a parser of URLs in all alphabets, which takes seconds and which no test uses.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # None makes an import an ImportError


@pytest.fixture(autouse=True)
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary FLOWBOOK_HOME. In the tests of `integration`, which execute notebooks, a picture was drawn there."""
    folder = tmp_path / "flowbook-home"
    if request.path.parent.name == "integration" and request.node.get_closest_marker("slow"):
        drawn_in(folder)
    monkeypatch.setenv("FLOWBOOK_HOME", str(folder))
    monkeypatch.delenv("FLOWBOOK_DATABASE_URL", raising=False)
    yield folder
    close_engines()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server, started when the first test needs it."""
    from tests.postgres import server_for_tests

    with server_for_tests() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Server) -> Iterator[str]:
    """A new, empty PostgreSQL database."""
    with postgres.database() as url:
        yield url


@pytest.fixture
def own_postgres() -> Iterator[OwnServer]:
    """A PostgreSQL server that the test may restart."""
    from tests.postgres import own_server

    with own_server() as server:
        yield server


@pytest.fixture
def on_postgresql(home: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Has the test's home keep its record in PostgreSQL; the URL of the database."""
    with postgres.record() as url:
        monkeypatch.setenv("FLOWBOOK_DATABASE_URL", url)
        yield url
        close_engines()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def empty_store_url(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """As `store_url`, with nothing in the database, no table either."""
    if request.param == "postgresql":
        monkeypatch.setenv("FLOWBOOK_DATABASE_URL", request.getfixturevalue("postgres_url"))
    yield current_settings().database_url
    close_engines()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def store_url(request: pytest.FixtureRequest, home: Path) -> str:
    """Runs a test on SQLite, and on PostgreSQL as well; the URL of the database."""
    if request.param == "postgresql":
        request.getfixturevalue("on_postgresql")
    return current_settings().database_url


@pytest.fixture
def harness() -> Iterator[Harness]:
    """A home of its own, in which no retry takes time."""
    with flowbook_test_harness() as harness:
        yield harness


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """Ctrl-C works in the tests, also when they were started in the background of a shell, which ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def make_notebook(tmp_path: Path) -> MakeNotebook:
    """Writes a notebook of code cells and returns its path."""
    return partial(write_notebook, tmp_path / "books")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Hypothesis knows the profile that it is asked for, without being imported where it is not."""
    if config.getoption("--hypothesis-profile"):
        import tests.examples  # noqa: F401
    config.pluginmanager.register(_FailuresAtOnce(config.pluginmanager))


class _FailuresAtOnce:
    """Shows a failure when it happens, as well as at the end: a run that is cut off tells of it, too."""

    def __init__(self, plugins: pytest.PytestPluginManager) -> None:
        self._plugins = plugins

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal = self._plugins.get_plugin("terminalreporter")
        if report.failed and terminal is not None:  # a process that runs tests for another one has none
            terminal.ensure_newline()
            terminal.write_line(f"{report.nodeid} failed: {report.longreprtext[-_LAST:]}")


_LAST = 3000  # characters of a failure that are shown at once


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Whatever needs a kernel is slow. Browser tests come last: Playwright leaves an event loop in their thread. What
    takes longest comes first, so that no process is left alone with it at the end.

    A harness has a SQLite database of its own, so its tests need not run with PostgreSQL as well.
    """
    twice = [item for item in items if "harness" in _fixtures(item) and "postgresql" in _parameters(item)]
    config.hook.pytest_deselected(items=twice)
    items[:] = sorted((item for item in items if item not in twice), key=_turn)
    for item in items:
        if "kernel" in _fixtures(item):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is made to collect the tests stays until the end: no garbage is looked for meanwhile, nor among it later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def _turn(item: pytest.Item) -> int:
    if item.get_closest_marker("browser"):
        return 2
    return 0 if item.path.parent.name in ("faults", "integration", "notebooks") else 1


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Only text that is valid can be handed to the process that reports; some tests print what is not."""
    report = yield
    report.sections = [(title, text.encode(errors="backslashreplace").decode()) for title, text in report.sections]
    return report


def _fixtures(item: pytest.Item) -> Sequence[str]:
    return getattr(item, "fixturenames", ())


def _parameters(item: pytest.Item) -> Collection[object]:
    callspec = getattr(item, "callspec", None)
    return {callspec.params.get("store_url")} if callspec else ()
