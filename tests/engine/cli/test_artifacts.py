"""``flowbook artifact``: what was published, from a terminal."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from flowbook import flow
from flowbook.artifacts import (
    Artifact,
    create_markdown,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from flowbook.cli.root import root
from flowbook.runs import find_run


def cli(*args: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(root, ("artifact", *args), prog_name="flowbook", input=answer)


@flow
def publishing(text: str) -> str:
    return create_markdown(text, "daily-report", "rows\nof \x1b[31mtoday")


def test_nothing_was_published() -> None:
    assert cli("ls").output == "Nothing has been published here yet.\n"
    assert cli("ls", "--key", "x").output == "No artifact has the key 'x'.\n"
    assert json.loads(cli("ls", "--output", "json").output) == []


def test_lists_the_newest_first_on_lines_of_their_own() -> None:
    first, second = publishing("one"), publishing("two")
    other = create_table_artifact([[1]])
    lines = cli("ls").output.splitlines()
    assert lines[0].split() == ["Key", "Type", "Description", "Run", "Created", "ID"]
    assert [line.split()[-1] for line in lines[1:]] == [other, second, first]
    assert lines[1].split()[0] == "table"
    assert lines[2].startswith(r"daily-report  markdown  rows\nof \x1b[31mtoday  2  ")
    assert len(cli("ls", "-n", "1").output.splitlines()) == 2
    listed = json.loads(cli("ls", "--key", "daily-report", "--output", "json").output)
    assert [(row["id"], row["run"], row["flow_run_id"]) for row in listed] == [
        (second, 2, find_run(2).id),
        (first, 1, find_run(1).id),
    ]
    assert "data" not in listed[0]


def test_inspects_the_newest_of_a_key_and_any_by_its_id() -> None:
    first, _ = publishing("one"), publishing("two")
    newest = json.loads(cli("inspect", "daily-report").output)
    assert (newest["data"], newest["versions"], newest["type"], newest["run"]) == ("two", 2, "markdown", 2)
    assert json.loads(cli("inspect", first).output)["data"] == "one"
    progress = create_progress_artifact(1)
    update_progress_artifact(progress, 2)
    assert json.loads(cli("inspect", progress).output)["data"] == 2.0


@pytest.mark.parametrize("command", [["inspect"], ["delete", "--yes"]])
def test_what_is_not_there_is_one_sentence(command: list[str]) -> None:
    publishing("one")
    answer = cli(*command, "daily-reprot")
    assert answer.exit_code == 1
    assert answer.stderr == (
        "Error: There is no artifact with the key or id 'daily-reprot'. Did you mean 'daily-report'? "
        "`flowbook artifact ls` lists them.\n"
    )


def test_deletes_one_by_its_id_and_all_of_a_key() -> None:
    first, _, third = publishing("one"), publishing("two"), publishing("three")
    create_markdown("stays", "other")
    assert cli("delete", third, "--yes").output == "Deleted 1 artifact.\n"
    found = Artifact.get("daily-report")
    assert found is not None
    assert found.data == "two"
    refused = cli("delete", "daily-report", answer="n\n")
    assert refused.exit_code == 1
    assert "Delete all 2 artifacts of the key 'daily-report'?" in refused.output
    assert Artifact.get("daily-report") is not None
    assert cli("delete", "daily-report", answer="y\n").output.endswith("Deleted 2 artifacts.\n")
    assert Artifact.get("daily-report") is None
    assert Artifact.get("other") is not None
    assert cli("inspect", first).exit_code == 1


def test_what_is_deleted_is_nowhere_in_the_database() -> None:
    from sqlalchemy import text

    from flowbook import engine

    create_markdown("a password", "leak", "of a secret")
    update_progress_artifact(create_progress_artifact(1, "bar"), 2, "of a secret")
    cli("delete", "leak", "--yes")
    cli("delete", "bar", "--yes")
    with engine.engine().database.read() as connection:
        for table in ("artifact", "event"):
            kept = str(connection.execute(text(f"select * from {table}")).all())
            assert "password" not in kept
            assert "secret" not in kept


def test_an_update_after_the_deletion_changes_nothing() -> None:
    progress = create_progress_artifact(1, "bar")
    cli("delete", "bar", "--yes")
    update_progress_artifact(progress, 2)
    assert Artifact.get("bar") is None
