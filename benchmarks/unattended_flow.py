"""The flows that `unattended.py` deploys."""

from __future__ import annotations

import time

from flowbook import flow


@flow
def nothing() -> None:
    """Does nothing."""


@flow
def sleeping() -> None:
    """Does nothing for long."""
    time.sleep(600)
