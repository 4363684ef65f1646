"""Reading cells: beside running tasks, without their noticing."""

from __future__ import annotations

import ast
import warnings

import pytest

from flowbook.cells import source


@pytest.mark.parametrize("action", ["default", "error"])
def test_warnings_about_code_are_for_who_runs_it(action: str) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter(action)  # type: ignore[arg-type]
        source.parse_cell(r"pattern = '\d'")
    assert not said


def test_other_threads_may_warn_while_a_cell_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    parse = ast.parse

    def meanwhile(*args: str) -> ast.Module:
        warnings.warn("careful", stacklevel=1)
        return parse(*args)

    monkeypatch.setattr(ast, "parse", meanwhile)
    with pytest.warns(UserWarning, match="careful"):
        source.parse_cell("x = 1")
