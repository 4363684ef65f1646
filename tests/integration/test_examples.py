"""Every example notebook runs from its first cell to its last."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[2] / "example_notebooks"


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the example's data server, which is started for the test."""
    monkeypatch.syspath_prepend(str(FOLDER))
    from data_server import serving

    with serving() as url:
        yield url
    sys.modules.pop("data_server", None)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_runs_from_the_first_cell_to_the_last(path: Path, source: str, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace("http://127.0.0.1:8765", source)
    done = NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = {cell.source.splitlines()[0]: cell.outputs for cell in done.cells if cell.cell_type == "code"}
    assert "6 succeeded, 1 after a retry" in said["%flow run --all"][0].data["text/plain"]
    assert "image/png" in said["%%task plot"][-1].data
    assert "Houston" in said["%%task by_city"][-1].data["text/plain"]
    assert (tmp_path / "texas_sales.db").stat().st_size > 100_000
