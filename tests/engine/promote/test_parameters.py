"""Parameters: found without running anything, typed by their annotations, given to the kernel as data."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal, Optional

import pytest

from flowbook import engine
from flowbook.errors import ParameterError
from flowbook.promote import promote, request_run
from flowbook.promote.hints import UNKNOWN, from_text, type_of
from flowbook.promote.injection import injection
from flowbook.promote.parameters import Parameter, from_texts, validate
from flowbook.store.deployments import find_deployment, manifest_of


@pytest.mark.parametrize(
    ("annotation", "hint"),
    [
        ("int", int),
        ("str | None", str | None),
        ("Optional[int]", Optional[int]),  # noqa: UP045 - this spelling is what is tested
        ("list[str]", list[str]),
        ("dict[str, list[int]]", dict[str, list[int]]),
        ("datetime.date", date),
        ("dt.datetime", datetime),
        ("'int'", int),
        ("tuple[int, ...]", tuple[int, ...]),
        ("Literal['a', 'b']", Literal["a", "b"]),
        (None, UNKNOWN),
        ("pd.DataFrame", UNKNOWN),
        ("__import__('os').system('false')", UNKNOWN),
        ("int int", UNKNOWN),
    ],
)
def test_annotations_are_read_by_a_table(annotation: str | None, hint: Any) -> None:
    assert type_of(annotation) == hint


@pytest.mark.parametrize(
    ("text", "annotation", "default", "value"),
    [
        ("123", "str", None, "123"),
        ("123", None, "abc", "123"),
        ("123", None, 5, 123),
        ("us-east", None, None, "us-east"),
        ('["a", "b"]', "list[str]", None, ["a", "b"]),
        ("null", "int | None", None, None),
        ("null", "str | None", None, "null"),
        ("2026-01-01", "date", None, "2026-01-01"),
    ],
)
def test_text_from_the_command_line(text: str, annotation: str | None, default: Any, value: Any) -> None:
    assert from_text(text, type_of(annotation), default) == value


@pytest.mark.parametrize(
    "value",
    [
        "us-east",
        "'); __import__('os').abort() #",
        '"""\n\\',
        "{x}\n%pip",
        1,
        2.5,
        None,
        True,
        date(2026, 1, 2),
        datetime(2026, 1, 2, 3, 4),  # noqa: DTZ001 - a naive one must stay naive
        [1, {"a": date(2026, 1, 2)}],
        (1, 2),
        {"$flowbook": "x"},
        "\u2028 💥",
    ],
)
def test_values_arrive_as_they_are_and_never_as_code(value: Any) -> None:
    namespace: dict[str, Any] = {}
    code = injection({"x": value})
    exec(code, namespace)
    assert namespace["x"] == value
    assert type(namespace["x"]) is type(value)
    assert set(namespace) == {"__builtins__", "x"}


def test_the_parameters_cell_is_found_by_tag_or_comment(make_notebook: Any) -> None:
    path = make_notebook(
        "book", "import os", "# tag: parameters\nday: str = '2026-01-01'; n = 3\n_hidden = 1\nimport sys"
    )
    promote(path)
    database = engine.engine().database
    schema = manifest_of(database, find_deployment(database, "book").id, 1)["schema"]
    assert schema == [
        {"name": "day", "annotation": "str", "default": "'2026-01-01'"},
        {"name": "n", "annotation": None, "default": "3"},
    ]


def test_a_run_gets_the_deployed_parameters_and_its_own(make_notebook: Any) -> None:
    path = make_notebook(
        "book", "# parameters\nfrom datetime import date\nday: date = date(2026, 1, 1)\nn: int = 3\ns = ''"
    )
    promote(path, parameters={"n": 4}, parameter_texts=["s=5"])
    run = request_run("book/book", parameter_texts=["day=2026-05-06"])
    assert run.parameters == {"day": "2026-05-06", "n": 4, "s": "5"}
    assert (run.state_type, run.version, run.trigger) == ("SCHEDULED", 1, "deployment")


def test_long_parameters_are_kept_whole(make_notebook: Any) -> None:
    promote(make_notebook("book", "# parameters\nitems: list[int] = []\ntext: str = ''"))
    run = request_run("book", {"items": list(range(500)), "text": "x" * 5000})
    assert run.parameters == {"items": list(range(500)), "text": "x" * 5000}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["dya=1"], r"Deployment 'book' has no parameter 'dya'\. Did you mean 'day'\?"),
        (["day=tomorrow"], r"Parameter 'day' of deployment 'book' does not fit: .* \(it is 'tomorrow'\)"),
        (["tags=a,b"], r"Parameter 'tags' of deployment 'book' does not fit"),
    ],
)
def test_what_does_not_fit_is_refused_and_no_run_is_made(make_notebook: Any, given: list[str], sentence: str) -> None:
    from flowbook.runs import recent_runs

    promote(make_notebook("book", "# parameters\nday: date = None\ntags: list[str] = []"))
    with pytest.raises(ParameterError, match=sentence):
        request_run("book", parameter_texts=given)
    assert recent_runs() == []


@pytest.mark.parametrize(
    ("default", "good", "value", "bad"),
    [("1", "2", 2, "zzz"), ("True", "no", False, "perhaps"), ("[1, 2]", "[3]", [3], "1,2"), ("0.5", "2", 2.0, "half")],
)
def test_a_parameter_without_annotation_has_the_type_of_its_default(
    default: str, good: str, value: Any, bad: str
) -> None:
    schema = (Parameter(name="a", default=default),)

    def read(text: str) -> Any:
        return validate(schema, from_texts(schema, [f"a={text}"], "deployment 'd'"), "deployment 'd'")["a"]

    assert read(good) == value
    assert type(read(good)) is type(value)
    with pytest.raises(ParameterError, match="'a'"):
        read(bad)
