"""What lines, rules and intervals mean, besides the corpus; words; values and their dicts."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from time import thread_time
from zoneinfo import ZoneInfo

import pytest

import flowbook.schedules
from flowbook.schedules import (
    Cron,
    CronSchedule,
    Interval,
    IntervalSchedule,
    RRule,
    RRuleSchedule,
    Schedule,
    caveats,
    coerce_schedule,
    describe,
    from_dict,
    next_fires,
    to_dict,
)

START = datetime(2024, 1, 10, 10, 7, 17, tzinfo=UTC)  # a Wednesday


def days(schedule: Schedule, n: int) -> str:
    return " ".join(f"{fire:%m-%d}" for fire in next_fires(schedule, START, n))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0 0 13 * fri", "01-12 01-13 01-19 01-26 02-02"),  # either is enough
        ("0 0 */10 * mon", "01-11 01-15 01-21 01-22 01-29"),  # `*/10` is not exactly `*`
        ("0 0 13 * *", "01-13 02-13"),
        ("0 0 ? * fri", "01-12 01-19"),
        ("0 0 * * fri-sun", "01-12 01-13 01-14 01-19"),
        ("0 0 * * 5-7", "01-12 01-13 01-14 01-19"),
        ("0 0 * * 7", "01-14 01-21"),
        ("0 0 L * *", "01-31 02-29 03-31"),
        ("0 0 L,15 * *", "01-15 01-31 02-15"),
        ("0 0 13W * *", "01-12 02-13 03-13 04-12"),
        ("0 0 1W 6,9 *", "06-03 09-02"),
        ("0 0 31W 6 *", "06-28 06-30"),
        ("0 0 * * fri#2", "01-12 02-09"),
        ("0 0 * * 5#2,1#1", "01-12 02-05 02-09"),
        ("0 0 * * 5L", "01-26 02-23"),
        ("0 0 * * L5", "01-26 02-23"),
        ("0 0 * * friL", "01-26 02-23"),
        ("0 0 29 feb *", "02-29 02-29"),
        ("0 0 1 JAN,Jul *", "07-01 01-01"),
        ("@YEARLY", "01-01 01-01"),
    ],
)
def test_days_of_cron(line: str, expected: str) -> None:
    assert days(Cron(line), len(expected.split())) == expected


def test_both_days_with_day_or_false() -> None:
    friday_13th = Cron("0 0 13 * fri", day_or=False)
    assert days(friday_13th, 2) == "09-13 12-13"
    leap_monday = Cron("0 0 29 2 mon", day_or=False)
    assert [fire.year for fire in next_fires(leap_monday, START, 2)] == [2044, 2072]
    across_2100 = next_fires(leap_monday, datetime(2073, 1, 1, tzinfo=UTC), 1)
    assert [fire.year for fire in across_2100] == [2112]


def test_an_equal_range_is_one_value() -> None:
    assert [fire.minute for fire in next_fires(Cron("5-5 * * * *"), START, 2)] == [5, 5]
    assert next_fires(Cron("0 0 5-5 3-3 *"), START, 1)[0].isoformat() == "2024-03-05T00:00:00+00:00"


def test_strictly_after() -> None:
    noon = datetime(2024, 1, 10, 12, tzinfo=UTC)
    assert next_fires(Cron("0 12 * * *"), noon, 1) == [noon + timedelta(days=1)]
    assert next_fires(Cron("0 12 * * *"), noon - timedelta(microseconds=1), 1) == [noon]
    assert next_fires(Interval(60), noon, 1) == [noon + timedelta(minutes=1)]
    assert next_fires(RRule("FREQ=HOURLY"), noon, 1) == [noon + timedelta(hours=1)]


def test_times_out_of_the_ordinary() -> None:
    assert next_fires(Cron("@daily"), START, 0) == []
    assert next_fires(Cron("@daily"), START, -1) == []
    for schedule in (
        Cron("@daily", timezone="Asia/Tokyo"),
        Interval(60),
        Interval(86400),
        RRule("FREQ=DAILY"),
    ):
        assert next_fires(schedule, datetime.max.replace(tzinfo=UTC), 1) == []
        assert len(next_fires(schedule, datetime.min.replace(tzinfo=UTC), 1)) == 1
        with pytest.raises(ValueError, match="aware"):
            next_fires(schedule, START.replace(tzinfo=None), 1)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "01-31 02-29 03-29"),
        ("FREQ=MONTHLY;BYDAY=-1FR", "01-26 02-23"),
        ("FREQ=YEARLY;BYDAY=20MO", "05-13 05-19"),
        ("FREQ=YEARLY;BYDAY=-1SU", "12-29 12-28"),
        ("FREQ=MONTHLY;BYMONTHDAY=-1,-2", "01-30 01-31 02-28 02-29"),
        ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "09-13 12-13"),
        ("FREQ=YEARLY;BYYEARDAY=60,-1", "02-29 12-31 03-01"),
        ("FREQ=YEARLY;BYWEEKNO=1;BYDAY=MO", "12-30 12-29"),
        ("DTSTART:20240101T000000\nRRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU", "01-16 01-21 01-30"),
        ("DTSTART:20240101T000000\nRRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU", "01-14 01-16 01-28"),
        ("DTSTART:20240101T120000\nRRULE:FREQ=DAILY;INTERVAL=5", "01-11 01-16"),
    ],
)
def test_days_of_rules(rule: str, expected: str) -> None:
    assert days(RRule(rule), len(expected.split())) == expected


def test_week_start_decides_which_weeks_are_skipped() -> None:
    """The example of RFC 5545 §3.8.5.3: the same rule with WKST=MO and WKST=SU."""
    text = "DTSTART:19970805T090000\nRRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST={}"
    after = datetime(1997, 8, 1, tzinfo=UTC)
    found = {day: [f.day for f in next_fires(RRule(text.format(day)), after, 9)] for day in ("MO", "SU")}
    assert found == {"MO": [5, 10, 19, 24], "SU": [5, 17, 19, 31]}


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        ("DTSTART:20240101T120000\nRRULE:FREQ=DAILY;COUNT=12", 3),
        ("DTSTART:20240101T120000\nRRULE:FREQ=DAILY;UNTIL=20240112T120000Z", 3),
        ("DTSTART:20240101T120000\nRRULE:FREQ=DAILY;UNTIL=20240112T115959", 2),
        ("DTSTART:20240101T120000\nRRULE:FREQ=HOURLY;COUNT=225", 10),
        ("DTSTART:20240101T120000\nRRULE:FREQ=HOURLY;BYHOUR=12;COUNT=12", 3),
        ("DTSTART:20240101T120000\nRRULE:FREQ=HOURLY;UNTIL=20240110T120000", 2),
        ("DTSTART:20240101T120000\nRRULE:FREQ=DAILY;COUNT=3", 0),
    ],
)
def test_rules_end(rule: str, left: int) -> None:
    assert len(next_fires(RRule(rule), START, 50)) == left


def test_a_rule_of_long_ago_is_found_at_once() -> None:
    rule = RRule("DTSTART:19700101T000000\nRRULE:FREQ=SECONDLY;INTERVAL=7;BYHOUR=3", timezone="Europe/Zurich")
    started = thread_time()
    assert next_fires(rule, START, 1)[0].hour == 3
    assert thread_time() - started < 2


HOURS, SIXTY = ",".join(map(str, range(24))), ",".join(map(str, range(60)))
POSITIONS = ",".join(map(str, [1, *range(-366, -61)]))


@pytest.mark.parametrize(
    "rule",
    [
        f"FREQ=YEARLY;BYDAY=MO,WE,SU;BYHOUR={HOURS};BYMINUTE={SIXTY};BYSECOND={SIXTY}",
        f"FREQ=YEARLY;BYDAY=MO,WE,SU;BYHOUR={HOURS};BYMINUTE={SIXTY};BYSECOND={SIXTY};BYSETPOS=-1",
        f"FREQ=HOURLY;BYMINUTE={SIXTY};BYSECOND={SIXTY};BYSETPOS=1;COUNT=30000",
        f"FREQ=MINUTELY;BYSECOND={SIXTY};BYSETPOS={POSITIONS};COUNT=30000",
        "FREQ=SECONDLY;COUNT=100000",
        "FREQ=DAILY;COUNT=100000",
        "FREQ=YEARLY;BYYEARDAY=366;COUNT=1000",
    ],
)
def test_wide_rules_are_quick(rule: str) -> None:
    started = thread_time()
    late_in_the_year = datetime(2020, 12, 30, 23, 59, tzinfo=UTC)
    next_fires(RRule(rule, timezone="Europe/Zurich"), late_in_the_year, 3)
    assert thread_time() - started < 10


def test_the_zone_of_a_rule() -> None:
    text = "DTSTART;TZID=Asia/Tokyo:20240101T090000\nRRULE:FREQ=DAILY"
    assert RRule(text).timezone == "Asia/Tokyo"
    assert next_fires(RRule(text), START, 1)[0].isoformat() == "2024-01-11T09:00:00+09:00"
    in_utc = RRule("DTSTART:20240101T090000Z\nRRULE:FREQ=DAILY", timezone="Asia/Tokyo")
    assert next_fires(in_utc, START, 1)[0].isoformat() == "2024-01-11T18:00:00+09:00"


def test_three_days_of_a_minutely_line_are_quick() -> None:
    started = thread_time()
    assert len(next_fires(Cron("* * * * *", timezone="Europe/Zurich"), START, 4320)) == 4320
    assert thread_time() - started < 10


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (Cron("0 7 * * 1-5"), "Weekdays at 07:00"),
        (Cron("0 7 * * mon,tue,wed,thu,fri"), "Weekdays at 07:00"),
        (Cron("30 8 * * sat,sun"), "Weekends at 08:30"),
        (Cron("0 9,12 * * mon,thu"), "Mondays and Thursdays at 09:00 and 12:00"),
        (Cron("5 4 * * sun"), "Sundays at 04:05"),
        (Cron("@daily"), "Every day at 00:00"),
        (Cron("@hourly"), "Every hour"),
        (Cron("20 * * * *"), "Every hour at 20 past"),
        (Cron("* * * * *"), "Every minute"),
        (Cron("*/15 * * * *"), "Every 15 minutes"),
        (Cron("0 */6 * * *"), "Every 6 hours"),
        (Cron("@monthly"), "On day 1 of every month at 00:00"),
        (Cron("0 6 L * *"), "On the last day of every month at 06:00"),
        (Cron("*/7 * * * *"), "cron */7 * * * *"),
        (Cron("* 3 * * *"), "cron * 3 * * *"),
        (Cron("*/15 * * * mon"), "cron */15 * * * mon"),
        (Cron("0 0 13  * fri"), "cron 0 0 13 * fri"),
        (Cron("5 4 29 2 *"), "cron 5 4 29 2 *"),
        (Cron("30 0 7 * * *"), "cron 30 0 7 * * *"),
        (Interval(900), "Every 15 minutes"),
        (Interval(3600), "Every hour"),
        (Interval(5400), "Every 1 hour 30 minutes"),
        (Interval(timedelta(days=7)), "Every 7 days"),
        (Interval(1.5), "Every 1.5 seconds"),
        (RRule("FREQ=MINUTELY;INTERVAL=20"), "Every 20 minutes"),
        (RRule("DTSTART:20240101T093000\nRRULE:FREQ=DAILY"), "Every day at 09:30"),
        (RRule("RRULE:FREQ=WEEKLY;BYDAY=MO"), "rrule FREQ=WEEKLY;BYDAY=MO"),
        (RRule("FREQ=DAILY;COUNT=3"), "rrule FREQ=DAILY;COUNT=3"),
    ],
)
def test_words(schedule: Schedule, words: str) -> None:
    assert describe(schedule) == words


def test_caveats_name_the_or_of_days() -> None:
    assert len(caveats(Cron("0 0 13 * fri"))) == 1
    assert "day_or=False" in caveats(Cron("0 0 13 * fri"))[0]
    for quiet in (Cron("0 0 13 * *"), Cron("0 0 * * 5"), Cron("0 0 13 * fri", day_or=False), Interval(60)):
        assert caveats(quiet) == []


def test_the_keyword_forms_are_the_same_values() -> None:
    assert CronSchedule(cron="0 7 * * *", timezone="Asia/Tokyo") == Cron("0 7 * * *", timezone="Asia/Tokyo")
    assert IntervalSchedule(interval=timedelta(hours=1)) == Interval(3600) == Interval(timedelta(hours=1))
    assert RRuleSchedule(rrule="FREQ=DAILY") == RRule("FREQ=DAILY")
    assert Cron("0 7 * * *", "Asia/Tokyo", False) == Cron("0 7 * * *", timezone="Asia/Tokyo", day_or=False)
    for schedule in (Cron("@daily"), Interval(60), RRule("FREQ=DAILY")):
        assert isinstance(schedule, Schedule)
        assert schedule.timezone == "UTC"
        assert len({schedule, from_dict(to_dict(schedule))}) == 1
        with pytest.raises(AttributeError):
            schedule.timezone = "Asia/Tokyo"  # type: ignore[misc]


def test_parameters_are_copied() -> None:
    parameters = {"region": "CH"}
    schedule = Cron("@daily", parameters=parameters)
    parameters["region"] = "DE"
    assert schedule.parameters == {"region": "CH"}


def test_zones_of_an_interval() -> None:
    zurich = ZoneInfo("Europe/Zurich")
    assert Interval(60, anchor_date=datetime(2024, 7, 1, tzinfo=zurich)).timezone == "Europe/Zurich"
    summer = timezone(timedelta(hours=2))
    fixed = Interval(86400, anchor_date=datetime(2024, 7, 1, 9, tzinfo=summer), timezone=zurich)
    assert fixed.anchor_date.isoformat() == "2024-07-01T09:00:00+02:00"
    assert Interval(60, anchor_date=datetime(2024, 7, 1, tzinfo=summer)).timezone == "UTC"


@pytest.mark.parametrize(
    ("value", "schedule"),
    [
        ({"cron": "0 6 * * 1-5", "timezone": "Europe/London"}, Cron("0 6 * * 1-5", timezone="Europe/London")),
        ({"cron": "0 6 * * 1-5"}, Cron("0 6 * * 1-5", timezone="Asia/Tokyo")),
        ({"interval": 14400}, Interval(14400, timezone="Asia/Tokyo")),
        (
            {"interval": timedelta(hours=4), "anchor_date": None},
            Interval(timedelta(hours=4), timezone="Asia/Tokyo"),
        ),
        (
            {"rrule": "FREQ=DAILY", "slug": "nightly"},
            RRule("FREQ=DAILY", timezone="Asia/Tokyo", slug="nightly"),
        ),
        ("0 6 * * *", Cron("0 6 * * *", timezone="Asia/Tokyo")),
        ("FREQ=DAILY", RRule("FREQ=DAILY", timezone="Asia/Tokyo")),
        (14400, Interval(14400, timezone="Asia/Tokyo")),
        (timedelta(hours=4), Interval(14400, timezone="Asia/Tokyo")),
        (Cron("@daily", timezone="Asia/Tokyo"), Cron("@daily", timezone="Asia/Tokyo")),
    ],
)
def test_coercion(value: object, schedule: Schedule) -> None:
    assert coerce_schedule(value, timezone="Asia/Tokyo") == schedule


@pytest.mark.parametrize(
    "schedule",
    [
        Cron(
            "0 7 * * 1-5",
            timezone="Europe/Zurich",
            day_or=False,
            active=False,
            parameters={"a": [1]},
            slug="x",
        ),
        Interval(14400, anchor_date="2024-10-27T02:30:00+01:00", timezone="Europe/Zurich"),
        Interval(0.1 + 90, timezone="Asia/Kathmandu"),
        RRule("DTSTART;TZID=Asia/Tokyo:20240101T090000\nRRULE:FREQ=DAILY", parameters={"now": "{{ run_id }}"}),
    ],
)
def test_json_round_trip(schedule: Schedule) -> None:
    copy = from_dict(json.loads(json.dumps(to_dict(schedule))))
    assert copy == schedule
    assert next_fires(copy, START, 3) == next_fires(schedule, START, 3)
    assert json.loads(json.dumps(to_dict(schedule)))["timezone"] == schedule.timezone


def test_the_public_names() -> None:
    assert sorted(flowbook.schedules.__all__) == list(flowbook.schedules.__all__)
    assert all(hasattr(flowbook.schedules, name) for name in flowbook.schedules.__all__)


def test_importing_is_light() -> None:
    heavy = {"croniter", "dateutil", "pydantic", "sqlalchemy", "IPython"}
    code = f"import sys, flowbook.schedules; print({heavy} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert found.stdout.strip() == "set()"
