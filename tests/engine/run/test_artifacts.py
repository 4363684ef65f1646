"""What tasks and flows publish is stored with the run that made it."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.sql import sql

from flowbook import engine, flow, task
from flowbook.artifacts import (
    Artifact,
    create_image_artifact,
    create_link_artifact,
    create_markdown,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from flowbook.core.events import Event
from flowbook.errors import NotFound, UsageError
from flowbook.runs import recent_runs, run_view

pytestmark = pytest.mark.usefixtures("store_url")

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def rows(query: str = "select * from artifact order by created, id") -> list[dict[str, Any]]:
    """What the database says, to another process."""
    return [dict(row._mapping) for row in sql(query)]


def test_all_kinds_outside_of_a_run(home: Path) -> None:
    before = datetime.now(UTC)
    ids = [
        create_markdown_artifact("# Hi", "report", "what it is"),
        create_table_artifact({"a": [1, 2]}, key="table"),
        create_link_artifact("https://x.org", "X", key="link"),
        create_link_artifact("s3://bucket/key", key="place"),
        create_image_artifact(PNG, key="image"),
        create_progress_artifact(12.5, key="progress"),
    ]
    stored = rows()  # without any wait: what was acknowledged is committed
    assert [row["id"] for row in stored] == ids
    assert all(len(artifact_id) == 32 and int(artifact_id, 16) for artifact_id in ids)
    assert [(row["type"], json.loads(row["data"])) for row in stored] == [
        ("markdown", "# Hi"),
        ("table", {"a": [1, 2]}),
        ("link", {"link": "https://x.org", "text": "X"}),
        ("link", {"link": "s3://bucket/key", "text": "s3://bucket/key"}),
        ("image", "data:image/png;base64,iVBORw0KGgoAAAAAAAAAAAAAAAAAAAAAAAAAAA=="),
        ("progress", 12.5),
    ]
    assert {(row["flow_run_id"], row["task_run_id"]) for row in stored} == {(None, None)}
    found = Artifact.get("report")
    assert found is not None
    assert (found.id, found.type, found.key, found.description) == (ids[0], "markdown", "report", "what it is")
    assert (found.data, found.flow_run_id, found.task_run_id) == ("# Hi", None, None)
    assert before <= found.created == found.updated <= datetime.now(UTC)
    with pytest.raises(AttributeError):
        found.data = "other"  # type: ignore[misc]


def test_in_runs_with_their_ids() -> None:
    @task
    def load() -> None:
        create_table_artifact([{"a": 1}], key="in-task")

    @task
    def said_by_a_thread() -> None:
        thread = threading.Thread(target=create_markdown, args=("x", "in-thread"))
        thread.start()
        thread.join()

    @flow
    def inner() -> None:
        create_markdown("inner", key="in-sub-flow")

    @flow
    def outer() -> None:
        create_markdown("outer", key="in-flow")
        load.submit().wait()
        said_by_a_thread()
        inner()

    outer()
    load.with_options(name="alone")()
    (run,) = recent_runs()
    tasks = {node.name: id for id, node in run_view(run.id).nodes.items()}

    def ids(key: str) -> tuple[str | None, str | None]:
        found = Artifact.get(key)
        assert found is not None
        return found.flow_run_id, found.task_run_id

    assert ids("in-flow") == (run.id, None)
    assert ids("in-thread") == (run.id, next(id for name, id in tasks.items() if name.startswith("said_by_a_thread")))
    sub_flow = next(id for name, id in tasks.items() if name.startswith("inner"))
    assert ids("in-sub-flow") == (sub_flow, None)
    flow_run_id, alone = ids("in-task")
    assert flow_run_id is None
    assert alone not in (None, *tasks.values())


def test_a_flow_that_fails_has_published_all_the_same(home: Path) -> None:
    @flow
    def failing() -> None:
        for i in range(50):
            create_markdown(f"{i}", key="steps")
        raise ValueError("no")

    failing(return_state=True)
    assert [json.loads(row["data"]) for row in rows()] == [f"{i}" for i in range(50)]
    newest = Artifact.get("steps")
    assert newest is not None
    assert newest.data == "49"


def test_published_in_a_plain_cell_of_an_unattended_notebook(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("FLOWBOOK_RUN_FOLDER", str(home / "runs" / "a1b2"))
    create_markdown("x")
    assert [(row["flow_run_id"], row["task_run_id"], row["key"]) for row in rows()] == [("a1b2", None, None)]


def test_the_newest_of_a_key_and_none_of_another() -> None:
    assert Artifact.get("daily") is None
    for text in ("one", "two", "three"):
        create_markdown(text, "daily")
    create_markdown("four", "weekly")
    found = Artifact.get("daily")
    assert found is not None
    assert found.data == "three"


@pytest.mark.parametrize("within", [lambda call: call(), lambda call: flow(call)(), lambda call: task(call)()])
def test_progress_updated_a_thousand_times_is_one_row(within: Callable[[Callable[[], None]], None], home: Path) -> None:
    made = []

    def work() -> None:
        made.append(create_progress_artifact(0, "load", "loading"))
        for i in range(1, 1001):
            assert update_progress_artifact(made[0], i / 20) == made[0]

    within(work)
    (row,) = rows()
    assert (row["id"], row["key"], row["description"], row["data"]) == (made[0], "load", "loading", "50.0")
    assert row["updated"] >= row["created"]
    update_progress_artifact(uuid.UUID(made[0]), 100, "done")
    (row,) = rows()
    assert (row["description"], row["data"]) == ("done", "100.0")
    found = Artifact.get("load")
    assert found is not None
    assert found.created < found.updated
    events = rows("select kind, data from event where kind = 'artifact' order by seq")
    assert json.loads(events[0]["data"]) == {"id": made[0], "type": "progress", "key": "load"}
    assert json.loads(events[-1]["data"]) == {"id": made[0], "type": "progress", "update": True}


def test_updates_that_are_committed_together_are_one_event(home: Path) -> None:
    from flowbook.store.rows import Batch

    def event(time: float, **data: Any) -> Event:
        return Event(kind="artifact", time=time, flow_run_id="f", data={"type": "progress", **data})

    new = event(1.0, id="a", key="k", description=None, data=0.0)
    updates = [event(2.0 + i, id=id, update=True, data=float(i)) for i in range(5) for id in "ab"]
    described = event(9.0, id="b", update=True, data=99.0, description="so far")
    opened = engine.engine()
    with opened.database.write() as connection:
        Batch([event(0.5, id="b", key="k", description="begun", data=0.0)]).write(connection)
    with opened.database.write() as connection:
        Batch([new, *updates, described]).write(connection)
    a, b = rows("select * from artifact order by id")
    assert (a["data"], a["created"], a["updated"], a["description"]) == ("4.0", 1.0, 6.0, None)
    assert (b["data"], b["created"], b["updated"], b["description"]) == ("99.0", 0.5, 9.0, "so far")
    assert len(rows("select * from event")) == 3


def test_progress_made_by_another_process_is_updated(home: Path) -> None:
    code = "from flowbook.artifacts import *; print(create_progress_artifact(5, 'elsewhere', 'there'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    artifact_id = done.stdout.strip()
    update_progress_artifact(artifact_id, 60)
    (row,) = rows()
    assert (row["id"], row["data"], row["description"]) == (artifact_id, "60.0", "there")


def test_what_cannot_be_updated() -> None:
    with pytest.raises(NotFound, match="There is no artifact with the id 'nothing'"):
        update_progress_artifact("nothing", 5)
    report = create_markdown("x")
    with pytest.raises(UsageError, match="of the type markdown: only progress can be updated"):
        update_progress_artifact(report, 5)
    progress = create_progress_artifact(5)
    with pytest.raises(UsageError, match="a number from 0 to 100, not 'half'"):
        update_progress_artifact(progress, "half")  # type: ignore[arg-type]


def test_progress_out_of_range_is_taken_for_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    artifact_id = create_progress_artifact(-1, "p")
    update_progress_artifact(artifact_id, 250)
    found = Artifact.get("p")
    assert found is not None
    assert found.data == 100.0
    said = capsys.readouterr().err
    assert "A progress of -1.0 percent was published; it is taken for 0.0." in said
    assert "A progress of 250.0 percent was published; it is taken for 100.0." in said


def test_a_refused_artifact_is_not_stored(home: Path) -> None:
    create_markdown("x" * (1024 * 1024 - 20))
    refusals: list[tuple[Callable[[], object], str]] = [
        (
            lambda: create_markdown("x" * 1024 * 1024),
            "This markdown artifact takes 1.0 MiB, and an artifact holds at most",
        ),
        (lambda: create_markdown("é" * 600_000), "takes 1.1 MiB"),
        (lambda: create_markdown("", description="x" * 2**20), "takes 1.0 MiB"),
        (lambda: create_image_artifact(PNG + bytes(800_000)), "This image artifact takes 1.0 MiB"),
        (lambda: create_table_artifact([[1.5] * 1000] * 1000), "This table artifact takes 3.8 MiB"),
        (lambda: create_markdown("x", "My Report"), "'My Report': keys hold lowercase letters"),
        (lambda: create_markdown(5), "must be a text, not int"),  # type: ignore[arg-type]
        (lambda: create_markdown(None), "must be a text, not None"),  # type: ignore[arg-type]
        (lambda: create_link_artifact("x", description=b"x"), "must be a text, not bytes"),  # type: ignore[arg-type]
    ]
    for call, sentence in refusals:
        with pytest.raises(UsageError, match=sentence):
            call()
    assert len(rows()) == 1


def test_text_that_no_database_takes(home: Path) -> None:
    create_markdown("a\0b\udcff", "odd", "\0\ud800")
    create_table_artifact([{"\0": "\udcff"}], "odd-table")
    found, table = Artifact.get("odd"), Artifact.get("odd-table")
    assert found is not None
    assert table is not None
    assert (found.data, found.description, table.data) == (
        "a\\x00b\\udcff",
        "\\x00\\ud800",
        [{"\\x00": "\\udcff"}],
    )


def test_hostile_content_is_stored_as_it_is() -> None:
    text = "<script>alert(1)</script> [x](javascript:alert(1)) \"'&'; drop table artifact; --"
    create_markdown(text, "hostile", text)
    create_link_artifact("javascript:alert(1)", text, "hostile-link")
    found, link = Artifact.get("hostile"), Artifact.get("hostile-link")
    assert found is not None
    assert link is not None
    assert (found.data, found.description) == (text, text)
    assert link.data == {"link": "javascript:alert(1)", "text": text}


def test_a_figure_of_matplotlib() -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    figure = Figure()
    figure.add_subplot().plot([1, 2])
    create_image_artifact(figure, "figure")
    found = Artifact.get("figure")
    assert found is not None
    assert found.data.startswith("data:image/png;base64,iVBOR")


def test_one_line_of_the_log_names_it_where_there_is_no_notebook(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    artifact_id = create_markdown("# secret content", "daily-report")
    nameless = create_progress_artifact(1)
    update_progress_artifact(nameless, 2)
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split(" - ")[1] for line in err.splitlines()] == [
        f"Published the markdown artifact 'daily-report' ({artifact_id}).",
        f"Published the progress artifact {nameless}.",
    ]
    assert logging.getLogger("flowbook.artifacts").getEffectiveLevel() == logging.INFO


def test_views_pass_over_artifacts_and_what_a_newer_flowbook_records() -> None:
    @flow
    def publishing() -> None:
        create_markdown("x")
        create_progress_artifact(1)
        run = engine.current_flow()
        assert run is not None
        run.recorder.emit("hologram", run.id, None, {"of": 1})  # type: ignore[arg-type]

    publishing()
    view = run_view("last")
    assert view.look == "succeeded"
    assert view.nodes == {}
    assert view.last_seq > 0


@pytest.mark.slow
def test_what_was_acknowledged_outside_of_runs_survives_a_kill(home: Path) -> None:
    code = """
from flowbook.artifacts import create_markdown, create_progress_artifact, update_progress_artifact
made = create_progress_artifact(0, "p")
for i in range(1, 10_000):
    update_progress_artifact(made, i / 100)
    create_markdown(str(i), "n")
    print(i, flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=dict(os.environ)
    )
    assert process.stdout is not None
    said = 0
    with process.stdout:
        for line in process.stdout:
            said = int(line)
            if said == 100:
                process.send_signal(signal.SIGKILL)
    process.wait()
    assert said >= 100
    stored = {row["key"]: json.loads(row["data"]) for row in rows("select * from artifact order by id")}
    assert int(stored["n"]) >= said
    assert stored["p"] >= said / 100


@pytest.mark.slow
def test_a_script_that_publishes_imports_no_ipython_and_no_parser() -> None:
    code = """
import sys
from flowbook.artifacts import create_markdown, create_table_artifact
assert "sqlalchemy" not in sys.modules
create_markdown("# x")
create_table_artifact([[1]])
print([name for name in ("IPython", "mistune", "pandas", "numpy", "html") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
