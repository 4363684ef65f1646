"""``flowbook concurrency-limit``, also called ``flowbook gcl``."""

from __future__ import annotations

import json
import os
import re

import pytest
from click.testing import CliRunner, Result

from flowbook.cli.root import root
from flowbook.concurrency.sync import concurrency, rate_limit


def call(*arguments: str, group: str = "concurrency-limit") -> Result:
    return CliRunner().invoke(root, [group, *arguments], prog_name="flowbook")


def test_a_limit_is_made_listed_changed_and_deleted() -> None:
    assert call("ls").output.startswith(
        "There are no concurrency limits. Make one with: flowbook concurrency-limit create"
    )
    assert call("create", "external-api", "5").output == "Made the concurrency limit 'external-api': 5 slots.\n"
    made = call("create", "api", "--limit", "1", "--slot-decay-per-second", "0.5", "--disable", group="gcl")
    assert made.output == (
        "Made the concurrency limit 'api': 1 slot, 0.5 of which come back every second; it is not active.\n"
    )
    assert [line.split() for line in call("ls").output.splitlines()] == [
        ["Name", "Slots", "In", "use", "Decay", "Active"],
        ["api", "1", "0", "0.5/s", "no"],
        ["external-api", "5", "0", "yes"],
    ]
    assert call("update", "api", "--limit", "7", "--enable").output.startswith("Changed the concurrency limit 'api': 7")
    found = json.loads(call("inspect", "api", "--output", "json").output)
    assert found == {
        "name": "api",
        "limit": 7,
        "in_use": 0,
        "slot_decay_per_second": 0.5,
        "active": True,
        "holders": [],
    }
    assert call("delete", "api", "--yes").output == "Deleted 'api'.\n"
    assert [limit["name"] for limit in json.loads(call("ls", "--output", "json").output)] == ["external-api"]


def test_deleting_asks_first() -> None:
    call("create", "api", "1")
    asked = CliRunner().invoke(root, ["gcl", "delete", "api"], input="n\n")
    assert asked.exit_code == 1
    assert "Delete the concurrency limit 'api', 0 of whose slots are in use?" in asked.output
    assert json.loads(call("ls", "--output", "json").output)


def test_who_holds_slots_is_shown() -> None:
    call("create", "api", "5")
    with concurrency("api", occupy=3):
        said = call("inspect", "api").output
        (holder,) = json.loads(call("inspect", "api", "--output", "json").output)["holders"]
    assert said.startswith("'api': 5 slots.\nIn use: 3 of 5.\n\nProcess ")
    assert re.search(rf"{os.getpid()} on \S+ +holds +3 +\d{{4}}-", said)
    assert (holder["pid"], holder["slots"], holder["waiting"], holder["run_id"]) == (os.getpid(), 3, False, None)


def test_slots_that_have_not_come_back_are_in_use() -> None:
    call("create", "api", "5", "--slot-decay-per-second", "0.001")
    for _ in range(2):
        rate_limit("api")
    assert "In use: 2 of 5." in call("inspect", "api").output
    assert call("reset", "api").output == "Reset 'api': no slots were held.\n"
    assert "In use: 0 of 5." in call("inspect", "api").output


def test_resetting_frees_what_is_held() -> None:
    call("create", "api", "1")
    with concurrency("api"):
        assert call("reset", "api").output == "Reset 'api': 1 slot was held.\n"
        assert json.loads(call("ls", "--output", "json").output)[0]["in_use"] == 0
        with concurrency("api", timeout_seconds=5):
            pass


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["create", "api"], 2, "Say how many slots there are, once: flowbook concurrency-limit create api 5"),
        (["create", "api", "5", "--limit", "6"], 2, "Say how many slots there are, once"),
        (["create", "api", "-1"], 2, "No such option"),
        (["create", "api", "x"], 2, "'x' is not a valid integer"),
        (["create", " ", "5"], 1, "give one that can be read"),
        (["create", "known", "5"], 1, "There is a concurrency limit 'known' already."),
        (["update", "known"], 2, "Say what is to change"),
        (["update", "konwn", "--limit", "1"], 1, "There is no concurrency limit 'konwn'. Did you mean 'known'?"),
        (["inspect", "konwn"], 1, "Did you mean 'known'?"),
        (["reset", "konwn"], 1, "Did you mean 'known'?"),
        (["delete", "konwn", "--yes"], 1, "Did you mean 'known'?"),
    ],
)
def test_mistakes_are_explained(arguments: list[str], status: int, sentence: str) -> None:
    call("create", "known", "1")
    answer = call(*arguments)
    assert (answer.exit_code, sentence in answer.stderr) == (status, True), answer.output


def test_without_any_limit_the_way_to_make_one_is_told() -> None:
    assert "Make one with: flowbook concurrency-limit create 'my api' 5" in call("inspect", "my api").stderr
