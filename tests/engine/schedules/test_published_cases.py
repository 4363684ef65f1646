"""The published corpus: each line of schedules.jsonl is a schedule with its answer."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from time import thread_time

import pytest

from flowbook.schedules import Cron, Interval, InvalidSchedule, RRule, Schedule, next_fires

CASES = [json.loads(line) for line in Path(__file__).with_name("schedules.jsonl").read_text().splitlines()]

DISPUTED = {"rrule-1170", "rrule-1212", "rrule-1219"}
"""FREQ=HOURLY across clocks going back. The corpus leaves out the second pass of the repeated hour, so that
two hours go by without a run, against its own rule "finer than daily is elapsed time" and its other cases:
INTERVAL=6 hours over the same night, and 30 minutes at Lord Howe, whose second pass is there."""


def _schedule(case: dict) -> Schedule:
    if case["kind"] == "cron":
        return Cron(case["spec"], timezone=case["timezone"])
    if case["kind"] == "interval":
        return Interval(case["spec"]["seconds"], anchor_date=case["spec"]["anchor"], timezone=case["timezone"])
    return RRule(case["rrule_text"], timezone=case["timezone"])


def _parameters() -> list:
    disputed = pytest.mark.xfail(strict=True, reason="the corpus contradicts its own rule, see DISPUTED")
    return [pytest.param(case, id=case["id"], marks=[disputed] if case["id"] in DISPUTED else []) for case in CASES]


def test_the_corpus_is_complete() -> None:
    assert len(CASES) == 190


@pytest.mark.parametrize("case", _parameters())
def test_case(case: dict) -> None:
    started = thread_time()
    if "expected_error" in case:
        with pytest.raises(InvalidSchedule) as refusal:
            _schedule(case)
        assert refusal.value.field == case["kind"]
        assert case["kind"] in str(refusal.value)
        assert thread_time() - started < 10
        return
    schedule = _schedule(case)
    after = datetime.fromisoformat(case["start"])
    if case["kind"] == "rrule":  # `start` is DTSTART, and counts if it is an occurrence
        after = after.replace(tzinfo=schedule.zone) - timedelta(microseconds=1)
    expected = [datetime.fromisoformat(text).timestamp() for text in case["expected"]]
    assert [fire.timestamp() for fire in next_fires(schedule, after, len(expected))] == expected
