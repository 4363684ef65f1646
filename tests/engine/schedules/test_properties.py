"""What holds for every schedule, zone and moment; agreement with croniter and dateutil."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from math import inf
from time import thread_time

import pytest
from croniter import croniter
from dateutil.rrule import rrulestr
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.examples import examples

from flowbook.core.cron import parse_cron
from flowbook.schedule.fires import MOST_CAUGHT_UP, ON_TIME, decide, last_fires, previous_fire
from flowbook.schedules import (
    Cron,
    CronSchedule,
    Interval,
    InvalidSchedule,
    RRule,
    Schedule,
    describe,
    from_dict,
    next_fires,
    to_dict,
)

quick = settings(deadline=None, max_examples=examples(150), suppress_health_check=[HealthCheck.too_slow])

# ruff: noqa: DTZ001 (wall times are naive)

ZONES = st.sampled_from(
    [
        "UTC",
        "Africa/Casablanca",
        "America/Havana",
        "America/New_York",
        "America/Sao_Paulo",
        "America/St_Johns",
        "Asia/Beirut",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Europe/Zurich",
        "Pacific/Apia",
        "Pacific/Chatham",
    ]
)
FREQUENCIES = st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"])
WEEKDAYS = st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"])
# Around changes of the clocks as often as anywhere.
CHANGES = [
    datetime(2024, 3, 31, 1, tzinfo=UTC),
    datetime(2024, 10, 27, 1, tzinfo=UTC),
    datetime(2024, 4, 6, 15, tzinfo=UTC),
    datetime(2024, 10, 5, 15, 30, tzinfo=UTC),
    datetime(2018, 11, 4, 3, tzinfo=UTC),
    datetime(2018, 2, 18, 2, tzinfo=UTC),
    datetime(2011, 12, 30, 10, tzinfo=UTC),
    datetime(2010, 3, 14, 3, 31, tzinfo=UTC),
]
MOMENTS = st.one_of(
    st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC)),
    st.builds(
        lambda change, seconds: change + timedelta(seconds=seconds),
        st.sampled_from(CHANGES),
        st.integers(-90_000, 90_000),
    ),
)


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    ranges = st.tuples(number, number).map(sorted).map(lambda ends: f"{ends[0]}-{ends[1]}")
    steps = st.tuples(st.one_of(st.just("*"), ranges), st.integers(1, 20)).map(lambda parts: f"{parts[0]}/{parts[1]}")
    items = st.lists(st.one_of(number.map(str), ranges, steps), min_size=1, max_size=3).map(",".join)
    return st.one_of(st.just("*"), items)


LINES = st.tuples(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7)).map(" ".join)
PARTS = st.fixed_dictionaries(
    {"FREQ": FREQUENCIES},
    optional={
        "INTERVAL": st.integers(1, 50),
        "BYMONTH": st.integers(1, 12),
        "BYDAY": st.sets(WEEKDAYS, min_size=1).map(",".join),
        "BYHOUR": st.sets(st.integers(0, 23), min_size=1, max_size=4).map(lambda hours: ",".join(map(str, hours))),
        "BYMINUTE": st.integers(0, 59),
    },
)
RULES = PARTS.map(lambda parts: ";".join(f"{name}={value}" for name, value in parts.items()))
STARTS = st.datetimes(datetime(2005, 1, 1), datetime(2024, 1, 1)).map(lambda start: f"{start:%Y%m%dT%H%M%S}")


def _or_none(make: Callable[..., Schedule]) -> Callable[..., Schedule | None]:
    def attempt(*arguments: object) -> Schedule | None:
        try:
            return make(*arguments)
        except InvalidSchedule:
            return None

    return attempt


SCHEDULES = st.one_of(
    st.builds(_or_none(lambda line, zone: Cron(line, timezone=zone)), LINES, ZONES),
    st.builds(_or_none(lambda line, zone: Cron(f"0,30 {line}", timezone=zone)), LINES, ZONES),
    st.builds(
        _or_none(lambda start, rule, zone: RRule(f"DTSTART:{start}\nRRULE:{rule}", timezone=zone)),
        STARTS,
        RULES,
        ZONES,
    ),
    st.builds(
        lambda seconds, anchor, zone: Interval(seconds, anchor_date=anchor, timezone=zone),
        st.one_of(st.integers(1, 400_000), st.sampled_from([3600, 86400, 172800, 604800])),
        st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1)),
        ZONES,
    ),
).filter(lambda schedule: schedule is not None)


@quick
@given(SCHEDULES, MOMENTS, st.integers(0, 6))
def test_fires_ascend_after_the_moment_and_chain(schedule: Schedule, after: datetime, cut: int) -> None:
    fires = next_fires(schedule, after, 7)
    instants = [fire.astimezone(UTC) for fire in fires]
    assert all(
        fire.utcoffset() == instant.astimezone(schedule.zone).utcoffset()
        for fire, instant in zip(fires, instants, strict=True)
    )
    assert all(earlier < later for earlier, later in pairwise([after, *instants]))
    assert next_fires(schedule, after, cut) == fires[:cut]
    if len(fires) > cut:
        chained = next_fires(schedule, fires[cut], len(fires) - cut - 1)
        assert [fire.astimezone(UTC) for fire in chained] == instants[cut + 1 :]


@quick
@given(SCHEDULES, MOMENTS)
def test_json_round_trip(schedule: Schedule, after: datetime) -> None:
    copy = from_dict(json.loads(json.dumps(to_dict(schedule))))
    assert copy == schedule
    assert next_fires(copy, after, 2) == next_fires(schedule, after, 2)
    assert describe(copy) == describe(schedule)


@settings(quick, max_examples=examples(60))
@given(st.tuples(field(0, 59), field(0, 23)).map(" ".join), ZONES, st.sampled_from(CHANGES))
def test_cron_is_what_a_walk_over_every_minute_finds(times: str, zone: str, change: datetime) -> None:
    schedule = Cron(f"{times} * * *", timezone=zone)
    begin = change.replace(second=0) - timedelta(hours=30)
    end = begin + timedelta(hours=60)
    fires = [fire.astimezone(UTC) for fire in next_fires(schedule, begin, 3600)]
    assert [fire for fire in fires if fire <= end] == list(_walk(schedule, begin, end))


def _walk(schedule: CronSchedule, begin: datetime, end: datetime) -> Iterator[datetime]:
    """Debian's rule, minute by minute: what the clock shows now, and what it has just skipped."""
    line, minute = parse_cron(schedule.cron), timedelta(minutes=1)
    shown = begin.astimezone(schedule.zone).replace(tzinfo=None)
    instant = begin
    while (instant := instant + minute) <= end:
        local = instant.astimezone(schedule.zone)
        wall = local.replace(tzinfo=None, fold=0)
        due = wall.minute in line.minutes and wall.hour in line.hours and (line.real_time or local.fold == 0)
        if not line.real_time and minute < wall - shown <= timedelta(hours=3):
            skipped = next(line.walls(shown + minute))
            due = due or skipped < wall
        if due:
            yield instant
        shown = wall


@quick
@given(LINES, MOMENTS)
def test_cron_agrees_with_croniter(line: str, after: datetime) -> None:
    """In UTC, and apart from what croniter reads in its own way: `5-5`, and some pairs of day fields."""
    _, _, day, _, weekday = line.split()
    parts = [part.partition("/")[0].partition("-") for part in line.replace(" ", ",").split(",")]
    if any(first == last for first, _, last in parts) or "*" not in (day, weekday):
        return
    theirs = croniter(line, after.replace(tzinfo=None), ret_type=datetime)
    try:
        expected = [theirs.get_next() for _ in range(4)]
    except ValueError:
        with pytest.raises(InvalidSchedule):
            Cron(line)
        return
    assert [fire.replace(tzinfo=None) for fire in next_fires(Cron(line), after, 4)] == expected


@quick
@given(STARTS, RULES)
def test_rules_agree_with_dateutil(start: str, rule: str) -> None:
    text = f"DTSTART:{start}\nRRULE:{rule}"
    try:
        ours = RRule(text)
    except InvalidSchedule:
        return
    first = datetime.strptime(start, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    found = next_fires(ours, first - timedelta(seconds=1), 5)
    theirs = iter(rrulestr(text))
    assert [fire.replace(tzinfo=None) for fire in found] == [next(theirs) for _ in found]


@quick
@given(st.text(alphabet="0123456789*/-,LW#?HRmonfrijan @", max_size=60))
def test_any_line_is_read_or_refused_at_once(line: str) -> None:
    started = thread_time()
    try:
        next_fires(Cron(line), CHANGES[0], 2)
    except InvalidSchedule as refusal:
        assert refusal.field == "cron"
    assert thread_time() - started < 10


NUMBERS = st.lists(st.integers(-400, 400), min_size=1, max_size=3).map(lambda numbers: ",".join(map(str, numbers)))
WILD_PARTS = st.dictionaries(
    st.sampled_from(
        [
            "INTERVAL",
            "COUNT",
            "BYMONTH",
            "BYMONTHDAY",
            "BYYEARDAY",
            "BYWEEKNO",
            "BYHOUR",
            "BYMINUTE",
            "BYSECOND",
            "BYSETPOS",
        ]
    ),
    st.one_of(NUMBERS, st.integers(1, 28).map(str)),
    max_size=5,
)


@quick
@given(
    FREQUENCIES,
    WILD_PARTS,
    ZONES,
    MOMENTS,
)
def test_any_rule_is_read_or_refused_at_once(freq: str, parts: dict, zone: str, after: datetime) -> None:
    text = ";".join([f"FREQ={freq}", *(f"{name}={value}" for name, value in parts.items())])
    started = thread_time()
    try:
        next_fires(RRule(text, timezone=zone), after, 2)
    except InvalidSchedule as refusal:
        assert refusal.field == "rrule"
    assert thread_time() - started < 20  # one search to construct, one for the fires


def _in_order(schedule: Schedule, begin: datetime, end: datetime, most: int = 3000) -> list[float]:
    """The fires from `begin` to `end`, both included, in seconds since the epoch."""
    found = []
    for fire in islice(schedule.fires(begin - timedelta(microseconds=1)), most + 1):
        if fire > end:
            return found
        found.append(fire.timestamp())
    assume(len(found) <= most)
    return found


@quick
@given(SCHEDULES, MOMENTS, st.floats(0, 20_000), st.floats(0, 1))
def test_a_window_that_is_split_has_the_same_fires(
    schedule: Schedule, begin: datetime, minutes: float, at: float
) -> None:
    end = begin + timedelta(minutes=minutes)
    middle = begin + timedelta(minutes=minutes * at)
    whole = _in_order(schedule, begin, end)
    first = _in_order(schedule, begin, middle)
    second = [time for time in _in_order(schedule, middle, end) if time > middle.timestamp()]
    assert first + second == whole
    assert all(earlier < later for earlier, later in pairwise(whole))


@quick
@given(
    SCHEDULES,
    MOMENTS,
    st.floats(0, 20_000),
    st.sampled_from(["one", "all", "skip"]),
    st.floats(-1e-6, 1e-6),
)
def test_every_fire_of_a_window_runs_or_is_missed(
    schedule: Schedule, begin: datetime, minutes: float, catchup: str, hair: float
) -> None:
    """None is lost, and none is both. `hair` puts the end of the window next to a fire, where rounding would tell."""
    schedule = replace(schedule, catchup=catchup)
    fires = _in_order(schedule, begin, begin + timedelta(minutes=minutes))
    end = (begin + timedelta(minutes=minutes)).timestamp() if not fires else fires[-1] + hair
    decided = decide(schedule, begin.timestamp(), end)
    fires = [time for time in fires if time <= end]

    first, until = decided.missed or (inf, -inf)
    assert [time for time in fires if first <= time <= until] + list(decided.runs) == fires
    assert decided.missed is None or (first in fires and until in fires)
    walk = (fire.timestamp() for fire in schedule.fires(begin - timedelta(microseconds=1)))
    assert decided.next_due == next((time for time in walk if time > end), None)

    late = [time for time in fires if time <= end - ON_TIME]
    on_time = fires[len(late) :]
    expected = {
        "one": on_time or late[-1:],
        "all": fires[-MOST_CAUGHT_UP:] if late else fires,
        "skip": on_time,
    }
    assert list(decided.runs) == expected[catchup]


@quick
@given(SCHEDULES, MOMENTS, st.lists(st.floats(0, 3000), min_size=1, max_size=8), st.floats(0, 5))
def test_whenever_one_looks_each_fire_is_dealt_with_once(
    schedule: Schedule, begin: datetime, pauses: list[float], scale: float
) -> None:
    schedule = replace(schedule, catchup="all")
    since, now = begin.timestamp(), begin.timestamp()
    seen: list[float] = []
    for pause in pauses:
        now += pause * scale
        assume((now - since) / 1000 < MOST_CAUGHT_UP)
        decided = decide(schedule, since, now)
        assume(decided.missed is None)
        seen += decided.runs
        if decided.next_due is None:
            break
        assert decided.next_due > now
        since = decided.next_due
    else:
        assert seen == [
            time for time in _in_order(schedule, begin, _utc(now), 20_000) if begin.timestamp() <= time <= now
        ]


def _utc(time: float) -> datetime:
    return datetime.fromtimestamp(time, UTC) + timedelta(microseconds=1)


@settings(quick, max_examples=examples(60))
@given(SCHEDULES, MOMENTS, st.integers(1, 5))
def test_the_last_fires_are_those_that_a_walk_finds(schedule: Schedule, begin: datetime, most: int) -> None:
    end = begin + timedelta(days=2)
    expected = _in_order(schedule, begin, end, 200_000)[-most:]
    assert last_fires(schedule, begin.timestamp(), end.timestamp(), most) == expected
    if len(expected) > 1:
        assert previous_fire(schedule, expected[-1]) == expected[-2]
