"""What cannot be kept is refused at once, naming the argument to correct."""

import pickle
from datetime import UTC, date, datetime, timedelta
from time import thread_time

import pytest

from flowbook.schedules import Cron, CronSchedule, Interval, InvalidSchedule, RRule, Schedule, coerce_schedule

EVERY_SECOND = ",".join(map(str, range(60)))

BAD_CRON = {
    "": "0 fields",
    "* * * *": "4 fields",
    "* * * * * * *": "7 fields",
    "a b c d e": "minute",
    "60 * * * *": "60 as minute",
    "* 24 * * *": "24 as hour",
    "* * 0 * *": "0 as day-of-month",
    "* * 32 * *": "32 as day-of-month",
    "* * * 13 *": "13 as month",
    "* * * foo *": "jan…dec",
    "* * * * 8": "8 as day-of-week",
    "* * * * mon#6": "day-of-week",
    "60 * * * * *": "60 as second",
    "*/ * * * *": "minute",
    "*/0 * * * *": "step of 0",
    "-5 * * * *": "minute",
    "1, * * * *": "minute",
    "1,,2 * * * *": "minute",
    "1- * * * *": "minute",
    "50-10 * * * *": "write 50-59,0-10",
    "٣ * * * *": "minute",
    "0\u00a09 * * *": "4 fields",
    "R * * * *": "draws its minute",
    "H H * * *": "draws its minute",
    "0 H/2 * * *": "draws its hour",
    "0 H(0-5) * * *": "draws its hour",
    "@reboot": "@daily",
    "@every 5m": "@daily",
    "0 0 30 2 *": "never fires",
    "0 0 31 4,6,9,11 *": "never fires",
    "0 0 30 2 ?": "never fires",
    "* " * 200: "at most 256",
    "9" * 240 + " * * * *": "minute",
}


@pytest.mark.parametrize(("line", "words"), BAD_CRON.items())
def test_bad_cron_lines(line: str, words: str) -> None:
    with pytest.raises(InvalidSchedule) as refusal:
        Cron(line)
    assert refusal.value.field == "cron"
    assert words in str(refusal.value)
    assert len(str(refusal.value)) < 500


BAD_RULES = {
    "": "FREQ=",
    "BYDAY=MO": "no FREQ",
    "FREQ=FORTNIGHTLY": "DAILY",
    "FREQ=DAILY;FREQ=WEEKLY": "twice",
    "FREQ=DAILY;BYEASTER=0": "BYEASTER",
    "FREQ=DAILY;INTERVAL=0": "INTERVAL=0",
    "FREQ=DAILY;INTERVAL=-1": "INTERVAL=-1",
    "FREQ=DAILY;INTERVAL=x": "INTERVAL=x",
    "FREQ=DAILY;INTERVAL=" + "9" * 1000: "INTERVAL",
    "FREQ=DAILY;COUNT=0": "COUNT=0",
    "FREQ=DAILY;COUNT=-1": "COUNT=-1",
    "FREQ=DAILY;COUNT=3;UNTIL=20300101T000000": "both COUNT and UNTIL",
    "FREQ=DAILY;UNTIL=tomorrow": "UNTIL",
    "FREQ=DAILY;UNTIL=20251301T000000": "UNTIL",
    "FREQ=MONTHLY;BYMONTHDAY=0": "BYMONTHDAY=0",
    "FREQ=MONTHLY;BYMONTHDAY=32": "BYMONTHDAY=32",
    "FREQ=YEARLY;BYMONTH=13": "BYMONTH=13",
    "FREQ=YEARLY;BYYEARDAY=0": "BYYEARDAY=0",
    "FREQ=YEARLY;BYWEEKNO=54": "BYWEEKNO=54",
    "FREQ=DAILY;BYHOUR=24": "BYHOUR=24",
    "FREQ=DAILY;BYMINUTE=60": "BYMINUTE=60",
    "FREQ=DAILY;BYHOUR=": "BYHOUR=",
    "FREQ=WEEKLY;BYDAY=XX": "BYDAY=XX",
    "FREQ=WEEKLY;BYDAY=1MO": "numbered BYDAY",
    "FREQ=MONTHLY;BYDAY=0MO": "BYDAY=0MO",
    "FREQ=WEEKLY;WKST=MONDAY": "WKST",
    "FREQ=MONTHLY;BYWEEKNO=3": "BYWEEKNO",
    "FREQ=WEEKLY;BYMONTHDAY=3": "BYMONTHDAY",
    "FREQ=DAILY;BYYEARDAY=3": "BYYEARDAY",
    "FREQ=MONTHLY;BYSETPOS=1": "BYSETPOS",
    "FREQ=DAILY\nRRULE:FREQ=WEEKLY": "more than one rule",
    "DTSTART:20250101\nDTSTART:20250102\nRRULE:FREQ=DAILY": "two DTSTART",
    "DTSTART:soon\nRRULE:FREQ=DAILY": "DTSTART",
    "DTSTART:20250101T000000": "FREQ=",
    "DTSTART:20250101T000000\nRRULE:FREQ=DAILY;UNTIL=20240101T000000": "never fires",
    "FREQ=DAILY;" + "BYDAY=MO," * 500: "at most 2048",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30": "never fires",
    "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30": "never fires",
    "FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6": "never fires",
    "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=9": "never fires",
    "FREQ=HOURLY;INTERVAL=24;BYHOUR=3": "never fires",
    "FREQ=MINUTELY;INTERVAL=60;BYMINUTE=7": "never fires",
    "FREQ=SECONDLY;INTERVAL=60;BYSECOND=7": "never fires",
    "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30": "never fires",
    f"FREQ=MINUTELY;BYSECOND={EVERY_SECOND};BYSETPOS=61": "never fires",
    f"FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30;BYMINUTE={EVERY_SECOND};BYSECOND={EVERY_SECOND}": "never fires",
    "FREQ=SECONDLY;BYHOUR=3;COUNT=100000": "UNTIL instead",
}


@pytest.mark.parametrize(("rule", "words"), BAD_RULES.items())
def test_bad_rules(rule: str, words: str) -> None:
    started = thread_time()
    with pytest.raises(InvalidSchedule) as refusal:
        RRule(rule, timezone="Europe/Zurich")
    assert thread_time() - started < 10
    assert refusal.value.field == "rrule"
    assert words in str(refusal.value)
    assert len(str(refusal.value)) < 500


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("Europe/Zurch", "did you mean Europe/Zurich?"),
        ("europe/zurich", "did you mean Europe/Zurich?"),
        ("Zurich", "did you mean Europe/Zurich?"),
        ("New York", "did you mean America/New_York?"),
        ("CEST", "use an IANA name"),
        ("Europe", "Europe/"),
        ("/etc/passwd", "use an IANA name"),
        ("../../etc/passwd", "use an IANA name"),
        ("x" * 100_000, "use an IANA name"),
        ("\x00", "use an IANA name"),
        (5, "Europe/Zurich"),
    ],
)
def test_unknown_zones(zone: str, words: str) -> None:
    for make in (lambda: Cron("@daily", timezone=zone), lambda: Interval(60, timezone=zone)):
        with pytest.raises(InvalidSchedule) as refusal:
            make()
        assert refusal.value.field == "timezone"
        assert words in str(refusal.value)


@pytest.mark.parametrize("interval", [0, -1, 0.5, float("nan"), float("inf"), 1e300, 10**400, timedelta(0)])
def test_intervals_out_of_range(interval: float) -> None:
    with pytest.raises(InvalidSchedule, match="at least one second") as refusal:
        Interval(interval)
    assert refusal.value.field == "interval"


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Interval(True), "interval"),
        (lambda: Interval("3600"), "interval"),
        (lambda: Interval(None), "interval"),
        (lambda: Interval(60, anchor_date="soon"), "anchor_date"),
        (lambda: Interval(60, anchor_date=date(2025, 1, 1)), "anchor_date"),
        (lambda: Interval(60, anchor_date=datetime.max.replace(tzinfo=UTC)), "anchor_date"),
        (lambda: Cron(None), "cron"),
        (lambda: Cron("@daily", day_or="yes"), "day_or"),
        (lambda: Cron("@daily", active=1), "active"),
        (lambda: Cron("@daily", parameters=[1]), "parameters"),
        (lambda: Cron("@daily", parameters={1: 2}), "parameters"),
        (lambda: Cron("@daily", slug=3), "slug"),
        (lambda: RRule(7), "rrule"),
        (
            lambda: RRule("DTSTART;TZID=Asia/Tokyo:20250101T090000\nRRULE:FREQ=DAILY", timezone="UTC"),
            "timezone",
        ),
        (lambda: RRule("DTSTART;TZID=Asia/Tokio:20250101T090000\nRRULE:FREQ=DAILY"), "timezone"),
        (lambda: coerce_schedule(None), "schedule"),
        (lambda: coerce_schedule(True), "schedule"),
        (lambda: coerce_schedule({}), "schedule"),
        (lambda: coerce_schedule({"cron": "@daily", "interval": 60}), "schedule"),
        (lambda: coerce_schedule({"cron": "@daily", "timezon": "UTC"}), "timezon"),
        (lambda: coerce_schedule({"cron": "61 * * * *"}), "cron"),
        (lambda: coerce_schedule({"interval": "often"}), "interval"),
        (lambda: coerce_schedule(Cron("@daily", timezone="Asia/Tokyo"), timezone="UTC"), "timezone"),
    ],
)
def test_bad_arguments(make, field: str) -> None:
    with pytest.raises(InvalidSchedule) as refusal:
        make()
    assert refusal.value.field == field


def test_the_error_is_a_value_error_and_survives_pickling() -> None:
    with pytest.raises(ValueError, match="minute") as refusal:
        Cron("x * * * *")
    copy = pickle.loads(pickle.dumps(refusal.value))
    assert (type(copy), copy.field, str(copy)) == (InvalidSchedule, "cron", str(refusal.value))


def test_the_common_type_is_not_a_schedule_by_itself() -> None:
    with pytest.raises(TypeError, match="Cron"):
        Schedule()
    with pytest.raises(TypeError):
        CronSchedule("@daily")  # type: ignore[misc]
