"""The fixture ``flowbook_harness`` for pytest, which finds this module by its entry point. Nothing is loaded for it
until a test uses it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from flowbook.testing import Harness

__all__ = ["flowbook_harness"]


@pytest.fixture
def flowbook_harness() -> Iterator[Harness]:
    """Flows and tasks of the test run in a temporary home, and no retry takes time. See `flowbook.testing.Harness`."""
    from flowbook.testing import flowbook_test_harness

    with flowbook_test_harness() as harness:
        yield harness
