"""What the front end is told of a task that is opened."""

from __future__ import annotations

from flowbook.core import states
from flowbook.core.view import NodeView, RunView
from flowbook_widgets.answers import node_details


def test_a_mapped_cell_lists_its_elements_those_that_failed_first() -> None:
    nodes = {"m": NodeView(id="m", name="part", state=states.running())}
    for i, state in enumerate([states.completed(), states.failed(ValueError("no rows")), states.running()]):
        nodes[f"e{i}"] = NodeView(id=f"e{i}", name=f"part[{i}]", state=state, mapped_by="m")
    listed = node_details(RunView(id="r", state=states.running(), nodes=nodes), "n0", None)
    assert [(each["name"], each["look"]) for each in listed["members"]] == [
        ("part[1]", "failed"),
        ("part[2]", "running"),
        ("part[0]", "succeeded"),
    ]
    assert (listed["members"][0]["message"], listed["more"]) == ("ValueError: no rows", 0)
