"""Pictures of a run: DOT, the layout and SVG of it by Graphviz (in-process, as WebAssembly), live and saved.

Nothing here needs a system package, a network or a front end. Graphviz is loaded by the first layout, not by
the import.
"""

from flowbook.visualize.dot import to_dot
from flowbook.visualize.picture import live_svg, static_svg
from flowbook.visualize.planned import PlannedGraph
from flowbook.visualize.svg import GraphvizError, render

__all__ = ["GraphvizError", "PlannedGraph", "live_svg", "render", "static_svg", "to_dot"]
