"""What calls do besides giving a value, and the resources that all cells share.

Which call does what is in the tables of `known_functions` and `known_methods`. What is not there is judged by what it
is called and how it is used (`libraries`), and what really happens is seen when the cell runs.
"""

from __future__ import annotations

from dataclasses import dataclass

from flowbook.cells.definitions import Definition

__all__ = [
    "ATTRIBUTES",
    "AXES_NAMES",
    "CONSTRUCTS",
    "CONVENTIONAL_MODULES",
    "EVENT_LOOP",
    "LOG_RECORDS",
    "NO_EFFECT",
    "PROCESSES",
    "SAME_ATTRIBUTES",
    "SERVERS",
    "SUBCLASSES",
    "SUPPRESSES",
    "THREADS",
    "Effect",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """What a call does besides giving a value. An argument is named by its position or its keyword."""

    receiver: bool = False
    """It changes the object whose method it is."""
    deep: bool = False
    """It also changes what the changed objects hold (an optimizer steps the model that it was given)."""
    arguments: tuple[int | str, ...] = ()
    """The arguments that it changes."""
    changes: tuple[str, ...] = ()
    """Shared resources that it changes."""
    looks: tuple[str, ...] = ()
    """Shared resources that it only looks at."""
    returns_receiver: bool = False
    """The result is the object itself, or a view of it."""
    returns: tuple[int, ...] = ()
    """Arguments that the result may be, view or iterate over."""
    iterates: bool = False
    """The result is an iterator: using it moves it on."""
    holds_arguments: bool = False
    """The result keeps references to the arguments."""
    calls: bool = False
    """It calls its first argument, with the others or their items, or else with the receiver or its items."""
    configures: bool = False
    """It changes the module that it belongs to, for everyone, so that later cells may compute something else."""
    starts: bool = False
    """What it makes goes on by itself when the cell has ended, unless it is awaited there and then."""
    carries: tuple[Definition, ...] = ()
    """What happens whenever the result is used."""
    keeps_arguments: bool = False
    """Its receiver, too, holds the arguments."""
    captures: bool = False
    """It takes what the whole process puts out while it is entered."""
    linked: bool = False
    """The result can be unpacked to objects that change with each other (a figure and its axes)."""
    writes_handle: bool = False
    """It writes to its receiver, or to the argument ``file``, which may be an open file."""
    reads_file: int | None = None
    """The argument that is the path of a file that is read."""
    writes_file: int | None = None
    opens: bool = False
    """The argument behind the path says whether the file is written."""

    @property
    def touches_files(self) -> bool:
        """Whether it is known which files it reads or writes."""
        return not (self.reads_file is self.writes_file is None and "files:?" not in self.changes + self.looks)


NO_EFFECT = Effect()
CONSTRUCTS = Effect(holds_arguments=True)
"""A class is called: the new object keeps what it is given."""

CONVENTIONAL_MODULES = {
    "np": "numpy", "pd": "pandas", "plt": "matplotlib.pyplot", "mpl": "matplotlib", "sns": "seaborn",
    "tf": "tensorflow", "sp": "scipy", "sm": "statsmodels.api", "smf": "statsmodels.formula.api", "pl": "polars",
    "numpy": "numpy", "pandas": "pandas", "matplotlib": "matplotlib", "seaborn": "seaborn", "torch": "torch",
    "random": "random", "os": "os", "sys": "sys", "shutil": "shutil", "heapq": "heapq", "bisect": "bisect",
    "json": "json", "pickle": "pickle", "joblib": "joblib", "importlib": "importlib", "warnings": "warnings",
    "logging": "logging", "pylab": "pylab", "operator": "operator",
}  # fmt: skip
"""What these names mean by convention, for a cell that reads them and does not import them itself."""

AXES_NAMES = ("ax", "fig", "subfig")
"""How names of matplotlib axes and figures begin; ``df.plot()`` however draws on the current figure."""

SAME_ATTRIBUTES = frozenset("T at data dt flat iat iloc imag index loc plot real str values".split())
"""Attributes through which the object itself is changed (``df.loc[…] = v``)."""

SUPPRESSES = frozenset({"contextlib.suppress", "pytest.raises", "suppress", "raises", "assertRaises", "ExitStack"})
"""Context managers after which the code goes on although the body was left by an exception."""

EVENT_LOOP = "event loop"
"""The resource of cells that make what belongs to an event loop, or use the loop itself."""

SERVERS = "servers"
"""The resource of cells that start a server in the process of the notebook."""

THREADS = "threads"
"""The resource of cells that start threads, as changed, and of those that wait for some, as looked at."""

PROCESSES = "processes"
"""The resource of cells that send functions to other processes, as looked at: those look names up in the notebook."""

SUBCLASSES = "the subclasses of a class"
"""The resource of cells that define subclasses of other cells' classes, and of those that ask for them."""

ATTRIBUTES = {"serve_forever": SERVERS, "__subclasses__": SUBCLASSES}
"""Attributes that nothing else has, and the resource that is touched with them, as changed."""

LOG_RECORDS = "log records"
"""The resource of cells that have what is logged written somewhere, so that its order counts."""
