"""A real JupyterLab and a real Chromium for the tests of what a person sees."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from runpy import run_path

import nbformat
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.waiting import WITHIN

from flowbook.engine import close_engines

SOURCES = Path(__file__).parents[2]
TOKEN = "a-token-of-the-browser-tests"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: These errors come without any extension as well: two in Jupyter Notebook 7.6, one in JupyterLab 4.6 as a cell is made
#: Markdown and at once code again.
NOT_OURS = (
    "Cannot read properties of undefined (reading 'schema')",
    "Command 'filebrowser:open-path' not registered.",
    "_markdownOverlapsToolbar",
)
#: Before that, JupyterLab answers the wish to run a cell with the question which kernel to use.
KERNEL_IS_IDLE = "window.jupyterapp.shell.currentWidget?.context?.sessionContext?.session?.kernel?.status === 'idle'"


@dataclass(frozen=True, kw_only=True)
class Lab:
    """A running JupyterLab: its address, the folder that it shows and the FLOWBOOK_HOME of its server and kernels."""

    url: str
    root: Path
    home: Path

    def write_notebook(self, name: str, cells: Sequence[str]) -> Path:
        """A notebook of code cells in the folder of the server."""
        path = self.root / name
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(source) for source in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        )
        nbformat.write(notebook, path)
        return path

    def open(self, page: Page, path: str = "", *, dark: bool = False) -> None:
        """Show JupyterLab with the file at `path` open, in a fresh workspace."""
        page.goto(f"{self.url}lab{'/tree/' + path if path else ''}?reset&token={TOKEN}")
        page.wait_for_function("window.jupyterapp !== undefined")
        page.evaluate("window.jupyterapp.restored.then(() => null)")
        page.locator("#jupyterlab-splash").wait_for(state="detached")
        theme = f"JupyterLab {'Dark' if dark else 'Light'}"
        self.execute(page, "apputils:change-theme", theme=theme)
        page.locator(f'body[data-jp-theme-name="{theme}"]').wait_for(state="attached")
        if path.endswith(".ipynb"):
            page.locator(".jp-NotebookPanel-toolbar").wait_for()
            page.wait_for_function(KERNEL_IS_IDLE)

    def open_in_notebook_7(self, page: Page, path: str) -> None:
        """Show the notebook at `path` in Jupyter Notebook instead."""
        page.goto(f"{self.url}notebooks/{path}?token={TOKEN}")
        page.wait_for_function(f"window.jupyterapp && {KERNEL_IS_IDLE}")

    def execute(self, page: Page, command: str, **arguments: object) -> None:
        """Execute a command of JupyterLab, such as ``notebook:run-all-cells``, and wait for its end."""
        page.evaluate(
            "([command, given]) => window.jupyterapp.commands.execute(command, given).then(() => null)",
            [command, arguments],
        )


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One JupyterLab for the session."""
    with running_lab(tmp_path_factory.mktemp("lab")) as started:
        yield started


@contextmanager
def running_lab(folder: Path) -> Iterator[Lab]:
    """A JupyterLab in `folder`, with this working tree's front ends and packages, installed or not."""
    built = SOURCES / "extension" / "flowbook_lab" / "labextension"
    if not (built / "package.json").exists():
        pytest.fail("The JupyterLab extension is not built: `npm ci && npm run build:prod`, or `pip install -e .`.")
    root, home, extensions = folder / "root", folder / "flowbook-home", folder / "labextensions"
    for made in (root, extensions):
        made.mkdir()
    (extensions / "flowbook").symlink_to(built, target_is_directory=True)
    _no_news(folder / "config")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    areas = [SOURCES / area for area in ("engine", "kernel_magics", "widgets", "extension")]
    environment = {
        # None of flowbook's own settings: what the server of other tests runs with is still set while these run.
        **{name: value for name, value in os.environ.items() if not name.startswith("FLOWBOOK_")},
        "FLOWBOOK_HOME": str(home),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "PYTHONPATH": os.pathsep.join([*map(str, areas), os.environ.get("PYTHONPATH", "")]),
    }
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}", "--port-retries=0"),
        f"--ServerApp.root_dir={root}",
        f"--IdentityProvider.token={TOKEN}",
        "--ServerApp.jpserver_extensions=flowbook_lab=True",
        *(f"--{app}.extra_labextensions_path={extensions}" for app in ("LabApp", "JupyterNotebookApp")),
        *(f"--{app}.expose_app_in_browser=True" for app in ("LabApp", "JupyterNotebookApp")),
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    log = folder / "lab.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, cwd=root, stdout=output, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{port}/"
            _wait_until_up(f"{url}api/status?token={TOKEN}", process, log)
            yield Lab(url=url, root=root, home=home)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _no_news(config: Path) -> None:
    settings = config / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(json.dumps({"fetchNews": "false"}))


def _wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser of the session."""
    with running_chromium() as browser:
        yield browser


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """The Chromium that ``tests/find_browser.py`` finds; without one the tests are left out."""
    found = run_path(str(SOURCES / "tests" / "find_browser.py"))["find_browser"]()
    if found is None:
        pytest.skip("There is no Chromium: `python tests/find_browser.py --install`.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page of its own context; the test fails when a script of the page fails."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB", timezone_id="Europe/Zurich")
    page = context.new_page()
    page.set_default_timeout(WITHIN * 1000)
    expect.set_options(timeout=WITHIN * 1000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(f"{error}\n{error.stack}"))
    yield page
    context.close()
    ours = [error for error in errors if not any(part in error for part in NOT_OURS)]
    assert not ours, f"scripts of the page failed: {ours}"


@pytest.fixture
def in_lab(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What this process runs is recorded where the server looks."""
    close_engines()
    monkeypatch.setenv("FLOWBOOK_HOME", str(lab.home))
    yield lab.home
    close_engines()


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core, which finds what keeps people out."""
    script = SOURCES / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        pytest.fail("axe-core is not installed: `npm ci`.")
    return script.read_text(encoding="utf-8")


@pytest.fixture
def barriers(page: Page, axe: str) -> Callable[[str], list[str]]:
    """What axe finds against WCAG A and AA in the part of the page that a selector names."""

    def find(selector: str) -> list[str]:
        page.evaluate(axe)
        found = page.evaluate(
            """selector => axe.run(selector, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})
                .then(({violations}) => violations.flatMap(({id, nodes}) =>
                    nodes.map(({html, any, all}) => `${id}: ${html} ${[...any, ...all].map(c => c.message)}`)))""",
            selector,
        )
        return [str(each) for each in found]

    return find
