"""The kernels in which notebooks run: one with tasks, and one that runs them plainly where both are needed at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import pytest
from tests.kernel_magics.conftest import Notebook

_N = TypeVar("_N", bound=Notebook)
_FORGET = """
def _forget(shell):
    for name in set(shell.user_ns) - {"__builtin__", "__builtins__", "__name__"}:
        del shell.user_ns[name]
    shell.init_user_ns()
_forget(get_ipython())
"""
"""What ``%reset -f`` does, but for the search of all memory for garbage, which takes longer than the cells."""


class PlainNotebook(Notebook):
    """A notebook in a kernel that does not even have flowbook loaded."""

    def reset(self) -> None:
        """As a new kernel: no names."""
        self.outputs.clear()
        self.ok(_FORGET, silent=True)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    """One kernel for the tests of a module."""
    yield from _until_closed(Notebook(str(tmp_path_factory.mktemp("notebook"))))


@pytest.fixture(scope="module")
def plain_kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlainNotebook]:
    """Another one, for what a notebook gives in plain Jupyter."""
    yield from _until_closed(PlainNotebook(str(tmp_path_factory.mktemp("plain"))))


def _until_closed(started: _N) -> Iterator[_N]:
    try:
        yield started
    finally:
        started.close()
