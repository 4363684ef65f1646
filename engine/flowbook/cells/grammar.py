"""One grammar for all magics: it parses a line, makes the help, and names what it does not understand.

A line is split as a shell splits it, so quotes work; options are written in full; ``$name`` and ``{name}`` in a value
are looked up in the notebook's namespace. Where an option says so, ``{{ name }}`` is left for whoever reads the value.
"""

from __future__ import annotations

import re
import shlex
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from flowbook.core.durations import seconds
from flowbook.errors import UsageError, did_you_mean

_PLACEHOLDER = re.compile(r"\{\{(\s*[A-Za-z_][\w.]*\s*)\}\}")
_DOLLAR = re.compile(r"\$(?:\{(\w+)\}|([A-Za-z_]\w*))")


class Kind(Enum):
    """What a value names. Which names there are, only the notebook and its record know."""

    TASK = auto()
    FLOW = auto()
    RUN = auto()
    DEPLOYMENT = auto()
    OWN_DEPLOYMENT = auto()
    """A deployment of this notebook."""
    SCHEDULE = auto()
    """A schedule of this notebook's deployments."""
    POOL = auto()
    TIME_ZONE = auto()


Choices = tuple[str, ...] | Kind
"""The words that a value must be one of, none if it may be any; or what it names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Argument:
    """A word without ``--``, known by its place on the line."""

    name: str
    choices: Choices = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """``--name VALUE``, or a bare ``--name`` when there is neither a `metavar` nor words to choose from.

    `read` turns the text into the value. With `listed` the value is a tuple: the text is several, with commas between.
    With `may_be_empty` an empty text is a value, too: it says that there are none.
    `needs` is another option, as one would write it, without which this one does nothing; `excludes` is the name of one
    that says the opposite.
    """

    name: str
    help: str
    metavar: str = ""
    choices: Choices = ()
    read: Callable[[str], Any] = str
    default: Any = None
    listed: bool = False
    repeat: bool = False
    keeps_placeholders: bool = False
    may_be_empty: bool = False
    needs: str = ""
    excludes: str = ""

    @property
    def key(self) -> str:
        """The name under which the parsed value stands."""
        return self.name.lstrip("-").replace("-", "_")

    @property
    def words(self) -> tuple[str, ...]:
        """The words that its value must be one of; empty if it may be any."""
        return self.choices if isinstance(self.choices, tuple) else ()

    @property
    def value(self) -> str:
        """What stands for its value in the help; empty for a bare option."""
        return self.metavar or "|".join(self.words)

    @property
    def shown(self) -> str:
        """The option as the help shows it."""
        return f"{self.name} {self.value}".rstrip()

    def of(self, text: str) -> Any:
        """The value that `text` says. Raises ValueError."""
        parts = [part.strip() for part in text.split(",") if part.strip()] if self.listed else [text]
        if not self.may_be_empty and (not parts or (self.read is str and not self.words and not text.strip())):
            raise ValueError(f"it needs a value, as in {self.shown}")
        return tuple(map(self._one, parts)) if self.listed else self._one(text)

    def _one(self, text: str) -> Any:
        value = self.read(text)
        if self.words and value not in self.words:
            *others, last = self.words
            hint = did_you_mean(text, self.words)
            raise ValueError(f"it must be {', '.join(others)} or {last}.{hint}".rstrip("."))
        return value


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A magic, or one of its verbs: what may stand on its line."""

    name: str
    summary: str
    arguments: tuple[Argument, ...] = ()
    options: tuple[Option, ...] = ()
    example: str = ""

    @property
    def magic(self) -> str:
        """The magic, as in ``%flow``."""
        return self.name.partition(" ")[0]

    @property
    def verb(self) -> str:
        """What stands behind the magic, as in ``run``; empty if nothing does."""
        return self.name.partition(" ")[2]

    def usage(self) -> str:
        """The first line of the help."""
        words = [*(argument.name for argument in self.arguments), *(option.shown for option in self.options)]
        return " ".join([self.name, *(f"[{word}]" for word in words)])

    def help(self) -> str:
        """The whole help, as ``--help`` and ``?`` show it."""
        rows = [(option.shown, option.help) for option in self.options]
        width = max((len(left) for left, _ in rows), default=0)
        lines = [self.summary, "", f"  {self.usage()}", ""]
        lines += [f"  {left:<{width}}  {right}" for left, right in rows]
        return "\n".join([*lines, "", f"Example: {self.example}"] if self.example else lines).rstrip()


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a line said: the words, and a value for each option (its default if it was not given)."""

    words: tuple[str, ...]
    values: Mapping[str, Any]
    given: frozenset[str] = field(default=frozenset())

    def __getattr__(self, key: str) -> Any:
        try:
            return self.values[key]
        except KeyError:
            raise AttributeError(key) from None


class HelpWanted(Exception):
    """The line has ``--help``; `text` is what to show."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def parse(command: Command, line: str, namespace: Mapping[str, Any] | None = None) -> Parsed:
    """Parse what stands after the name of a magic. Raises UsageError in one sentence, or HelpWanted."""
    words: list[str] = []
    values: dict[str, Any] = {option.key: [] if option.repeat else option.default for option in command.options}
    given: set[str] = set()
    known = {option.name: option for option in command.options}
    tokens = iter(_split(command, line))
    for token in tokens:
        if token == "--help":
            raise HelpWanted(command.help())
        if not token.startswith("--"):
            if "=" in token:
                raise UsageError(
                    f"{command.name} does not know what to do with {token!r}: options begin with --, "
                    f"as in --{token.replace('=', ' ', 1)}. `--help` lists them."
                )
            words.append(token)
            continue
        name, joined, text = token.partition("=")
        option = known.get(name)
        if option is None:
            raise UsageError(f"{command.name} has no option {name}.{did_you_mean(name, known)} `--help` lists them.")
        value = _value(command, option, text if joined else None, tokens, namespace)
        if option.repeat:
            if option.read is pair and value[0] in dict(values[option.key]):
                raise UsageError(f"{command.name}: {option.name} {value[0]} is given twice; keep one.")
            values[option.key].append(value)
        elif option.key in given:
            raise UsageError(f"{command.name}: {option.name} is given twice; keep one.")
        else:
            values[option.key] = value
        given.add(option.key)
    _check_together(command, values, given)
    if len(words) > len(command.arguments):
        extra = words[len(command.arguments)]
        raise UsageError(f"{command.name} does not know what to do with {extra!r}. Usage: {command.usage()}")
    return Parsed(tuple(words), values, frozenset(given))


def _check_together(command: Command, values: Mapping[str, Any], given: set[str]) -> None:
    """Raise UsageError for an option that is given without one that it needs, or with one that it excludes."""
    known = {option.name: option for option in command.options}
    for option in command.options:
        if option.key not in given:
            continue
        if option.needs:
            needed = known[option.needs.partition(" ")[0]]
            if values[needed.key] == needed.default:
                raise UsageError(
                    f"{command.name}: {option.name} does nothing without {needed.name}; add {option.needs}."
                )
        if option.excludes and known[option.excludes].key in given:
            raise UsageError(f"{command.name}: {option.excludes} and {option.name} exclude each other; keep one.")


def positive_seconds(text: str) -> float:
    """A duration of more than nothing, in seconds."""
    if (value := seconds(text)) <= 0:
        raise ValueError("it must be more than 0")
    return value


def delays(text: str) -> float | list[float] | str:
    """One duration for all retries, one per retry (``10s,30s,1m``), or ``exp`` for 1, 2, 4, 8… seconds."""
    if text == "exp":
        return text
    listed = [seconds(part) for part in text.split(",")]
    return listed[0] if len(listed) == 1 else listed


def count(text: str) -> int:
    """A whole number from 0 up."""
    if not text.isdigit():
        raise ValueError("it must be a whole number from 0 up")
    return int(text)


def positive_count(text: str) -> int:
    """A whole number from 1 up."""
    if not text.isdigit() or int(text) < 1:
        raise ValueError("it must be a whole number from 1 up")
    return int(text)


def pair(text: str) -> tuple[str, str]:
    """``name=value``."""
    name, sign, value = text.partition("=")
    if not sign or not name.isidentifier():
        raise ValueError("write it as name=value")
    return name, value


def _split(command: Command, line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError as error:
        raise UsageError(f"{command.name}: the line cannot be read ({error}); close the quotes.") from None


def _value(command: Command, option: Option, text: str | None, tokens: Any, namespace: Mapping[str, Any] | None) -> Any:
    """The value of an option: joined by ``=``, or the next word."""
    if not option.value:
        if text is not None:
            raise UsageError(f"{command.name}: {option.name} takes no value.")
        return True
    if text is None:
        text = next(tokens, None)
        if text is None or text.startswith("--"):
            raise UsageError(f"{command.name}: {option.name} needs a value, as in {option.shown}.")
    expanded = _expand(command, option, text, namespace)
    try:
        return option.of(expanded)
    except UsageError:
        raise
    except ValueError as error:
        end = "" if str(error).endswith("?") else "."
        raise UsageError(f"{command.name}: {option.name} is {expanded!r}; {error}{end}") from None


def _expand(command: Command, option: Option, text: str, namespace: Mapping[str, Any] | None) -> str:
    """The text with ``$name`` and ``{name}`` replaced; nothing is evaluated, attributes and items are looked up."""
    if namespace is None or not ("$" in text or "{" in text):
        return text
    try:
        kept = _PLACEHOLDER.sub(r"{{{{\1}}}}", text) if option.keeps_placeholders else text
        dollars = _DOLLAR.sub(lambda m: str(namespace[m[1] or m[2]]), kept)
        return string.Formatter().vformat(dollars, (), namespace)
    except (KeyError, AttributeError, IndexError, ValueError, TypeError) as error:
        raise UsageError(
            f"{command.name}: {option.name} is {text!r}, and {error} cannot be looked up in the notebook."
        ) from None
