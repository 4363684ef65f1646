"""Views of flowbook's runs in notebooks.

A view is a function of a snapshot and events (:mod:`flowbook.core.view`): nothing here knows how tasks are run or
stored. `live_view` shows a run while it goes on; `final_bundle` is what it leaves behind; `LiveDag` is the widget.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowbook_widgets.actions import Action
from flowbook_widgets.show import LiveView, live_view
from flowbook_widgets.static import final_bundle

if TYPE_CHECKING:
    from flowbook_widgets.live import LiveDag

__all__ = ["Action", "LiveDag", "LiveView", "final_bundle", "live_view"]


def __getattr__(name: str) -> Any:
    if name == "LiveDag":  # it costs the import of anywidget and ipywidgets
        from flowbook_widgets.live import LiveDag

        return LiveDag
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
