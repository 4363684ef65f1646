"""What a run publishes appears under the cell that published it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook

IMPORTS = "from flowbook.artifacts import *\nfrom flowbook import flow, task"
PNG = "b'\\x89PNG\\r\\n\\x1a\\n' + bytes(20)"


def displays(nb: Notebook, cell: str) -> list[dict[str, Any]]:
    return [item["data"] for item in nb.outputs[cell].items if item["kind"] == "display" and "html" in str(item)]


def html(nb: Notebook, cell: str) -> list[str]:
    return [data["text/html"] for data in displays(nb, cell)]


def test_each_kind_is_shown_under_a_plain_cell(nb: Notebook) -> None:
    nb.ok(IMPORTS, "setup")
    nb.ok(
        "create_markdown('# Sales\\n\\n**up**', description='of <2026>')\n"
        "create_table_artifact({'n': [1, 2]})\n"
        "create_link_artifact('https://x.org', 'X')\n"
        f"create_image_artifact({PNG})\n"
        "_ = create_progress_artifact(25)",
        "a",
    )
    shown = html(nb, "a")
    assert len(shown) == 5
    assert "<p>of &lt;2026&gt;</p><h1>Sales</h1>\n<p><strong>up</strong></p>" in shown[0]
    assert "<th>n</th>" in shown[1]
    assert '<a href="https://x.org" target="_blank" rel="noopener noreferrer">X</a>' in shown[2]
    assert '<img src="data:image/png;base64,iVBOR' in shown[3]
    assert '<progress max="100" value="25.0"></progress> 25.0 %' in shown[4]
    assert displays(nb, "a")[0]["text/plain"] == "of <2026>\n# Sales\n\n**up**"
    assert all(set(data) == {"text/html", "text/plain"} for data in displays(nb, "a"))
    assert nb.outputs["a"].of("stream") == ""


def test_under_its_own_cell_when_tasks_run_at_once(nb: Notebook) -> None:
    nb.ok(f"{IMPORTS}\nimport threading\nmeet = threading.Barrier(3, timeout=60)", "setup")
    for name in "pqr":
        nb.ok(
            f"%%task {name} --define\nmeet.wait()\ncreate_markdown('from {name}', key='{name}')\nmeet.wait()\n"
            f"bar = create_progress_artifact(0, description='{name}')\nmeet.wait()\n"
            "for i in range(100): update_progress_artifact(bar, i)\nmeet.wait();",
            name,
        )
    for _ in range(2):
        nb.ok("%flow run --all", "run")
        for name in "pqr":
            text, bar = html(nb, name)
            assert f"from {name}" in text
            assert f"<p>{name}</p>" in bar
            assert "99.0 %" in bar
        assert not any("from " in shown or "<progress" in shown for shown in html(nb, "run"))
    ids = nb.value(
        "[(lambda a: (a.flow_run_id is not None, a.task_run_id is not None))(Artifact.get(k)) for k in 'pqr']"
    )
    assert ids == [(True, True)] * 3


def test_tasks_of_a_flow_show_under_the_cell_that_calls_it(nb: Notebook) -> None:
    nb.ok(IMPORTS, "setup")
    nb.ok(
        "@task\ndef publish(x):\n    create_markdown(f'part {x}')\n\n@flow\ndef report():\n"
        "    create_markdown('begun')\n    publish.map([1, 2]).wait()",
        "define",
    )
    nb.ok("report()", "call")
    assert sorted(data["text/plain"] for data in displays(nb, "call")) == ["begun", "part 1", "part 2"]
    assert displays(nb, "define") == []


def test_a_thousand_updates_are_one_display(nb: Notebook) -> None:
    nb.ok(IMPORTS, "setup")
    nb.ok("bar = create_progress_artifact(0, 'load', 'loading')", "bar")
    nb.ok("for i in range(1001): _ = update_progress_artifact(bar, i / 10)", "loop")
    assert len(displays(nb, "bar")) == 1
    assert "<p>loading</p>" in html(nb, "bar")[0]
    assert "100.0 %" in html(nb, "bar")[0]
    assert nb.outputs["loop"].items == []
    nb.ok("update_progress_artifact(bar, 100, '<b>loaded</b>');", "done")
    assert "<p>&lt;b&gt;loaded&lt;/b&gt;</p>" in html(nb, "bar")[0]
    assert nb.value("(lambda a: (a.data, a.description))(Artifact.get('load'))") == (100.0, "<b>loaded</b>")


def test_an_update_that_looks_the_same_is_not_sent(nb: Notebook) -> None:
    nb.ok(f"{IMPORTS}\nsent = []\nsession = get_ipython().display_pub.session\nplain = session.send", "setup")
    nb.ok(
        "def send(socket, message, *a, **k):\n    sent.append(str(message))\n"
        "    return plain(socket, message, *a, **k)\n"
        "bar = create_progress_artifact(0)\nsession.send = send\n"
        "for i in range(1001): _ = update_progress_artifact(bar, i / 1000)\nsession.send = plain",
        "loop",
    )
    assert nb.value("sum('update_display_data' in message for message in sent)") == 10
    assert "1.0 %" in html(nb, "loop")[0]


def test_hostile_content_is_text(nb: Notebook) -> None:
    nb.ok(IMPORTS, "setup")
    nb.ok(
        "bad = '<script>alert(1)</script><img src=x onerror=alert(1)>'\n"
        "create_markdown(f'{bad} [x](javascript:alert(1))', description=bad)\n"
        "create_table_artifact([{bad: bad}])\n"
        "create_link_artifact('javascript:alert(1)', bad)\n"
        "create_link_artifact('https://x/\"onmouseover=\"alert(1)', bad)\n"
        "create_image_artifact('https://x/\"onerror=\"alert(1)')\n"
        "_ = create_progress_artifact(1, description=bad)",
        "a",
    )
    shown = html(nb, "a")
    assert len(shown) == 6
    for text in shown:
        assert "<script" not in text
        assert "<img src=x" not in text
        assert 'href="javascript' not in text
        assert '"onmouseover="' not in text
        assert '"onerror="' not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown[0]


def test_an_artifact_that_is_refused_names_the_rule(nb: Notebook) -> None:
    nb.ok(IMPORTS, "setup")
    assert "keys hold lowercase letters (a-z), digits and dashes only" in nb.fails(
        "create_markdown('x', 'My Key')", "a"
    )
    assert displays(nb, "a") == []


def test_a_display_that_breaks_does_not_break_the_task(nb: Notebook) -> None:
    nb.ok(IMPORTS, "setup")
    nb.ok(
        "def broken(**_): raise OSError('no screen')\npub = get_ipython().display_pub\npub.publish = broken\n"
        "create_markdown('x', 'kept')\ndel pub.publish",
        "a",
    )
    assert "cannot be shown" in nb.output("a")
    assert nb.value("Artifact.get('kept').data") == "x"


def test_under_the_cell_of_its_task_when_that_runs_in_another_process(nb: Notebook) -> None:
    nb.ok(
        f"{IMPORTS}\nfrom flowbook.task_runners import ProcessPoolTaskRunner\n"
        "@task\ndef publish():\n    bar = create_progress_artifact(0)\n"
        "    for i in range(3): update_progress_artifact(bar, 50 * i)\n    create_markdown('# from afar')\n"
        "@flow(task_runner=ProcessPoolTaskRunner(1))\ndef pipeline():\n    publish.submit().result()\n"
        "pipeline()",
        "a",
    )
    bar, text = html(nb, "a")
    assert "100.0 %" in bar
    assert "<h1>from afar</h1>" in text
