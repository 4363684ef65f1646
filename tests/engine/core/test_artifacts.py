"""What artifacts hold, and the HTML of it: nothing that is stored can become more than text, safe links and images."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbook.core.artifact_data import image_data, key_of, percent, table_data
from flowbook.core.artifact_html import mime_bundle
from flowbook.core.links import safe_image, safe_link
from flowbook.errors import UsageError

HARMLESS = set(
    "a b blockquote br code del div em h1 h2 h3 h4 h5 h6 hr img input li ol p pre progress span strong table tbody td "
    "th thead tr ul".split()
)
ATTRIBUTES = set("alt checked class disabled href max rel src start style target type value".split())
LINKS = [
    "https://x.org/a?b=1&c='\"<",
    "http://x",
    "MAILTO:a@b.c",
    "a/b.html",
    "/a",
    "#a",
    "?q",
    "//x.org",
    " http://x ",
]
NO_LINKS = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " \x01javascript:alert(1)",
    "java\nscr\tipt:alert(1)",
    "vbscript:x",
    "data:text/html,<script>alert(1)</script>",
    "file:///etc/passwd",
    "s3://bucket/key",
    "C:\\data",
    "",
    " ",
]
HOSTILE = [
    "<script>alert(1)</script>",
    "text <img src=x onerror=alert(1)> text",
    "<svg onload=alert(1)>",
    '<a href="javascript:alert(1)">x</a>',
    "<details open ontoggle=alert(1)>\n\n**x**",
    "[x](javascript:alert(1))",
    "[x](java&#115;cript:alert(1))",
    "[x](&#1;javascript&colon;alert(1))",
    "[x](<java\tscript:alert(1)>)",
    "[x]\n\n[x]: javascript:alert(1)",
    "<javascript:alert(1)>",
    '[x](http://y "\\" onmouseover=\\"alert(1)")',
    '[x](http://y"onmouseover="alert(1))',
    '![x" onerror="alert(1)](http://y)',
    "![x](javascript:alert(1))",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "![*a* <b onclick=alert(1)>](http://y)",
    "$<script>alert(1)</script>$",
    "$$\n</div><script>alert(1)</script>\n$$",
    '```py"onload="alert(1)\n<script>alert(1)</script>\n```',
    "|<script>a</script>|b|\n|-|-|\n|<script>alert(1)</script>|`<script>`|",
    "<!-- --><script>alert(1)</script>",
    "<br/onclick=alert(1)>",
    "</div></div><script>alert(1)</script>",
    "- [ ] <script>alert(1)</script>",
    "http://x\"onmouseover='alert(1)'",
    "'\"><iframe srcdoc='<script>alert(1)</script>'>",
]


class Elements(HTMLParser):
    """The elements of some HTML, with what could run in them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def check(self) -> None:
        for tag, attributes in self.tags:
            assert tag in HARMLESS, tag
            assert set(attributes) <= ATTRIBUTES, attributes
            assert "href" not in attributes or safe_link(attributes["href"] or "") is not None
            assert "src" not in attributes or safe_image(attributes["src"] or "") is not None


def html_of(kind: str, data: Any, description: str | None = None) -> Elements:
    return Elements(mime_bundle(kind, data, description)["text/html"])


@pytest.mark.parametrize("address", LINKS)
def test_links_that_are_followed(address: str) -> None:
    assert safe_link(address) == address.strip()


@pytest.mark.parametrize("address", NO_LINKS)
def test_links_that_are_not(address: str) -> None:
    assert safe_link(address) is None
    assert safe_image(address) is None


def test_images_that_are_loaded() -> None:
    assert safe_image("https://x.org/a.png") is not None
    assert safe_image("data:image/png;base64,iVBORw0KGgo=") is not None
    for address in (
        "data:image/svg+xml;base64,PHN2Zz4=",
        "data:image/png,<svg>",
        "a.png",
        "data:text/html;base64,PHA+",
    ):
        assert safe_image(address) is None


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", ["markdown", "table", "link", "link text", "image", "description", "unknown"])
def test_nothing_hostile_runs(kind: str, text: str) -> None:
    data: dict[str, tuple[str, Any]] = {
        "markdown": ("markdown", text),
        "table": ("table", [{text: text, "b": [text]}]),
        "link": ("link", {"link": text, "text": text}),
        "link text": ("link", {"link": "http://x", "text": text}),
        "image": ("image", text),
        "description": ("progress", 5.0),
        "unknown": (text, {text: text}),
    }
    shown = html_of(*data[kind], description=text if kind == "description" else None)
    shown.check()
    assert shown.tags[0][0] == "div"
    if kind in ("table", "link text", "description"):
        assert text in shown.text


@given(st.text("<>[]()!\"'`=: \n\\&#;$*_|-~/abjsx"))
def test_no_markdown_makes_other_elements(text: str) -> None:
    html_of("markdown", text).check()


@pytest.mark.parametrize("data", [None, 5, "x", [1], {"a": 1}, [{"a": 1}, [2]], {"link": 5, "text": None}, True])
@pytest.mark.parametrize("kind", ["markdown", "table", "link", "image", "progress", "unknown"])
def test_data_that_does_not_fit_is_text(kind: str, data: Any) -> None:
    html_of(kind, data).check()


def test_markdown_stays_markdown() -> None:
    shown = html_of("markdown", "# Sales\n\n**3** of [4](http://x)<br>$a_1$ costs $5 and $6\n\n|a|\n|-|\n|`<b>`|")
    assert [tag for tag, _ in shown.tags] == ("div h1 p strong a br span table thead tr th tbody tr td code".split())
    assert r"\(a_1\) costs $5 and $6" in shown.text
    assert "<b>" in shown.text
    assert shown.tags[4][1] == {"href": "http://x", "target": "_blank", "rel": "noopener noreferrer"}


def test_long_content_is_shown_in_part() -> None:
    assert "… and 800 more rows" in html_of("table", [[1]] * 1000).text
    assert "… and 1 more row" in html_of("table", [[1]] * 201).text
    assert "… and 5 more characters" in html_of("markdown", "x" * 100_005).text


@pytest.mark.parametrize(
    ("table", "stored", "text"),
    [
        ({"a": [1, 2], "b": ["x"]}, {"a": [1, 2], "b": ["x"]}, "ab1x2"),
        ([{"a": 1}, {"b": None}], [{"a": 1}, {"b": None}], "ab1"),
        ([[1, "x"], (True, 2.5)], [[1, "x"], [True, 2.5]], "1xTrue2.5"),
        ([], [], ""),
        (
            [{"d": date(2026, 1, 2), "n": Decimal("1.10"), 5: float("nan")}],
            [{"d": "2026-01-02", "n": "1.10", "5": None}],
            None,
        ),
    ],
)
def test_tables(table: Any, stored: Any, text: str | None) -> None:
    assert table_data(table) == stored
    if text is not None:
        assert html_of("table", stored).text == text


@pytest.mark.filterwarnings("ignore")
def test_tables_of_pandas_and_numpy() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"n": [1, None], "when": pandas.to_datetime(["2026-01-02", None]), "s": ["x", pandas.NA]})
    assert table_data(frame) == {"n": [1.0, None], "when": ["2026-01-02T00:00:00", None], "s": ["x", None]}
    assert table_data(frame.set_index("s")[["n"]]) == {"s": ["x", None], "n": [1.0, None]}
    twice = pandas.DataFrame([[1, 2]], columns=["a", "a"])
    assert list(table_data(twice).values()) == [[1], [2]]
    assert table_data({"a": frame["n"]}) == {"a": [1.0, None]}
    assert table_data([{"n": frame["n"].to_numpy()[0], "i": frame.index.to_numpy()[1]}]) == [{"n": 1.0, "i": 1}]
    assert table_data(frame["when"].to_numpy()[:1].reshape(1, 1))[0][0] is not None
    with pytest.raises(UsageError, match="600000 rows and 1 columns, and an artifact holds at most 1 MiB"):
        table_data(pandas.DataFrame({"n": range(600_000)}))


@pytest.mark.parametrize("table", ["text", 5, None, {"a": 1}, [1, 2], [{"a": 1}, [1]], {1: "ab"}])
def test_what_is_no_table(table: Any) -> None:
    with pytest.raises(UsageError, match="pass a dict of lists, a list of dicts"):
        table_data(table)


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF89a", "gif"), (b"RIFF\0\0\0\0WEBP", "webp")],
)
def test_bytes_of_images(start: bytes, kind: str) -> None:
    address = image_data(start + bytes(1000))
    assert address.startswith(f"data:image/{kind};base64,")
    assert html_of("image", address).tags[1] == ("img", {"src": address, "alt": ""})


@pytest.mark.parametrize(
    "image", [b"<svg onload=alert(1)>", b"", "plot.png", "javascript:alert(1)", None, 5, "x" * 999]
)
def test_what_is_no_image(image: Any) -> None:
    with pytest.raises(UsageError, match="PNG, JPEG, GIF"):
        image_data(image)


@pytest.mark.parametrize("key", ["Report", "my key", "a_b", "", "é", "a\n", "٣", 5])
def test_keys_that_are_refused(key: Any) -> None:
    with pytest.raises(UsageError, match="lowercase letters \\(a-z\\), digits and dashes only"):
        key_of(key)


@pytest.mark.parametrize("progress", ["50", None, float("nan"), True, [1]])
def test_what_is_no_progress(progress: Any) -> None:
    with pytest.raises(UsageError, match="a number from 0 to 100"):
        percent(progress)
