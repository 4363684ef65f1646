"""Completing the line of a magic: what its grammar lets stand where the line ends."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from flowbook.cells.grammar import Choices, Command, Kind, Option

__all__ = ["Completion", "Names", "complete"]

_WORD = re.compile(r"""(?:'[^']*'?|"(?:\\.|[^"\\])*"?|\\.?|[^\s'"\\])+""")

Names = Callable[[Kind], Iterable[str]]
"""The names that there are of a kind, the likeliest first."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What may stand in the place of `fragment`, the end of the line; as it is typed, with quotes if need be."""

    fragment: str
    texts: tuple[str, ...] = ()


def complete(commands: Iterable[Command], line: str, names: Names) -> Completion:
    """Complete what stands behind a magic. `commands` are the magic itself, its verbs, or both."""
    *before, last = _words(line)
    verbs = {command.verb: command for command in commands}
    verb = before.pop(0) if before and before[0] in verbs else ""
    known = verbs.get(verb)
    in_comment = any(word.startswith("#") for word in (*before, last))
    found = _at_end(known, before, last, names) if known and not in_comment else Completion(last)
    if verb or before:
        return found
    return Completion(found.fragment, (*(each for each in verbs if each and each.startswith(last)), *found.texts))


def _words(line: str) -> list[str]:
    """The words of a line without their quotes, and last, as typed, the one that it ends in: empty after a space."""
    typed = [found[0] for found in _WORD.finditer(line)]
    last = typed.pop() if typed and line.endswith(typed[-1]) else ""
    return [*("".join(shlex.split(word)) for word in typed), last]


def _at_end(command: Command, before: list[str], last: str, names: Names) -> Completion:
    options = {option.name: option for option in command.options}
    given, words, open_option = _read(options, before)
    name, joined, text = last.partition("=")
    if open_option is not None:
        return _values(open_option.choices, last, names, taken=words, listed=open_option.listed)
    if joined and name in options:
        return _values(options[name].choices, text, names, taken=words, listed=options[name].listed)
    left = [option.name for option in command.options if option.repeat or option.name not in given]
    if last.startswith("-"):
        return Completion(last, tuple(each for each in (*left, "--help") if each.startswith(last)))
    found = Completion(last)
    if len(words) < len(command.arguments):
        found = _values(command.arguments[len(words)].choices, last, names)
    return found if last else Completion(last, (*found.texts, *left))


def _read(options: dict[str, Option], before: list[str]) -> tuple[set[str], list[str], Option | None]:
    """Which options were given, the words by their place, and the option whose value comes next."""
    given: set[str] = set()
    words: list[str] = []
    open_option: Option | None = None
    for word in before:
        name, joined, _ = word.partition("=")
        if open_option is not None:
            open_option = None
        elif word.startswith("--"):
            given.add(name)
            option = options.get(name)
            open_option = option if option is not None and option.value and not joined else None
        else:
            words.append(word)
    return given, words, open_option


def _values(
    choices: Choices, text: str, names: Names, *, taken: Iterable[str] = (), listed: bool = False
) -> Completion:
    """Values that begin with `text`. Of several with commas between it is the last, and none comes twice.

    A quote that is open stays so: editors have put the closing one behind the cursor already.
    """
    done, _, end = text.rpartition(",") if listed else ("", "", text)
    left_out = {*done.split(","), *taken} if listed else set()
    quote = end[0] if end[:1] in ("'", '"') else ""
    begun = end.removeprefix(quote).casefold()
    known = names(choices) if isinstance(choices, Kind) else choices
    fitting = [each for each in known if each.casefold().startswith(begun) and each not in left_out]
    return Completion(end, tuple(quote + each if quote else shlex.quote(each) for each in fitting))
