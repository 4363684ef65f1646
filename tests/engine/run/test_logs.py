"""Logs and prints: on the terminal as people know them, and kept with the run that said them."""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from typing import Any

import pytest

from flowbook import flow, get_run_logger, task
from flowbook.errors import MissingContextError
from flowbook.runs import run_view

LINE = re.compile(r"^\d\d:\d\d:\d\d\.\d{3} \| (?P<level>[A-Z]+ *) \| (?P<who>.+?) - (?P<said>.*)$")

Capture = pytest.CaptureFixture[str]


def lines(capsys: Capture) -> list[tuple[str, str, str]]:
    """Level, speaker and words of each line on the terminal, with the names of flow runs left out."""
    found = []
    for line in capsys.readouterr().err.splitlines():
        match = LINE.match(line)
        assert match, f"not a line of log: {line!r}"
        assert len(match["level"]) == 7
        who = re.sub(r"Flow run '[a-z]+-[a-z]+'", "Flow run", match["who"])
        said = re.sub(r"flow run '[a-z]+-[a-z]+'", "flow run", match["said"])
        found.append((match["level"].strip(), who, said))
    return found


def said_in(number: int | str = "last") -> list[tuple[str, str, str | None]]:
    """Level, words and task run of each line that was kept with a run."""
    view = run_view(number)
    names = {node.id: node.name for node in view.nodes.values()}
    return [(line.level, line.message, names.get(line.task_run_id or "")) for line in view.logs]


def test_the_terminal_tells_the_story_of_a_run(capsys: Capture) -> None:
    @task
    def fetch_data() -> list[int]:
        return [1]

    @task
    def process(records: list[int]) -> list[int]:
        return records

    @flow(name="My Pipeline")
    def pipeline() -> list[int]:
        return process(fetch_data())

    pipeline()
    assert lines(capsys) == [
        ("INFO", "flowbook.engine", "Created flow run for flow 'My Pipeline'"),
        ("INFO", "Task run 'fetch_data'", "Finished in state Completed()"),
        ("INFO", "Task run 'process'", "Finished in state Completed()"),
        ("INFO", "Flow run", "Finished in state Completed()"),
    ]


def test_retries_and_failures_are_told(capsys: Capture) -> None:
    @task(retries=1)
    def flaky() -> None:
        raise ConnectionError("Simulated network failure")

    @flow
    def pipeline() -> None:
        flaky()

    with pytest.raises(ConnectionError):
        pipeline()
    said = [words for _, who, words in lines(capsys) if who == "Task run 'flaky'"]
    assert said == [
        "Attempt 1 failed with ConnectionError: Simulated network failure. Retrying in 0.0 seconds...",
        "Finished in state Failed('ConnectionError: Simulated network failure')",
    ]


def test_prints_are_lines_of_the_log_where_asked_for(capsys: Capture) -> None:
    @task(log_prints=True)
    def loud() -> None:
        print("Running query:", "SELECT 1", sep=" ")
        print("to stderr", file=sys.stderr)

    @task
    def quiet() -> None:
        print("plain")

    @flow
    def pipeline() -> None:
        loud()
        quiet()

    pipeline()
    assert said_in() == [("INFO", "Running query: SELECT 1", "loud")]
    out, err = capsys.readouterr()
    assert out == "plain\n"
    assert "INFO    | Task run 'loud' - Running query: SELECT 1\n" in err
    assert "\nto stderr\n" in err


def test_the_tasks_of_a_flow_print_like_it_unless_they_say_otherwise() -> None:
    @task
    def inherits() -> None:
        print("inherited")

    @task(log_prints=False)
    def refuses() -> None:
        print("refused")

    @flow(log_prints=True)
    def pipeline() -> None:
        print("of the flow")
        inherits()
        inherits.submit().wait()
        refuses()

    pipeline()
    assert said_in() == [
        ("INFO", "of the flow", None),
        ("INFO", "inherited", "inherits"),
        ("INFO", "inherited", "inherits-1"),
    ]


def test_print_outside_of_runs_is_as_ever(capsys: Capture) -> None:
    task(log_prints=True)(lambda: None)()
    capsys.readouterr()
    print("a", 1, sep="-", end="!")
    assert capsys.readouterr() == ("a-1!", "")


def test_the_run_logger_knows_its_run() -> None:
    @task
    def careful() -> None:
        logger = get_run_logger()
        logger.warning("%d rows dropped", 3)
        logger.debug("not shown at INFO")
        try:
            raise ValueError("bad row")
        except ValueError:
            logger.exception("gave up")

    @flow
    def pipeline() -> None:
        get_run_logger().info("begins")
        careful.submit().wait()

    pipeline()
    first, warning, error = said_in()
    assert first == ("INFO", "begins", None)
    assert warning == ("WARNING", "3 rows dropped", "careful")
    assert error[0] == "ERROR"
    assert error[1].startswith("gave up\nTraceback (most recent call last):")
    assert error[1].endswith("ValueError: bad row")


def test_the_level_is_a_setting(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("FLOWBOOK_LOGGING_LEVEL", "warning")

    @flow
    def pipeline() -> None:
        get_run_logger().info("hidden")
        get_run_logger().error("shown")

    pipeline()
    assert [words for _, _, words in lines(capsys)] == ["shown"]
    assert said_in() == [("ERROR", "shown", None)]


def test_the_logger_of_a_run_works_in_a_thread_of_the_user_s_own() -> None:
    @flow
    def pipeline() -> None:
        logger = get_run_logger()
        thread = threading.Thread(target=logger.info, args=("from afar",))
        thread.start()
        thread.join()

    pipeline()
    assert said_in() == [("INFO", "from afar", None)]


def test_the_loggers_are_named(caplog: pytest.LogCaptureFixture) -> None:
    names: list[str] = []

    @task
    def tell() -> None:
        names.append(get_run_logger().logger.name)

    @flow
    def pipeline() -> None:
        names.append(get_run_logger().logger.name)
        tell()

    pipeline()
    assert names == ["flowbook.flow_runs", "flowbook.task_runs"]


def test_there_is_no_run_logger_outside_of_runs() -> None:
    with pytest.raises(MissingContextError, match=r"outside of a flow or task run; call it inside one, or use logging"):
        get_run_logger()


def test_thousands_of_lines_are_all_kept_in_order() -> None:
    @task(log_prints=True)
    def chatty() -> None:
        for n in range(3000):
            print(n)

    @flow
    def pipeline() -> None:
        chatty()

    pipeline()
    assert [words for _, words, _ in said_in()] == [str(n) for n in range(3000)]


def test_a_line_is_kept_with_the_time_it_was_said() -> None:
    @flow(log_prints=True)
    def pipeline() -> None:
        print("one")
        time.sleep(0.05)
        print("two")

    before = time.time()
    pipeline()
    one, two = (line.time for line in run_view("last").logs)
    assert before <= one <= two - 0.05 <= time.time()


@pytest.mark.parametrize("words", ["100%", "%s %d", "{braces}", ""], ids=repr)
def test_what_is_printed_is_never_taken_for_a_format(words: str) -> None:
    @flow(log_prints=True)
    def pipeline() -> None:
        print(words)

    pipeline()
    assert said_in() == [("INFO", words, None)]


def test_the_root_logger_of_the_user_is_left_alone(capsys: Any) -> None:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    task(lambda: 1)()
    assert (list(root.handlers), root.level) == (handlers, level)
