"""The REST interface, asked over HTTP of a real server."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.waiting import WITHIN

from flowbook import flow, task
from flowbook.core.states import State
from flowbook.promote import promote, request_run
from flowbook.runs import recent_runs, run_folder

ENDPOINTS = [
    ("GET", "flowbook/api/runs"),
    ("GET", "flowbook/api/runs/some-id"),
    ("GET", "flowbook/api/runs/some-id/files/html"),
    ("GET", "flowbook/api/runs/1/diff/2"),
    ("GET", "flowbook/api/deployments"),
    ("POST", "flowbook/api/promote"),
    ("GET", "flowbook/api/promote/draft"),
    ("GET", "flowbook/api/promote/schedule"),
    ("POST", "flowbook/api/promote/parameters"),
    ("POST", "flowbook/api/runs/some-id/cancel"),
]


@task
def double(number: int) -> int:
    return 2 * number


@flow
def doubling(number: int = 1) -> int:
    return double(number)


@flow
def failing() -> None:
    raise ValueError("no such day")


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_refuses_who_has_no_token(server: Any, method: str, path: str) -> None:
    with server.client(token=None) as stranger:
        answer = stranger.request(method, path, json={} if method == "POST" else None)
    assert answer.status_code == 403
    assert "runs" not in answer.text


def test_promoting_with_a_cookie_needs_the_xsrf_token(server: Any, client: httpx.Client) -> None:
    token = client.headers["Authorization"].removeprefix("token ")
    with server.client(token=None) as browser:
        assert browser.get("tree", params={"token": token}).status_code in (200, 302, 404)
        assert browser.get("flowbook/api/runs").status_code == 200, "the cookie identifies the browser"
        refused = browser.post("flowbook/api/promote", json={"path": "x.ipynb"})
        assert refused.status_code == 403
        assert "_xsrf" in refused.json()["message"]


def test_nothing_changes_on_get(client: httpx.Client) -> None:
    assert client.get("flowbook/api/promote").status_code == 405


def test_no_runs_yet(client: httpx.Client) -> None:
    answer = client.get("flowbook/api/runs")
    assert answer.status_code == 200
    assert answer.json() == {"runs": []}


def test_runs_newest_first_without_paths_of_the_machine(client: httpx.Client, home: Path) -> None:
    doubling(3)
    with pytest.raises(ValueError, match="no such day"):
        failing()
    run = recent_runs(1)[0]
    run_folder(run.id).mkdir(parents=True)
    (run_folder(run.id) / "notebook.ipynb").write_text("{}")

    answer = client.get("flowbook/api/runs")
    newest, oldest = answer.json()["runs"]
    assert (newest["flow"], newest["word"], newest["why"]) == ("failing", "Failed", "ValueError: no such day")
    assert newest["notebook"] == f"flowbook/api/runs/{run.id}/files/notebook"
    assert newest["notebook_path"] is None
    assert (oldest["flow"], oldest["look"], oldest["done"], oldest["total"]) == ("doubling", "succeeded", 1, 1)
    assert oldest["html"] is None
    assert str(home) not in answer.text
    assert len(client.get("flowbook/api/runs", params={"limit": 1}).json()["runs"]) == 1


@pytest.mark.parametrize("limit", ["0", "-1", "many", "1001", "9" * 30, "²"])
def test_a_wrong_limit_is_a_sentence(client: httpx.Client, limit: str) -> None:
    answer = client.get("flowbook/api/runs", params={"limit": limit})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("limit must be a whole number from 1 to 1000")


def test_one_run_with_its_nodes(client: httpx.Client) -> None:
    doubling(3)
    run = recent_runs(1)[0]
    answer = client.get(f"flowbook/api/runs/{run.id}").json()
    assert (answer["flow"], answer["word"]) == ("doubling", "Succeeded")
    [node] = answer["nodes"]
    assert node["name"].startswith("double")
    assert (node["look"], node["attempts"], node["upstream"]) == ("succeeded", 1, [])


def test_an_unknown_run_is_a_sentence(client: httpx.Client) -> None:
    answer = client.get("flowbook/api/runs/nobody")
    assert answer.status_code == 404
    assert "no run 'nobody'" in answer.json()["message"]


def test_a_run_is_cancelled_while_it_goes_on_and_not_after_its_end(client: httpx.Client) -> None:
    begun = threading.Event()

    @flow
    def endless() -> None:
        begun.set()
        while True:
            time.sleep(0.01)

    ended: list[State] = []
    thread = threading.Thread(target=lambda: ended.append(endless(return_state=True)))
    thread.start()
    begun.wait(WITHIN)
    run = recent_runs(1)[0]
    answer = client.post(f"flowbook/api/runs/{run.id}/cancel")
    assert (answer.status_code, answer.json()["message"]) == (202, "The run is Cancelling.")
    thread.join(WITHIN)
    assert [state.name for state in ended] == ["Cancelled"]
    late = client.post(f"flowbook/api/runs/{run.id}/cancel")
    assert late.status_code == 400 and "has ended already" in late.json()["message"]
    assert client.post("flowbook/api/runs/nobody/cancel").status_code == 404


FILES = [
    ("notebook", "notebook.ipynb", "application/x-ipynb+json"),
    ("html", "notebook.html", "text/html"),
    ("svg", "dag.svg", "image/svg+xml"),
]


@pytest.mark.parametrize(("kind", "name", "media_type"), FILES)
def test_a_kept_file_can_run_nothing(client: httpx.Client, kind: str, name: str, media_type: str) -> None:
    doubling()
    run = recent_runs(1)[0]
    run_folder(run.id).mkdir(parents=True)
    (run_folder(run.id) / name).write_text("<script>alert(1)</script>")
    answer = client.get(f"flowbook/api/runs/{run.id}/files/{kind}")
    assert answer.status_code == 200
    assert answer.text == "<script>alert(1)</script>"
    assert answer.headers["Content-Type"].startswith(media_type)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    policy = [rule.strip() for rule in answer.headers["Content-Security-Policy"].split(";")]
    assert {"sandbox", "default-src 'none'"} <= set(policy)
    if kind == "notebook":
        assert answer.headers["Content-Disposition"] == f'attachment; filename="doubling-run-{run.number}.ipynb"'


def test_a_run_is_compared_with_the_one_before_it_of_its_flow(client: httpx.Client) -> None:
    """Which one that is, and a page of what is different that can run nothing."""
    doubling(3)
    with pytest.raises(ValueError, match="no such day"):
        failing()
    doubling(4)
    newest, between, oldest = client.get("flowbook/api/runs").json()["runs"]
    assert (oldest["diff"], between["diff"], between["previous"]) == (None, None, None)
    assert newest["previous"] == oldest["number"]
    answer = client.get(newest["diff"])
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert f"<h1>Run {oldest['number']} and run {newest['number']}</h1>" in answer.text
    assert "<td><code>3</code></td><td><code>4</code></td>" in answer.text

    same = client.get(f"flowbook/api/runs/{newest['number']}/diff/{newest['number']}")
    assert (same.status_code, "name two runs" in same.json()["message"]) == (400, True)
    assert client.get("flowbook/api/runs/1/diff/999").status_code == 404


def test_runs_of_one_deployment_are_compared_with_each_other(client: httpx.Client, make_notebook: Any) -> None:
    path = make_notebook("report", "x = 1")
    for name in ("eu", "us"):
        promote(path, name=name)
    for name in ("eu", "us", "eu"):
        assert client.post(f"flowbook/api/runs/{request_run(name).id}/cancel").status_code == 202
    rows = client.get("flowbook/api/runs").json()["runs"]
    first = rows[-1]["number"]
    assert [(row["deployment"], row["previous"]) for row in rows] == [("eu", first), ("us", None), ("eu", None)]


def test_a_run_that_has_not_ended_is_not_compared(client: httpx.Client) -> None:
    seen: list[tuple[int | None, int | None]] = []

    @flow
    def asking() -> None:
        seen.extend((row["number"], row["previous"]) for row in client.get("flowbook/api/runs").json()["runs"])

    asking()
    first = recent_runs(1)[0].number
    asking()
    assert seen == [(first, None), (first + 1, None), (first, None)]
    assert client.get("flowbook/api/runs").json()["runs"][0]["previous"] == first


def test_a_run_without_files_says_so(client: httpx.Client) -> None:
    doubling()
    run = recent_runs(1)[0]
    answer = client.get(f"flowbook/api/runs/{run.id}/files/html")
    assert answer.status_code == 404
    assert answer.json()["message"] == f"Run {run.number} of doubling has kept no html."


def test_files_of_other_kinds_do_not_exist(client: httpx.Client) -> None:
    assert client.get("flowbook/api/runs/some-id/files/..%2f..%2fflowbook.db").status_code == 404
