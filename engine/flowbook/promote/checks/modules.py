"""Modules that a notebook imports, and that are neither beside it nor installed."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Collection, Iterator, Sequence
from importlib.machinery import PathFinder
from pathlib import Path

from flowbook.promote.cells import KnownCell
from flowbook.promote.checks.certainty import cell_with_certainty, with_certainty
from flowbook.promote.checks.finding import Finding, Severity, in_cell
from flowbook.promote.checks.magic_lines import installs
from flowbook.promote.local_code import local_imports

_Import = ast.Import | ast.ImportFrom


def module_findings(cells: Sequence[KnownCell], used: Collection[str], folder: Path, kernel: str) -> Iterator[Finding]:
    """Modules that certainly are imported, by a cell or by a module beside the notebook, and that nobody has.

    What is installed is known only of the Python that checks it: where the `kernel` is of another one, or a cell
    installs or changes ``sys.path``, only parts of packages beside the notebook are missed.
    """
    sees_all = _is_our_python(kernel) and not any(map(_may_bring_modules, cells))
    said = {name for known in cells for name in _written(known)}
    for known in cells:
        for node, certain in cell_with_certainty(known, used):
            if not certain or not isinstance(node, _Import):
                continue
            for module, importer in _missing(node, folder, sees_all):
                if module not in said:
                    said.add(module)
                    yield _finding(known, node.lineno, module, importer)


def _written(known: KnownCell) -> Iterator[str]:
    """The modules that the cell writes itself, with ``%%writefile`` for example."""
    for resource in known.analysis.resources - known.analysis.resource_reads:
        if resource.startswith("files:") and resource.endswith(".py"):
            yield resource.removeprefix("files:").removesuffix(".py").replace("/", ".")


def _is_our_python(kernel: str) -> bool:
    from flowbook.promote.kernels import installed_kernels

    program = next(iter(installed_kernels().get(kernel, {}).get("argv", ())), None)
    return program in (sys.executable, "python", "python3")  # of the latter two jupyter_client makes our own


def _may_bring_modules(known: KnownCell) -> bool:
    return "sys.path" in known.analysis.resources - known.analysis.resource_reads or installs(known)


def _finding(known: KnownCell, line: int, module: str, importer: str | None) -> Finding:
    subject = f"{module!r} is imported, and" if importer is None else f"{module!r}, which {importer} imports,"
    why = f"{subject} is neither installed nor beside the notebook, as {module.replace('.', '/')}.py."
    return in_cell(Severity.WARNING, known.cell, line, why, "Bring it back, or install the package that it is part of.")


def _missing(node: _Import, folder: Path, sees_all: bool) -> Iterator[tuple[str, str | None]]:
    """The modules that an import does not find, each with the file beside the notebook that imports it, if one does."""
    for module in _imported(node, folder, folder, sees_all):
        yield module, None
    for name in _files(node, folder):
        try:
            tree = ast.parse((folder / name).read_bytes())
        except (SyntaxError, ValueError, OSError):
            continue  # the import will say it better, when it runs
        for inner, certain in with_certainty(tree, ()):
            if certain and isinstance(inner, _Import):
                for module in _imported(inner, folder, (folder / name).parent, sees_all):
                    yield module, name


def _files(node: _Import, folder: Path) -> Iterator[str]:
    try:
        yield from local_imports([ast.Module(body=[node], type_ignores=[])], folder)
    except OSError:
        return  # promoting says which module cannot be read


def _imported(node: _Import, folder: Path, beside: Path, sees_all: bool) -> Iterator[str]:
    """The names of the modules, seen from `folder`, that are not found."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif not node.module or (node.level and beside == folder):  # a notebook and what is beside it are in no package
        return
    else:
        start = Path(os.path.relpath(beside.joinpath(*[".."] * (node.level - 1)), folder)) if node.level else Path()
        names = [".".join([*start.parts, node.module])]
    yield from (name for name in names if ".." not in name and not _is_found(name.split("."), folder, sees_all))


def _is_found(parts: Sequence[str], folder: Path, sees_all: bool) -> bool:
    """Whether the module is beside the notebook, or its outermost package is installed."""
    path: Sequence[str] = [str(folder)]
    for number, part in enumerate(parts):
        spec = PathFinder.find_spec(part, path)
        # Before a folder of the same name that is no package, Python takes what is installed.
        if number == 0 and (spec is None or spec.loader is None) and (not sees_all or _is_installed(part)):
            return True
        if spec is None:
            return False
        if spec.submodule_search_locations is None:
            return True  # a module, whose attributes may be anything
        path = list(spec.submodule_search_locations)
    return True


def _is_installed(name: str) -> bool:
    # Not by importlib.util.find_spec, which trusts what was imported before its file was removed.
    return name in sys.stdlib_module_names or any(_finds(finder, name) for finder in sys.meta_path)


def _finds(finder: object, name: str) -> bool:
    try:
        return finder.find_spec(name, None) is not None  # type: ignore[attr-defined]
    except Exception:  # a finder of somebody else's: what it knows is not known
        return True
