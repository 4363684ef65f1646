"""The executed notebook as one HTML page that stands by itself.

A content security policy forbids the page every request and every script: it shows what an unattended run put out,
and nothing of that is to be trusted.
"""

from __future__ import annotations

from functools import cache
from html import escape
from typing import TYPE_CHECKING

from flowbook.core.text import sentence
from flowbook.core.view import RunView

if TYPE_CHECKING:
    from nbconvert.exporters import HTMLExporter
    from nbformat import NotebookNode

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:; media-src data:"

_STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem; color: #1f2328; background: #fff;
       font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; }
.fb-head { border-bottom: 1px solid #d8dee4; margin-bottom: 1.5rem; padding-bottom: 1rem; }
.fb-head h1 { font-size: 1.3rem; margin: 0 0 .3rem; }
.fb-graph { overflow-x: auto; margin-top: 1rem; }
.cell, .jp-Cell { margin: 0 0 1rem; }
.prompt, .jp-InputPrompt, .jp-OutputPrompt { color: #57606a; font: 12px ui-monospace, monospace; }
.input_area, .jp-InputArea-editor, div.highlight { background: #f6f8fa; border-radius: 6px; }
pre { margin: 0; padding: .6rem .8rem; overflow-x: auto; font: 13px/1.45 ui-monospace, SFMono-Regular, Menlo, monospace;
      white-space: pre-wrap; overflow-wrap: anywhere; }
.output_stderr pre, [data-mime-type="application/vnd.jupyter.stderr"] pre { background: #fff5f5; }
table { border-collapse: collapse; font-size: 13px; } th, td { padding: .25rem .6rem; text-align: right; }
thead { border-bottom: 1px solid #848d97; } tbody tr:nth-child(odd) { background: #f6f8fa; }
img, svg { max-width: 100%; height: auto; }
.anchor-link { display: none; }
"""


def page(notebook: NotebookNode, view: RunView, svg: str) -> str:
    """The page: what became of the run, its graph, and the cells with their outputs."""
    from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]

    body, _ = _exporter().from_notebook_node(notebook)
    title = escape(f"{view.flow} · {view.name}")
    code_style = HtmlFormatter(style="default").get_style_defs(".highlight")
    return (
        "<!DOCTYPE html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}{code_style}</style></head><body>"
        f'<header class="fb-head"><h1>{title}</h1><div>{escape(sentence(view))}</div>'
        f'<div class="fb-graph">{svg}</div></header>\n{body}\n</body></html>\n'
    )


def prepare() -> None:
    """Do what the first page takes besides: its templates are compiled."""
    from nbformat import v4

    outputs = [v4.new_output("stream", text="x"), v4.new_output("display_data", data={"text/plain": "x"})]  # type: ignore[no-untyped-call]
    cells = [v4.new_markdown_cell("x"), v4.new_code_cell("x", outputs=outputs)]  # type: ignore[no-untyped-call]
    _exporter().from_notebook_node(v4.new_notebook(cells=cells))  # type: ignore[no-untyped-call]


@cache
def _exporter() -> HTMLExporter:
    from nbconvert.exporters import HTMLExporter

    # That a notebook is one is looked at once, and not around each step.
    return HTMLExporter(template_name="basic", embed_images=True, optimistic_validation=True)  # type: ignore[no-untyped-call]
