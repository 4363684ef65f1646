"""Promoting over the REST interface, asked over HTTP of a real server."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import nbformat
import pytest

from flowbook import engine
from flowbook.runs import recent_runs
from flowbook.store.deployments import all_deployments, find_deployment, manifest_of

CELLS = [
    "%load_ext flowbook\nfrom datetime import date",
    "# parameters\nlimit: int = 3\nnames: list[str] = []\noptions: dict = {}\nday: date = date(2026, 11, 20)",
    "%%task\nx = limit",
]
WEEKDAYS = {"when": "cron", "text": "0 7 * * 1-5", "timezone": "Europe/Zurich"}


@pytest.fixture
def notebook(server: Any) -> Path:
    """A small notebook in the server's folder."""
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    path = Path(server.root) / "nightly.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def stored(name: str = "nightly") -> dict[str, Any]:
    """What the newest version of a deployment holds."""
    database = engine.engine().database
    found = find_deployment(database, name)
    return manifest_of(database, found.id, found.version)


def refusal(client: httpx.Client, **said: Any) -> dict[str, Any]:
    """Why a promotion is refused; nothing is stored then."""
    answer = client.post("flowbook/api/promote", json={"path": "nightly.ipynb", **said})
    assert answer.status_code == 400, answer.text
    assert "Traceback" not in answer.text
    assert all_deployments(engine.engine().database) == []
    told: dict[str, Any] = answer.json()
    return told


def test_promotes_a_notebook(client: httpx.Client, notebook: Path) -> None:
    said = {"catchup": "skip", "overlap": "cancel-previous", "pool": "default"}
    parameters = {"limit": "7", "names": ["a", "b"], "options": '{"deep": [1]}', "day": "{{ scheduled_time }}"}
    body = {"path": "nightly.ipynb", "name": " evening ", **WEEKDAYS, **said, "parameters": parameters}
    answer = client.post("flowbook/api/promote", json=body)
    assert answer.status_code == 200, answer.text
    promoted = answer.json()
    assert promoted["deployment"] == {"name": "evening", "version": 1}
    assert promoted["worker_command"] == "flowbook worker start"
    assert len(promoted["next_fires"]) == 5
    assert all(datetime.fromisoformat(fire).utcoffset() for fire in promoted["next_fires"])
    assert all("T07:00:00+0" in fire for fire in promoted["next_fires"])
    found = stored("evening")
    assert found["parameters"] == {
        "limit": 7,
        "names": ["a", "b"],
        "options": {"deep": [1]},
        "day": "{{ scheduled_time.date }}",
    }
    [spec] = found["schedules"]
    assert (spec["cron"], spec["timezone"], spec["catchup"]) == ("0 7 * * 1-5", "Europe/Zurich", "skip")
    assert (found["settings"]["collision"], found["settings"]["pool"]) == ("CANCEL_PREVIOUS", "default")


def test_what_is_not_said_stays_as_it_was_deployed(client: httpx.Client, notebook: Path) -> None:
    body = {"path": "nightly.ipynb", "when": "interval", "text": "90m", "timezone": "UTC", "parameters": {"limit": "7"}}
    assert client.post("flowbook/api/promote", json=body).status_code == 200
    again = client.post("flowbook/api/promote", json={"path": "nightly.ipynb"}).json()
    assert again["deployment"]["version"] == 2
    assert (stored()["schedules"][0]["interval"], stored()["parameters"]) == (5400, {"limit": 7})
    none = client.post("flowbook/api/promote", json={"path": "nightly.ipynb", "when": "demand"}).json()
    assert (none["next_fires"], stored()["schedules"]) == ([], [])


def test_deployments_are_listed_with_what_comes_next(client: httpx.Client, notebook: Path) -> None:
    assert client.get("flowbook/api/deployments").json() == {"deployments": []}
    for name, when in (("weekly", {"when": "demand"}), ("nightly", WEEKDAYS)):
        client.post("flowbook/api/promote", json={"path": "nightly.ipynb", "name": name, **when})
    nightly, weekly = client.get("flowbook/api/deployments").json()["deployments"]
    assert (nightly["name"], nightly["version"], nightly["paused"]) == ("nightly", 1, False)
    assert nightly["schedules"] == ["Weekdays at 07:00, Europe/Zurich"]
    assert nightly["next_fire"] > time.time()
    assert (weekly["schedules"], weekly["next_fire"]) == ([], None)


def test_a_run_is_asked_for_at_once(client: httpx.Client, notebook: Path) -> None:
    answer = client.post("flowbook/api/promote", json={"path": "nightly.ipynb", "run_once": True}).json()
    [run] = recent_runs(5)
    assert (answer["run"], answer["no_run"]) == (run.number, None)


def test_data_files_are_declared_and_stay_until_others_are(client: httpx.Client, notebook: Path) -> None:
    notebook.with_name("rows.csv").write_text("")
    for said, stands in (({"data": ["./rows.csv"]}, {"rows.csv": "declared"}), ({}, {"rows.csv": "declared"})):
        assert client.post("flowbook/api/promote", json={"path": "nightly.ipynb", **said}).status_code == 200
        assert stored()["data_files"] == stands
    assert client.post("flowbook/api/promote", json={"path": "nightly.ipynb", "data": []}).status_code == 200
    assert stored()["data_files"] == {}


def test_one_of_several_flows_is_promoted(client: httpx.Client, notebook: Path) -> None:
    cell = "from flowbook import flow\n@flow\ndef first(a: int): pass\n@flow\ndef second(b: int): pass"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)]), notebook)
    assert "Say which one to promote" in refusal(client)["message"]
    body = {"path": "nightly.ipynb", "flow": "second", "parameters": {"b": "x"}}
    found = client.post("flowbook/api/promote/parameters", json=body).json()["problems"]
    assert list(found) == ["b"]
    answer = client.post("flowbook/api/promote", json={**body, "parameters": {"b": "3"}})
    assert answer.json()["deployment"] == {"name": "second", "version": 1}
    assert (stored("second")["entrypoint"], stored("second")["parameters"]) == ("nightly.ipynb:second", {"b": 3})
    drafted = client.get("flowbook/api/promote/draft", params={"path": "nightly.ipynb", "flow": "first"}).json()
    assert (drafted["name"], drafted["flow"]) == ("first", "first")


REFUSED = [
    ({"when": "cron", "text": "0 25 * * *", "timezone": "UTC"}, "cron", "hour"),
    ({**WEEKDAYS, "timezone": "Europe/Zurch"}, "timezone", "did you mean Europe/Zurich"),
    ({"when": "interval", "text": "often", "timezone": "UTC"}, "interval", "length of time"),
    ({"parameters": {"limit": "many"}}, "parameters.limit", "valid integer"),
    ({"parameters": {"lmit": "3"}}, "parameters.lmit", "Did you mean 'limit'"),
    ({"name": "a/b"}, None, "cannot name a deployment"),
    ({"overlap": "never"}, None, "overlap"),
    ({"data": ["gone.csv"]}, None, "The data file 'gone.csv' of deployment 'nightly' is not there"),
    ({"data": "rows.csv"}, None, "data must be a list"),
    ({"flow": "weekly"}, None, "defines no flow 'weekly'"),
    ({"schedule": "0 7 * * *"}, None, "schedule"),
]


@pytest.mark.parametrize(("said", "field", "sentence"), REFUSED)
def test_what_does_not_fit_is_a_sentence_for_its_field(
    client: httpx.Client, notebook: Path, said: dict[str, Any], field: str | None, sentence: str
) -> None:
    told = refusal(client, **said)
    assert told["field"] == field
    assert sentence in told["message"]


def test_a_notebook_that_would_fail_is_refused_with_what_was_found(client: httpx.Client, notebook: Path) -> None:
    cells = [nbformat.v4.new_code_cell("x = 1\ny = input()")]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), notebook)
    told = refusal(client)
    assert told["message"].startswith("Cell 1, line 2: input() has nobody to ask")
    [found] = told["findings"]
    assert (found["severity"], found["cell"], found["line"]) == ("error", 0, 2)
    answer = client.post("flowbook/api/promote", json={"path": "nightly.ipynb", "force": True})
    assert answer.status_code == 200
    assert answer.json()["warnings"] == [f"Cell 1, line 2: {found['why']} {found['fix']}"]


def test_the_draft_says_what_is_asked_without_paths_of_the_machine(client: httpx.Client, notebook: Path) -> None:
    answer = client.get("flowbook/api/promote/draft", params={"path": "nightly.ipynb"})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["name"], found["version"], found["changed"]) == ("nightly", 1, None)
    assert [(field["name"], field["kind"]) for field in found["parameters"]] == [
        ("limit", "int"),
        ("names", "list"),
        ("options", "json"),
        ("day", "date"),
    ]
    assert found["pools"] == [{"name": "default", "workers": 0, "paused": False}]
    assert len(found["captured"]["cells"]) == len(CELLS)
    assert str(notebook.parent) not in answer.text
    assert all_deployments(engine.engine().database) == []


def test_a_schedule_is_shown_while_it_is_typed(client: httpx.Client) -> None:
    said = {"kind": "cron", "text": "0 7 * * 1-5", "timezone": "Europe/Zurich"}
    found = client.get("flowbook/api/promote/schedule", params=said).json()
    assert found["words"] == "Weekdays at 07:00"
    assert len(found["fires"]) == 5
    assert all("T07:00:00+0" in fire["at"] for fire in found["fires"])
    refused = client.get("flowbook/api/promote/schedule", params={**said, "text": "0 0 31 2 *"})
    assert (refused.status_code, refused.json()["field"]) == (400, "cron")


def test_parameters_are_checked_while_they_are_typed(client: httpx.Client, notebook: Path) -> None:
    body = {"path": "nightly.ipynb", "parameters": {"limit": "many", "names": ["a"]}}
    found = client.post("flowbook/api/promote/parameters", json=body).json()["problems"]
    assert list(found) == ["limit"]
    assert "valid integer" in found["limit"]


ESCAPES = ["../outside.ipynb", "a/../../outside.ipynb", "/../outside.ipynb", "link.ipynb", "..", ""]


@pytest.mark.parametrize("path", ESCAPES)
def test_a_notebook_outside_of_the_servers_folder_is_refused(server: Any, client: httpx.Client, path: str) -> None:
    outside = Path(server.root).parent / "outside.ipynb"
    outside.write_text("{}")
    link = Path(server.root) / "link.ipynb"
    if not link.is_symlink():
        link.symlink_to(outside)
    answers = [
        client.post("flowbook/api/promote", json={"path": path}),
        client.post("flowbook/api/promote/parameters", json={"path": path}),
        client.get("flowbook/api/promote/draft", params={"path": path}),
    ]
    for answer in answers:
        assert answer.status_code == 400
        assert "not inside the folder" in answer.json()["message"]
    assert all_deployments(engine.engine().database) == []


def test_an_absolute_path_means_one_below_the_servers_folder(client: httpx.Client, tmp_path: Path) -> None:
    outside = tmp_path / "outside.ipynb"
    outside.write_text("{}")
    answer = client.post("flowbook/api/promote", json={"path": str(outside)})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("There is no notebook")


@pytest.mark.parametrize("body", ["", "[]", "no json", '{"path": ["nightly.ipynb"]}', '{"parameters": 3}', "\xff"])
def test_a_body_that_cannot_be_meant(client: httpx.Client, body: str) -> None:
    answer = client.post("flowbook/api/promote", content=body.encode("latin-1"))
    assert answer.status_code == 400
    assert "must be" in answer.json()["message"]
