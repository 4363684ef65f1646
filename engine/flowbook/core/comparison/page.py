"""A comparison as HTML: a fragment for under a cell, or a page that stands by itself.

What the runs put out is not to be trusted. Texts and tables are written anew from their text; pictures are shown as
images, in which SVG runs no script and loads nothing; and a content security policy forbids the page every request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

from flowbook.core.comparison import words
from flowbook.core.comparison.records import (
    Comparison,
    OutputChange,
    Picture,
    PictureChange,
    TableChange,
    TableRow,
    TextChange,
)
from flowbook.core.plain import one_line

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
#: A class named twice outdoes what Jupyter says of headings and tables in outputs.
_STYLE = """
.fb-diff { font-size: 13px; line-height: 1.5; overflow-wrap: anywhere; }
.fb-diff.fb-diff h3 { font-size: 1.05em; font-weight: 600; margin: 1.2em 0 .3em; }
.fb-diff pre { margin: .2em 0 .6em; padding: .4em .6em; border: 1px solid #8884; white-space: pre-wrap; }
.fb-diff pre > span { display: block; min-height: 1.5em; }
.fb-diff table { border-collapse: collapse; margin: .2em 0 .6em; }
.fb-diff.fb-diff th, .fb-diff.fb-diff td { text-align: left; vertical-align: top; padding: .15em .6em; }
.fb-diff th, .fb-diff td { border: 1px solid #8884; }
.fb-diff del, .fb-diff .fb-old { background: #f851492e; }
.fb-diff ins, .fb-diff .fb-new { background: #2ea0432e; }
.fb-diff del, .fb-diff ins { text-decoration: none; padding: 0 .15em; }
.fb-diff .fb-where { color: #6e7781; }
.fb-diff .fb-changed { font-weight: 600; }
.fb-diff figure { display: inline-block; margin: 0 1em .6em 0; vertical-align: top; max-width: 30em; }
.fb-diff figure img { max-width: 100%; height: auto; background: #fff; border: 1px solid #8884; }
"""
_PAGE_STYLE = "body { margin: 0 auto; max-width: 70rem; padding: 1.5rem; font-family: system-ui, sans-serif; }"
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_LARGEST = 3_000_000  # characters of a picture


def page(found: Comparison) -> str:
    """The whole page, which needs nothing else and asks nobody."""
    title = escape(f"Run {found.before.number} and run {found.after.number}")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_PAGE_STYLE}</style></head><body><h1>{title}</h1>\n{fragment(found)}</body></html>\n"
    )


def fragment(found: Comparison) -> str:
    """The report for under a cell. The classes keep front ends from taking prices for formulas."""
    parts = [
        *(f"<div><b>{escape(words.heading(side))}</b><br>{escape(words.ending(side))}</div>" for side in found.sides),
        f"<p><b>{escape(words.verdict(found))}</b></p>",
        *(f"<p>{escape(one_line(said))}</p>" for said in found.said),
    ]
    if found.parameters:
        parts += ["<h3>Parameters</h3>", _parameters(found)]
    if found.tasks:
        parts += ["<h3>Tasks</h3>", _tasks(found)]
    if found.program is not None:
        parts += ["<h3>Program</h3>", _diff(found.program)]
    for cell in found.changed_cells:
        parts.append(f"<h3>{escape(words.cell_heading(cell, found))}</h3>")
        if cell.code is not None:
            parts += ["<div>code</div>", _diff(cell.code)]
        parts += [_output(output, found) for output in cell.outputs]
    if said := words.same_cells(found):
        parts.append(f"<p>{said}</p>")
    if found.log is not None:
        parts += ["<h3>Log</h3>", _diff(found.log)]
    body = "\n".join(parts)
    return f'<div class="fb-diff tex2jax_ignore mathjax_ignore"><style>{_STYLE}</style>{body}</div>'


def _titles(found: Comparison, first: str) -> list[str]:
    return [first, found.before.title.capitalize(), found.after.title.capitalize()]


def _parameters(found: Comparison) -> str:
    rows = [
        [escape(one_line(each.name)), *(("not given" if v is None else _code(v)) for v in (each.before, each.after))]
        for each in found.parameters
    ]
    return _table(_titles(found, "Parameter"), rows)


def _tasks(found: Comparison) -> str:
    rows = []
    for task in found.tasks:
        cells = [escape(one_line(task.name)), *(escape(words.shown_task(t)) for t in (task.before, task.after))]
        rows.append([f'<span class="fb-changed">{cell}</span>' for cell in cells] if task.is_changed else cells)
    return _table(_titles(found, "Task"), rows)


def _output(output: OutputChange, found: Comparison) -> str:
    what = output.what
    title = f"<div>{escape(words.output_heading(output.title, what))}</div>"
    if isinstance(what, TextChange):
        return title + _diff(what)
    return title + (_cells(what) if isinstance(what, TableChange) else _pictures(what, found))


def _diff(change: TextChange) -> str:
    kinds = {"-": "fb-old", "+": "fb-new", "@": "fb-where"}
    lines = [f'<span class="{kinds.get(line[:1], "")}">{escape(one_line(line))}</span>' for line in change.lines]
    more = f"… and {change.left_out} more lines" if change.left_out else ""
    return f"<pre>{''.join(lines)}{more}</pre>"


def _cells(change: TableChange) -> str:
    said = "".join(f"<p>{escape(one_line(each))}</p>" for each in change.said)
    if not change.rows:
        return said
    labels = max(len(row.label) for row in change.rows)
    unnamed = labels + len(change.rows[0].cells) - len(change.heads)
    heads = [*("Row" for _ in range(unnamed)), *map(one_line, change.heads)]
    more = f"<p>… and {change.left_out} more rows</p>" if change.left_out else ""
    return said + _table(heads, [_row(row) for row in change.rows]) + more


def _row(row: TableRow) -> list[str]:
    tag = {"added": "ins", "removed": "del"}.get(row.change)
    labels = [escape(one_line(text)) for text in row.label]
    return [*(f"<{tag}>{text}</{tag}>" if tag else text for text in labels), *(_both(*cell) for cell in row.cells)]


def _both(old: str | None, new: str | None) -> str:
    if old == new:
        return escape(one_line(new or ""))
    tagged = (("del", old), ("ins", new))
    return " ".join(f"<{tag}>{escape(one_line(text))}</{tag}>" for tag, text in tagged if text is not None)


def _pictures(change: PictureChange, found: Comparison) -> str:
    shown = [
        _figure(picture, side.title)
        for picture, side in ((change.before, found.before), (change.after, found.after))
        if picture is not None
    ]
    if change.pixels is not None:
        shown.append(_figure(Picture(mime="image/png", content=change.pixels.overlay), "what differs"))
    return "".join(shown)


def _figure(picture: Picture, title: str) -> str:
    text = escape(title)
    if not _BASE64.fullmatch(picture.content) or len(picture.content) > _LARGEST:
        return f"<figure><figcaption>{text}: the picture is damaged or too large to be shown</figcaption></figure>"
    address = f"data:{escape(picture.mime)};base64,{picture.content}"
    return f'<figure><figcaption>{text}</figcaption><img src="{address}" alt="{text}"></figure>'


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Titles as text, cells as HTML."""
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"
