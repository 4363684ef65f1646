"""What a version captures, and what stays from one version to the next."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from flowbook import engine
from flowbook.errors import NotFound, StoreError
from flowbook.promote import promote, request_run
from flowbook.promote.local_code import changed_imports
from flowbook.store.deployments import find_deployment, manifest_of, schedules_of
from flowbook.store.schema import snapshot
from flowbook.store.snapshots import load_snapshot


def captured(name: str) -> dict[str, Any]:
    database = engine.engine().database
    found = find_deployment(database, name)
    return manifest_of(database, found.id, found.version)


def test_a_version_captures_what_decides_its_runs(make_notebook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "secret-value")
    path = make_notebook(
        "book",
        "import os, helpers\nfrom pack import part",
        "token = os.environ['TOKEN']; level = os.getenv('LEVEL', 'x')",
    )
    (path.parent / "helpers.py").write_text("import deeper")
    (path.parent / "deeper.py").write_text("x = 1")
    (path.parent / "pack").mkdir()
    (path.parent / "pack" / "__init__.py").write_text("from . import part")
    (path.parent / "pack" / "part.py").write_text("")
    (path.parent / "unused.py").write_text("")
    made = promote(path, cron="0 7 * * 1-5", timezone="Europe/Zurich")
    found = captured("book")
    assert list(found["local_imports"]) == ["deeper.py", "helpers.py", "pack/__init__.py", "pack/part.py"]
    assert found["environment"] == ["LEVEL", "TOKEN"]
    assert "secret-value" not in json.dumps(found)
    assert (found["kind"], found["kernel"], found["cwd"]) == ("plain", "python3", str(path.parent))
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"name", "version", "editable"} == set(found["distributions"][0])
    assert found["schedules"][0]["cron"] == "0 7 * * 1-5"
    assert len(made.next_fires) == 5
    assert all(fire.weekday() < 5 and (fire.hour, fire.minute) == (7, 0) for fire in made.next_fires)
    assert any("LEVEL" in warning for warning in made.warnings)
    kept = load_snapshot(engine.engine().database, found["snapshot"])
    assert b"import os, helpers" in kept
    assert b"secret-value" not in kept


def test_outputs_are_no_part_of_a_snapshot(make_notebook: Any) -> None:
    path = make_notebook("book", "x = 1")
    promote(path)
    before = captured("book")["snapshot"]
    plain = json.loads(path.read_text())
    plain["cells"][0]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "private"}]
    plain["cells"][0]["execution_count"] = 7
    path.write_text(json.dumps(plain))
    assert promote(path).version == 2
    assert captured("book")["snapshot"] == before
    path.write_text(path.read_text().replace("x = 1", "x = 2"))
    promote(path)
    assert captured("book")["snapshot"] != before


def test_a_snapshot_that_was_changed_or_is_gone_is_not_run(make_notebook: Any) -> None:
    database = engine.engine().database
    promote(make_notebook("book", "x = 1"))
    sha = captured("book")["snapshot"]
    content = load_snapshot(database, sha)
    with database.write() as connection:
        connection.execute(snapshot.update().values(content=content.replace(b"x = 1", b"x = 6")))
    with pytest.raises(StoreError, match=r"was changed since it was made\. Deploy it again\."):
        load_snapshot(database, sha)
    with database.write() as connection:
        connection.execute(snapshot.delete())
    with pytest.raises(NotFound, match=r"is not in the database\. Deploy it again\."):
        load_snapshot(database, sha)


def test_a_snapshot_from_before_they_were_in_the_database_is_a_file(make_notebook: Any, tmp_path: Path) -> None:
    database = engine.engine().database
    promote(make_notebook("book", "x = 1"))
    sha = captured("book")["snapshot"]
    file = tmp_path / f"{sha}.ipynb"
    file.write_bytes(load_snapshot(database, sha))
    with database.write() as connection:
        connection.execute(snapshot.delete())
    assert load_snapshot(database, sha, file) == file.read_bytes()
    file.write_bytes(b"{}")
    with pytest.raises(StoreError, match="was changed since it was made"):
        load_snapshot(database, sha, file)


def test_schedule_and_parameters_stay_when_they_are_not_given(make_notebook: Any) -> None:
    path = make_notebook("book", "# parameters\nn: int = 1\nm: int = 1")
    promote(path, cron="0 7 * * *", parameters={"n": 5, "m": 6})
    database = engine.engine().database
    first = schedules_of(database, find_deployment(database, "book").id)
    path = make_notebook("book", "# parameters\nn: int = 1")
    made = promote(path)
    assert made.version == 2
    assert made.next_fires
    assert schedules_of(database, find_deployment(database, "book").id) == first
    assert captured("book")["parameters"] == {"n": 5}
    assert any("'m'" in warning for warning in made.warnings)
    promote(path, cron="0 8 * * *")
    assert [each.spec["cron"] for each in schedules_of(database, find_deployment(database, "book").id)] == ["0 8 * * *"]


def test_a_run_that_was_asked_for_keeps_its_version(make_notebook: Any) -> None:
    path = make_notebook("book", "x = 1")
    promote(path)
    run = request_run("book")
    promote(path)
    assert run.version == 1
    assert request_run("book").version == 2


def test_another_notebook_under_the_same_name_is_said(make_notebook: Any, tmp_path: Path) -> None:
    path = make_notebook("book", "x = 1")
    promote(path)
    other = tmp_path / "book.ipynb"
    other.write_text(path.read_text())
    assert any("was made from" in warning for warning in promote(other).warnings)


def test_a_clean_notebook_has_no_findings(make_notebook: Any) -> None:
    made = promote(make_notebook("book", "import math\nx = [math.pi for _ in range(3)]", "display(x)\nlen(x)"))
    assert made.warnings == ()


def test_the_graph_is_captured_with_a_hash_that_formatting_does_not_change(make_notebook: Any) -> None:
    promote(make_notebook("book", "%%task load\nx = 1", "%%task clean\ny = x+1"))
    before = captured("book")["cells"]
    assert [(cell["name"], cell["after"]) for cell in before] == [("load", []), ("clean", [1])]
    promote(make_notebook("book", "%%task load\nx = 1", "%%task clean\n# better\ny = x + 1"))
    assert captured("book")["cells"] == before
    promote(make_notebook("book", "%%task load\nx = 1", "%%task clean\ny = x + 2"))
    assert [a["hash"] == b["hash"] for a, b in zip(captured("book")["cells"], before, strict=True)] == [True, False]


def test_warnings_of_python_about_the_cells_are_not_ours_to_show(make_notebook: Any) -> None:
    assert promote(make_notebook("book", "x = '\\d'\nx is 'y'")).version == 1


def test_a_local_file_that_has_changed_is_noticed(make_notebook: Any) -> None:
    path = make_notebook("book", "import helpers, other")
    for name in ("helpers", "other"):
        (path.parent / f"{name}.py").write_text("x = 1")
    promote(path)
    recorded = captured("book")["local_imports"]
    assert changed_imports(recorded, path.parent) == []
    (path.parent / "helpers.py").write_text("x = 2")
    (path.parent / "other.py").unlink()
    assert changed_imports(recorded, path.parent) == ["helpers.py", "other.py"]
