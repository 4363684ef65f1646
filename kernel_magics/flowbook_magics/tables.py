"""Tables and text that the magics show: plain text, and HTML that says the same."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


class Table:
    """Rows under headings. A front end that can show HTML does; everything else gets aligned text."""

    def __init__(self, headings: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> None:
        self.headings = headings
        self.rows = rows
        self.empty = empty

    def __repr__(self) -> str:
        if not self.rows:
            return self.empty
        lines = [list(self.headings), *[list(row) for row in self.rows]]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.headings))]
        return "\n".join(
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )

    def _repr_html_(self) -> str:
        if not self.rows:
            return f"<p>{escape(self.empty)}</p>"
        head = "".join(f'<th style="text-align:left">{escape(text)}</th>' for text in self.headings)
        body = "".join(
            "<tr>" + "".join(f'<td style="text-align:left">{escape(text)}</td>' for text in row) + "</tr>"
            for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


class Text:
    """Text that a cell shows as it is."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


class Marked(Text):
    """Text, and HTML that says the same, for front ends that can show it."""

    def __init__(self, text: str, html: str) -> None:
        super().__init__(text)
        self.html = html

    def _repr_html_(self) -> str:
        return self.html
