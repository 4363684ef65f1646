"""A flow with defaults of every kind. Run as a script, it is deployed, and a run of it asked for."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from flowbook import flow
from flowbook.deployments import run_deployment


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Shop(BaseModel):
    city: str
    rooms: int = 1


@flow(log_prints=True)
def has_defaults(
    day: date = date(2026, 1, 31),
    at: datetime | None = None,
    every: timedelta = timedelta(hours=2),
    colour: Colour = Colour.RED,
    shop: Shop = Shop(city="Basel"),  # noqa: B008 - as people write it
    numbers: list[int] = [1, 2],  # noqa: B006 - as people write it
    region: str = None,  # type: ignore[assignment]  # noqa: RUF013 - as people write it
    limit: int = Field(default=3, ge=1),
    anything: Any = ...,
    *,
    folder: Path = Path("data"),
) -> None:
    print(repr((day, at, every, colour, shop, numbers, region, limit, anything, folder)))


if __name__ == "__main__":
    given = {"shop": Shop(city="Bern"), "colour": Colour.BLUE, "at": "2026-01-01T07:00"}
    has_defaults.deploy("d", parameters=given, print_next_steps=False)
    run_deployment("has-defaults/d", timeout=0)
