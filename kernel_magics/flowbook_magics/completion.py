"""Tab on the line of a magic: completed by its grammar, with the names of the notebook and of the record."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flowbook.cells.cell_lines import marked_line
from flowbook.cells.completing import Completion, complete
from flowbook.cells.grammar import Kind
from flowbook_magics import commands

if TYPE_CHECKING:
    from flowbook_magics.session import Session

_IDENTIFIER = "flowbook.magics"
_BEFORE_OTHERS = 1000.0
_LINE = re.compile(r"""\s*(?:[\w.,\[\]"' ]+=\s*)?(%\w+)(\s.*)""")


def show_completions(shell: Any, session: Session) -> None:
    """Have `shell` complete the lines of the magics."""
    from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

    def matcher(context: CompletionContext) -> SimpleMatcherResult:
        above = context.full_text.split("\n")[: context.cursor_line]
        found = complete_cell(session, "\n".join([*above, context.text_until_cursor]))
        return {
            "completions": [SimpleCompletion(text, type="magic") for text in found.texts],
            "matched_fragment": found.fragment,
            "suppress": True,
            "ordered": True,
        }

    mark = context_matcher(identifier=_IDENTIFIER, priority=_BEFORE_OTHERS)
    shell.Completer.custom_matchers.append(mark(matcher))


def hide_completions(shell: Any) -> None:
    """Undo `show_completions`."""
    matchers = shell.Completer.custom_matchers
    matchers[:] = [each for each in matchers if getattr(each, "matcher_identifier", None) != _IDENTIFIER]


def complete_cell(session: Session, typed: str) -> Completion:
    """What may stand at the end of a cell as typed so far, if that is the line of one of our magics."""
    line = typed.rpartition("\n")[2]
    marked, found = marked_line(typed), _LINE.fullmatch(line)
    if marked is not None and marked.number == typed.count("\n"):
        magic, rest = f"%%{marked.kind}", line.partition(marked.kind)[2]
    elif found is not None:
        magic, rest = found[1], found[2]
    else:
        return Completion("")
    return complete(commands.of(magic), rest, lambda kind: _names(session, kind)) if rest else Completion("")


def _names(session: Session, kind: Kind) -> Iterable[str]:
    """The names of a kind; none if the record cannot be read, which is no reason to disturb who types."""
    try:
        return _known(session, kind)
    except Exception:
        return ()


def _known(session: Session, kind: Kind) -> Iterable[str]:
    from flowbook_magics import record_names
    from flowbook_magics.flow_run import flows_of

    match kind:
        case Kind.TASK:
            return [cell.label for cell in session.cells.tasks]
        case Kind.FLOW:
            return flows_of(session)
        case Kind.RUN:
            return record_names.runs()
        case Kind.DEPLOYMENT:
            return record_names.deployments()
        case Kind.OWN_DEPLOYMENT:
            return record_names.own_deployments()
        case Kind.SCHEDULE:
            return record_names.schedules()
        case Kind.POOL:
            return record_names.pools()
        case Kind.TIME_ZONE:
            return sorted(zoneinfo.available_timezones())
