"""What a run leaves behind in the notebook: it needs no kernel, no widget and no trust to be seen."""

from __future__ import annotations

import contextlib
from base64 import b64encode
from collections.abc import Iterable
from html import escape

from flowbook.core.boxes import Drawn, faces
from flowbook.core.failure import Failure, failure_text
from flowbook.core.text import sentence, task_table, text_dag
from flowbook.core.view import WORDS, RunView
from flowbook.errors import FlowbookError
from flowbook_widgets.actions import Action
from flowbook_widgets.failure_card import failure_html


def final_bundle(
    view: RunView,
    now: float | None = None,
    *,
    picture: bool = True,
    said: str | None = None,
    failure: Failure | None = None,
    actions: Iterable[Action] = (),
) -> dict[str, str]:
    """The run by MIME type: one sentence and the picture as HTML; sentence, graph and table as plain text.

    Of a run that failed both say why, if `failure` is given, and the HTML what can be done about it.

    Without `picture`, or when Graphviz fails, the graph in the HTML is the plain one. `said` goes before the run's own
    sentence.
    """
    said = said or sentence(view, now)
    drawn = faces(view)
    graph = text_dag(view, now, drawn)
    why = failure_text(failure) if failure is not None else ""
    text = "\n\n".join(part for part in (said, why, graph, task_table(view, now, drawn)) if part)
    card = failure_html(failure, actions) if failure is not None else ""
    word = WORDS[view.look]
    begins = f"<strong>{word}</strong>" if said.startswith(word) else ""
    html = f"<p>{begins}{escape(said.removeprefix(word))}</p>{card}"
    if drawn:
        html += (_image(view, now, drawn, graph) if picture else None) or f"<pre>{escape(graph)}</pre>"
    return {"text/html": html, "text/plain": text}


def _image(view: RunView, now: float | None, drawn: Drawn, plain: str) -> str | None:
    """The picture as an image: inert, and let through by the sanitizers of JupyterLab and code hosts.

    None when Graphviz fails. `plain` is for those who cannot see it.
    """
    from flowbook.visualize import static_svg

    with contextlib.suppress(FlowbookError):
        encoded = b64encode(static_svg(view, now, drawn).encode()).decode()
        return f'<img alt="{escape(plain)}" src="data:image/svg+xml;base64,{encoded}">'
    return None
