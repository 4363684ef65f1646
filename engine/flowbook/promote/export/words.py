"""The names that a module needs besides those of the notebook, and that collide with none of them."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from collections.abc import Iterable

from flowbook.promote.export.bindings import bound, imported
from flowbook.promote.export.python_cells import PythonCell


class Words:
    """Gives out names; `imports` are those that the module must import for what it was asked for."""

    def __init__(self, cells: Iterable[PythonCell], params: Iterable[str] = ()) -> None:
        self._taken = {*dir(builtins), *keyword.kwlist, *keyword.softkwlist, *params}
        self._known: dict[str, str] = {}
        self.imports: dict[str, ast.ImportFrom | ast.Import] = {}
        self.show = ""
        """The function that prints what the notebook shows; empty if nothing is shown."""
        for cell in cells:
            for piece in cell.pieces:
                self._learn(piece.node)

    def _learn(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom):
            self._known.update(imported(node))
        self._taken |= bound(node)
        for each in ast.walk(node):
            if isinstance(each, ast.Name):
                self._taken.add(each.id)
            elif isinstance(each, ast.arg):
                self._taken.add(each.arg)

    def free(self, wanted: str, suffix: str) -> str:
        """A name that nothing has, like `wanted`; from now on it is taken."""
        stem = re.sub(r"\W", "_", wanted) or suffix.strip("_")
        stem = f"_{stem}" if stem[0].isdigit() else stem
        name, number = stem, 1
        while name in self._taken:
            name = f"{stem}{suffix}" if number == 1 else f"{stem}{suffix}_{number}"
            number += 1
        self._taken.add(name)
        return name

    def showing(self) -> str:
        """How the module calls the function that prints what the notebook shows below a cell."""
        self.show = self.show or self.free("_show", "_")
        return self.show

    def api(self, name: str, module: str = "flowbook") -> str:
        """How the module calls something that it imports from `module`, by default of flowbook's."""
        path = f"{module}.{name}"
        if path not in self.imports:
            alias = (
                None if self._known.get(name) == path or name not in self._taken else self.free(f"flowbook_{name}", "_")
            )
            self._taken.add(name)
            self.imports[path] = ast.ImportFrom(module=module, names=[ast.alias(name, alias)], level=0)
        return self.imports[path].names[0].asname or name

    def module(self, name: str) -> str:
        """How the module calls a module of the standard library that it imports."""
        if name not in self.imports:
            alias = None if self._known.get(name) == name or name not in self._taken else self.free(f"the_{name}", "_")
            self._taken.add(name)
            self.imports[name] = ast.Import(names=[ast.alias(name, alias)])
        return self.imports[name].names[0].asname or name
