"""An artifact as a view shows it: HTML in which nothing of what is stored can run.

A front end runs the scripts of Markdown and HTML that come from a cell just executed, so Markdown is turned into HTML
here: raw HTML in it is shown as text, and links and images lead only where :mod:`flowbook.core.links` lets them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from html import escape, unescape
from itertools import zip_longest
from typing import Any

from flowbook.core.links import safe_image, safe_link

_MOST_ROWS = 200
_LONGEST_MARKDOWN = 100_000  # characters; what is above is not parsed
#: Front ends set text between dollar signs as formulas; prices in a table are none (classes of MathJax 2 and 3).
_PLAIN, _FORMULA = "tex2jax_ignore mathjax_ignore", "tex2jax_process mathjax_process"
_TAG = re.compile(r"<[^>]*>")
_BREAK = re.compile(r"<br\s*/?>")  # which tables in Markdown cannot do without


def mime_bundle(kind: str, data: Any, description: str | None) -> dict[str, str]:
    """The artifact as ``text/html`` and ``text/plain``. Data that does not fit its kind is shown as JSON text."""
    try:
        html, plain = _SHOWN[kind](data)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        plain = json.dumps(data, ensure_ascii=False)
        html = f"<pre>{escape(plain)}</pre>"
    if description:
        html = f"<p>{escape(description)}</p>{html}"
        plain = f"{description}\n{plain}"
    return {"text/html": f'<div class="flowbook-artifact {_PLAIN}">{html}</div>', "text/plain": plain}


def _of_markdown(data: str) -> tuple[str, str]:
    html = _markdown()(data[:_LONGEST_MARKDOWN])
    more = len(data) - _LONGEST_MARKDOWN
    return (html if more <= 0 else f"{html}<p>… and {more} more characters</p>"), data


def _of_table(data: Any) -> tuple[str, str]:
    heads, rows = _head_and_rows(data)
    head = f"<thead><tr>{''.join(f'<th>{escape(name)}</th>' for name in heads)}</tr></thead>" if heads else ""
    body = "".join(f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row)}</tr>" for row in rows[:_MOST_ROWS])
    more = len(rows) - _MOST_ROWS
    below = f"<p>… and {more} more {_plural('row', more)}</p>" if more > 0 else ""
    width = len(heads) or max(map(len, rows), default=0)
    said = f"{len(rows)} {_plural('row', len(rows))} of {width} {_plural('column', width)}"
    return f"<table>{head}<tbody>{body}</tbody></table>{below}", f"Table: {said}"


def _of_link(data: Mapping[str, Any]) -> tuple[str, str]:
    address, text = data["link"], data["text"]
    if (link := safe_link(address)) is None:
        said = address if text == address else f"{text} ({address})"
        return escape(said), said
    return _anchor(link, escape(text)), address if text == address else f"{text}: {address}"


def _of_image(data: str) -> tuple[str, str]:
    if (address := safe_image(data)) is None:
        return escape(data), data
    return f'<img src="{escape(address)}" alt="">', "Image" if address[:5].lower() == "data:" else f"Image: {address}"


def _of_progress(data: float) -> tuple[str, str]:
    shown = f"{data:.1f}"
    return f'<progress max="100" value="{shown}"></progress> {shown} %', f"{shown} %"


_SHOWN: Mapping[str, Callable[[Any], tuple[str, str]]] = {
    "markdown": _of_markdown,
    "table": _of_table,
    "link": _of_link,
    "image": _of_image,
    "progress": _of_progress,
}


def _head_and_rows(data: Any) -> tuple[list[str], list[list[Any]]]:
    """The titles of a table's columns, if they have any, and its rows."""
    if isinstance(data, Mapping):
        return list(data), [list(row) for row in zip_longest(*data.values())]
    if all(isinstance(row, Mapping) for row in data):
        heads = list(dict.fromkeys(name for row in data for name in row))
        return heads, [[row.get(name) for name in heads] for row in data]
    return [], [list(row) for row in data]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return escape(json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value))


def _anchor(link: str, html: str) -> str:
    return f'<a href="{escape(link)}" target="_blank" rel="noopener noreferrer">{html}</a>'


def _plural(noun: str, number: int) -> str:
    return noun if number == 1 else f"{noun}s"


@cache
def _markdown() -> Callable[[str], str]:
    """CommonMark with tables, task lists and formulas to HTML."""
    import mistune

    class Renderer(mistune.HTMLRenderer):
        """Every place where the text could become more than text is ours."""

        def link(self, text: str, url: str, title: str | None = None) -> str:
            return text if (link := safe_link(url)) is None else _anchor(link, text)

        def image(self, text: str, url: str, title: str | None = None) -> str:
            alt = escape(unescape(_TAG.sub("", text)))
            return alt if (address := safe_image(url)) is None else f'<img src="{escape(address)}" alt="{alt}">'

        def inline_html(self, html: str) -> str:
            return "<br>" if _BREAK.fullmatch(html) else escape(html)

        def block_html(self, html: str) -> str:
            return f"<p>{escape(html.strip())}</p>\n"

        def block_code(self, code: str, info: str | None = None) -> str:
            return f"<pre><code>{escape(code)}</code></pre>\n"

        def inline_math(self, text: str) -> str:
            return f'<span class="{_FORMULA}">\\({escape(text)}\\)</span>'

        def block_math(self, text: str) -> str:
            return f'<div class="{_FORMULA}">$${escape(text)}$$</div>\n'

    plugins = ["table", "strikethrough", "task_lists", "url", "math"]
    parse = mistune.create_markdown(renderer=Renderer(escape=True), plugins=plugins)
    return lambda text: str(parse(text))
