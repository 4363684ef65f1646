"""What the running code may ask about its run: ``flowbook.runtime.flow_run.name``, ``flowbook.runtime.task_run.id``…

Each attribute is read anew, so that it fits the run that asks. Outside of a run an attribute is None, or empty if it is
a collection. ``flowbook.runtime.set_output(...)`` says what a notebook gives to whoever has called it.
"""

from __future__ import annotations

from flowbook.runtime import deployment, flow_run, task_run
from flowbook.runtime.output import set_output

__all__ = ["deployment", "flow_run", "set_output", "task_run"]
