"""Daylight saving: Debian's rule for cron, RFC 5545 for rules, elapsed or wall-clock time for intervals."""

from datetime import UTC, datetime, timedelta

import pytest

from flowbook.schedules import Cron, Interval, RRule, Schedule, next_fires

# ruff: noqa: DTZ001 (naive anchors are the subject)

SPRING = datetime(2024, 3, 30, 23, 30, tzinfo=UTC)  # Zurich: 02:00 becomes 03:00 on 31 March
AUTUMN = datetime(2024, 10, 26, 22, 30, tzinfo=UTC)  # Zurich: 03:00 becomes 02:00 on 27 October


def shown(schedule: Schedule, after: datetime, n: int) -> str:
    return " ".join(f"{fire:%d.%H:%M%z}".removesuffix("00") for fire in next_fires(schedule, after, n))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("30 2 * * *", "31.03:00+02 01.02:30+02"),
        ("0,15,59 2 * * *", "31.03:00+02 01.02:00+02"),
        ("0 2,3 * * *", "31.03:00+02 01.02:00+02"),
        ("15 1,2 * * *", "31.01:15+01 31.03:00+02 01.01:15+02"),
        ("0 */2 * * *", "31.04:00+02 31.06:00+02"),
        ("*/30 2 * * *", "01.02:00+02 01.02:30+02"),
        ("*/30 * * * *", "31.01:00+01 31.01:30+01 31.03:00+02"),
        ("0 30 2 * * *", "01.02:30+02"),
    ],
)
def test_cron_when_clocks_go_forward(line: str, expected: str) -> None:
    assert shown(Cron(line, timezone="Europe/Zurich"), SPRING, len(expected.split())) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("30 2 * * *", "27.02:30+02 28.02:30+01"),
        ("0,30 2 * * *", "27.02:00+02 27.02:30+02 28.02:00+01"),
        ("*/30 2 * * *", "27.02:00+02 27.02:30+02 27.02:00+01 27.02:30+01 28.02:00+01"),
        ("30 * * * *", "27.01:30+02 27.02:30+02 27.02:30+01 27.03:30+01"),
        ("@hourly", "27.01:00+02 27.02:00+02 27.02:00+01 27.03:00+01"),
        ("0 30 2 * * *", "27.02:30+02 27.02:30+01 28.02:30+01"),
    ],
)
def test_cron_when_clocks_go_back(line: str, expected: str) -> None:
    assert shown(Cron(line, timezone="Europe/Zurich"), AUTUMN, len(expected.split())) == expected


def test_a_gap_of_a_day_makes_nothing_up() -> None:
    """Samoa went from 29 to 31 December 2011."""
    noon = Cron("0 12 * * *", timezone="Pacific/Apia")
    assert shown(noon, datetime(2011, 12, 29, tzinfo=UTC), 3) == "29.12:00-10 31.12:00+14 01.12:00+14"


def test_a_gap_that_starts_a_minute_after_midnight() -> None:
    """St John's changed its clocks at 00:01 until 2011."""
    line = Cron("30 0 * * *", timezone="America/St_Johns")
    assert shown(line, datetime(2010, 3, 13, 12, tzinfo=UTC), 2) == "14.01:01-0230 15.00:30-0230"


def test_asked_within_the_repeated_hour() -> None:
    zurich = Cron("@hourly", timezone="Europe/Zurich").zone
    first = datetime(2024, 10, 27, 2, 30, tzinfo=zurich, fold=0)
    second = datetime(2024, 10, 27, 2, 30, tzinfo=zurich, fold=1)
    assert shown(Cron("@hourly", timezone="Europe/Zurich"), first, 1) == "27.02:00+01"
    assert shown(Cron("@hourly", timezone="Europe/Zurich"), second, 1) == "27.03:00+01"
    assert shown(Cron("45 2 * * *", timezone="Europe/Zurich"), first, 1) == "27.02:45+02"
    assert shown(Cron("45 2 * * *", timezone="Europe/Zurich"), second, 1) == "28.02:45+01"


@pytest.mark.parametrize(
    ("rule", "after", "expected"),
    [
        ("FREQ=DAILY;BYHOUR=2;BYMINUTE=30", SPRING, "31.03:30+02 01.02:30+02"),
        ("FREQ=DAILY;BYHOUR=2,3;BYMINUTE=15,45", SPRING, "31.03:15+02 31.03:45+02 01.02:15+02"),
        ("FREQ=DAILY;BYHOUR=2;BYMINUTE=30", AUTUMN, "27.02:30+02 28.02:30+01"),
        ("FREQ=HOURLY", AUTUMN, "27.01:00+02 27.02:00+02 27.02:00+01 27.03:00+01"),
        ("FREQ=HOURLY;BYMINUTE=20", AUTUMN, "27.01:20+02 27.02:20+02 27.02:20+01 27.03:20+01"),
        ("FREQ=HOURLY;BYHOUR=2", AUTUMN, "27.02:00+02 27.02:00+01 28.02:00+01"),
        ("FREQ=MINUTELY;INTERVAL=40;BYHOUR=2", AUTUMN, "27.02:20+02 27.02:00+01 27.02:40+01 28.02:00+01"),
        ("FREQ=HOURLY;BYHOUR=2", SPRING, "01.02:00+02"),
    ],
)
def test_rules(rule: str, after: datetime, expected: str) -> None:
    assert shown(RRule(rule, timezone="Europe/Zurich"), after, len(expected.split())) == expected


def test_a_daily_interval_stays_on_the_wall_clock_and_a_gap_does_not_shift_the_rest() -> None:
    daily = Interval(timedelta(days=1), anchor_date=datetime(2024, 3, 1, 2, 30), timezone="Europe/Zurich")
    assert shown(daily, SPRING, 2) == "31.03:30+02 01.02:30+02"
    assert shown(daily, AUTUMN, 2) == "27.02:30+02 28.02:30+01"


def test_a_shorter_interval_is_elapsed_time() -> None:
    hourly = Interval(3600, timezone="Europe/Zurich")
    assert shown(hourly, AUTUMN, 3) == "27.01:00+02 27.02:00+02 27.02:00+01"
    half_day = Interval(43200, anchor_date="2024-10-26T09:00:00", timezone="Europe/Zurich")
    assert shown(half_day, AUTUMN, 2) == "27.08:00+01 27.20:00+01"


def test_naive_anchors_are_in_the_zone_of_the_schedule() -> None:
    schedule = Interval(86400, anchor_date=datetime(2024, 1, 1, 9), timezone="Asia/Tokyo")
    assert schedule.anchor_date.isoformat() == "2024-01-01T09:00:00+09:00"
    assert next_fires(schedule, AUTUMN, 1)[0].isoformat() == "2024-10-27T09:00:00+09:00"
