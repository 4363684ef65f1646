"""Hidden state: names that were there when the author ran a cell, and that no cell defines."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence

from flowbook.promote.cells import KnownCell, Role
from flowbook.promote.checks.certainty import cell_with_certainty
from flowbook.promote.checks.finding import Finding, Severity, in_cell
from flowbook.promote.checks.magic_lines import magic_lines
from flowbook.promote.parameters import flow_cell_parameters

#: Names that IPython itself provides.
_PROVIDED = frozenset({"display", "get_ipython", "In", "Out", "exit", "quit", "__name__", "__file__", "__doc__"})
_HISTORY = re.compile(r"_{1,3}|_i{1,3}|_i?\d+|_[dios]h")

_MAGIC = re.compile(r"%%?(\w+)")
#: Magics that bind no names, or of which the analyzer knows what they bind. After any other, a name may be there.
_BIND_NOTHING = frozenset(
    "alias autoreload bash capture cat cd conda config cp deploy dirs env flow gui html javascript js latex "
    "load_ext logs ls mamba markdown matplotlib mkdir mprun memit mv pip precision prun pwd reload_ext rm runs "
    "schedule script set_env sh svg system sx task tasks time timeit uv who whos writefile xmode".split()
)
_UNSURE_FLAGS = frozenset({"dynamic", "ipython"})


def name_findings(cells: Sequence[KnownCell], parameters: Collection[str], used: Collection[str]) -> Iterator[Finding]:
    """Names that no cell defines, or only a later one; functions that are not `used` are not called.

    Nothing is said where a star import or ``%run`` may bind any name.
    """
    if any(known.analysis.star_imports for known in cells):
        return
    sure = not any(map(_may_bind_unseen, cells))
    makers: dict[str, KnownCell] = {}
    for known in cells:
        for name in _bound_by(known):
            makers.setdefault(name, known)
    there = {*_PROVIDED, *parameters}
    for known in cells:
        given = {each.name for each in flow_cell_parameters(known)} if known.role is Role.FLOW else set()
        for name in sorted(known.analysis.reads - known.analysis.guarded_reads - there - given - _bound_by(known)):
            if _HISTORY.fullmatch(name) or (name in makers and name in known.analysis.late_reads):
                continue
            line, certain = _first_use(known, name, used)
            # Task cells wait for what they read; whether that helps against a later cell is for the graph to say.
            certain = certain and sure and not (name in makers and known.role is Role.TASK)
            yield _finding(known, name, line, makers.get(name), certain=certain, sure=sure)
        there |= _bound_by(known)


def _bound_by(known: KnownCell) -> set[str]:
    return {*known.analysis.writes, *([known.name] if known.name else [])}


def _may_bind_unseen(known: KnownCell) -> bool:
    """Whether it may bind names that its text does not show (``exec``, ``%%cython``, ``%store -r``)."""
    magics = (match[1] for _, text in magic_lines(known) if (match := _MAGIC.match(text)))
    return bool(known.analysis.flags & _UNSURE_FLAGS) or any(name not in _BIND_NOTHING for name in magics)


def _first_use(known: KnownCell, name: str, used: Collection[str]) -> tuple[int | None, bool]:
    """The first line that looks the name up, or that certainly does; and whether there is one that certainly does."""
    uses = [
        (node.lineno, certain)
        for node, certain in cell_with_certainty(known, used)
        if isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Store)
    ]
    if sure := [line for line, certain in uses if certain]:
        return min(sure), True
    return min((line for line, _ in uses), default=None), False


def _finding(
    known: KnownCell, name: str, line: int | None, maker: KnownCell | None, *, certain: bool, sure: bool
) -> Finding:
    """`sure`: every cell shows what it binds."""
    severity = Severity.ERROR if certain else Severity.WARNING
    if maker is None and not sure:
        why = f"{name!r} is used, and no cell defines it, unless one does so by code in text or under a computed name."
        return in_cell(severity, known.cell, line, why, "Bind the name in a cell before, if no cell does.")
    if maker is None:
        why = f"{name!r} is used, and no cell defines it: it was there only in the session of whoever wrote this."
        return in_cell(severity, known.cell, line, why, "Define it in a cell before, or make it a parameter.")
    why = f"{name!r} is used before {maker.cell.title} defines it: run from top to bottom, it is not there yet."
    return in_cell(severity, known.cell, line, why, f"Move {maker.cell.title} before this one.")
