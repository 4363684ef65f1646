"""A schedule while it is typed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flowbook.promote.typed_schedule import preview, typed_schedule
from flowbook.schedules import InvalidSchedule

NOW = datetime(2026, 10, 23, 12, tzinfo=UTC)


def test_says_it_in_words_and_marks_the_fire_before_which_the_clocks_move() -> None:
    found = preview(typed_schedule("cron", "0 7 * * *", "Europe/Zurich"), NOW)
    assert found.words == "Every day at 07:00"
    assert [fire.at.isoformat() for fire in found.fires][:2] == [
        "2026-10-24T07:00:00+02:00",
        "2026-10-25T07:00:00+01:00",
    ]
    assert [fire.shift for fire in found.fires] == [0, -3600, 0, 0, 0]


def test_an_interval_is_typed_as_a_length_of_time() -> None:
    found = preview(typed_schedule("interval", "1h30m", "UTC", "skip"), NOW)
    assert found.words == "Every 1 hour 30 minutes"
    assert (found.fires[1].at - found.fires[0].at).total_seconds() == 5400


WRONG = [
    ("cron", "0 0 31 2 *", "UTC", "one", "cron", "never fires"),
    ("cron", "0 25 * * *", "UTC", "one", "cron", "hour"),
    ("cron", "0 7 * * *", "Europe/Zurch", "one", "timezone", "did you mean Europe/Zurich?"),
    ("cron", "0 7 * * *", "", "one", "timezone", "needs a time zone"),
    ("interval", "15x", "UTC", "one", "interval", "write it as 15m"),
    ("interval", "0", "UTC", "one", "interval", "at least one second"),
    ("interval", "9" * 400, "UTC", "one", "interval", "length of time"),
    ("interval", "15m", "UTC", "twice", "catchup", "it is one of one, all, skip"),
    ("rrule", "FREQ=DAILY", "UTC", "one", "schedule", "cron, interval"),
]


@pytest.mark.parametrize(("kind", "text", "zone", "catchup", "field", "said"), WRONG)
def test_what_is_wrong_names_its_field(kind: str, text: str, zone: str, catchup: str, field: str, said: str) -> None:
    with pytest.raises(InvalidSchedule, match=said.replace("?", r"\?")) as caught:
        preview(typed_schedule(kind, text, zone, catchup), NOW)
    assert caught.value.field == field
