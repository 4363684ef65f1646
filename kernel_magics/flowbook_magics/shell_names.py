"""A shell whose magics see the names of the cell task that they are used in.

Magics and shell commands look names up in ``shell.user_ns``. In a cell task that must be the task's own namespace,
also while several tasks run at once; everywhere else it stays the notebook's. The same goes for ``__main__``, where
`pickle` looks up the classes of a cell that has not ended yet.
"""

from __future__ import annotations

import threading
from types import ModuleType
from typing import Any

from flowbook_magics.namespace import running

_loading = threading.Lock()


def show_task_names(shell: Any) -> None:
    """Have `shell` show its magics the names of cell tasks."""
    plain: Any = type(shell)

    def names(self: Any) -> dict[str, Any]:
        task = running.get()
        return plain.user_ns.fget(self) if task is None else task.names

    def set_names(self: Any, names: dict[str, Any]) -> None:
        plain.user_ns.fset(self, names)

    def global_names(self: Any) -> dict[str, Any]:
        task = running.get()
        return self.user_module.__dict__ if task is None else task.names

    shell.__class__ = type(
        plain.__name__,
        (plain,),
        {
            "user_ns": property(names, set_names),
            "user_global_ns": property(global_names),
            "__module__": plain.__module__,
            "shows_task_names": True,
        },
    )
    main = type(shell.user_module)
    shell.user_module.__class__ = type(main.__name__, (_MainModule, main), {"__module__": main.__module__})


def load_magics(shell: Any) -> None:
    """Have all magics there. IPython loads a class of them when one is first used, which two threads must not do."""
    load = getattr(shell.magics_manager, "load_all_lazy_magics", None)
    if load is not None:
        with _loading:
            load()


def hide_task_names(shell: Any) -> None:
    """Undo `show_task_names`."""
    if getattr(shell, "shows_task_names", False):
        shell.__class__ = type(shell).__base__
        shell.user_module.__class__ = type(shell.user_module).__bases__[1]


class _MainModule(ModuleType):
    """The module of the notebook's names, whose attributes in a cell task are those of the task."""

    def __getattribute__(self, name: str) -> Any:
        task = running.get()
        if task is not None and dict.__contains__(task.names, name):
            return task.names[name]
        return super().__getattribute__(name)
