"""The grammar of the magics: what a line says, and what it cannot say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from flowbook.cells.cell_lines import FLOW_CELL, TASK, cell_line, marked_line
from flowbook.cells.completing import Completion, complete
from flowbook.cells.grammar import Argument, Command, HelpWanted, Kind, Option, count, pair, parse, seconds
from flowbook.errors import UsageError
from flowbook_magics import commands
from flowbook_magics.transform import comment_to_magic

COMMAND = Command(
    name="%make",
    summary="Make it.",
    arguments=(Argument(name="WHAT", choices=Kind.TASK),),
    options=(
        Option(name="--times", metavar="N", read=count, default=1, help="how often"),
        Option(name="--set", metavar="k=v", read=pair, repeat=True, help="a value"),
        Option(name="--quick-ly", help="fast"),
    ),
    example="%make tea",
)


@pytest.mark.parametrize(
    ("line", "words", "values"),
    [
        ("", (), {"times": 1, "set": [], "quick_ly": None}),
        ("tea", ("tea",), {"times": 1}),
        ("'green tea' --times 2", ("green tea",), {"times": 2}),
        ("--times=3 tea", ("tea",), {"times": 3}),
        ("tea --quick-ly", ("tea",), {"quick_ly": True}),
        ("--set a=1 --set b=x=y", (), {"set": [("a", "1"), ("b", "x=y")]}),
        ('--set a="x y"', (), {"set": [("a", "x y")]}),
        ("tea # a comment", ("tea",), {}),
        ("--times $n", (), {"times": 7}),
        ("--times {n}", (), {"times": 7}),
        ("--times ${n}0", (), {"times": 70}),
        ("--set a={d[k]}", (), {"set": [("a", "v")]}),
    ],
)
def test_what_a_line_says(line: str, words: tuple[str, ...], values: dict[str, Any]) -> None:
    said = parse(COMMAND, line, {"n": 7, "d": {"k": "v"}})
    assert said.words == words
    assert {key: said.values[key] for key in values} == values


def test_placeholders_are_kept_where_an_option_says_so() -> None:
    line = "--set 'a={{ scheduled_time.date }} {n} $n {{n}}'"
    kept = replace(COMMAND, options=(replace(COMMAND.options[1], keeps_placeholders=True),))
    assert parse(kept, line, {"n": 7}).set == [("a", "{{ scheduled_time.date }} 7 7 {{n}}")]
    assert parse(COMMAND, line, {"n": 7}).set == [("a", "{ scheduled_time.date } 7 7 {n}")]


def test_what_was_given_is_told_from_defaults() -> None:
    assert parse(COMMAND, "--times 1").given == {"times"}


def test_without_a_namespace_names_are_not_looked_up() -> None:
    assert parse(COMMAND, "--set a=$n{x}").set == [("a", "$n{x}")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--tims 2", "%make has no option --tims. Did you mean '--times'? `--help` lists them."),
        ("--tim 2", "%make has no option --tim. Did you mean '--times'? `--help` lists them."),
        ("--xyz", "%make has no option --xyz. `--help` lists them."),
        ("--times", "%make: --times needs a value, as in --times N."),
        ("--times --quick-ly", "%make: --times needs a value, as in --times N."),
        ("--quick-ly=1", "%make: --quick-ly takes no value."),
        ("--set a", "%make: --set is 'a'; write it as name=value."),
        ("--set a=1 --set b=1 --set a=2", "%make: --set a is given twice; keep one."),
        ("a b", "%make does not know what to do with 'b'. Usage: %make [WHAT] [--times N] [--set k=v] [--quick-ly]"),
        ("--times '{n + 1}'", "%make: --times is '{n + 1}', and 'n + 1' cannot be looked up in the notebook."),
        ("--times $zz", "%make: --times is '$zz', and 'zz' cannot be looked up in the notebook."),
        ("'open", "%make: the line cannot be read (No closing quotation); close the quotes."),
    ],
)
def test_what_a_line_cannot_say(line: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse(COMMAND, line, {"n": 1})
    assert str(raised.value) == message


def test_values_in_a_list_and_words_to_choose_from() -> None:
    line = replace(COMMAND, options=(AFTER, SPEED))
    assert line.usage() == "%make [WHAT] [--after A,B] [--speed SLOW|FAST]"
    said = parse(line, "--after 'a, b,' --speed fast")
    assert (said.after, said.speed) == (("a", "b"), "FAST")
    with pytest.raises(UsageError, match=r"--speed is 'fats'; it must be SLOW or FAST\."):
        parse(line, "--speed fats")


AFTER = Option(name="--after", metavar="A,B", choices=Kind.TASK, listed=True, default=(), help="what comes before")
SPEED = Option(name="--speed", choices=("SLOW", "FAST"), read=str.upper, help="how fast")
MAKES = [
    replace(COMMAND, options=(*COMMAND.options, AFTER, SPEED)),
    Command(name="%make up", summary="Make it up.", options=(Option(name="--again", help="once more"),)),
    Command(name="%make do", summary="Make do.", arguments=(Argument(name="WITH"),)),
]
OPTIONS = ("--times", "--set", "--quick-ly", "--after", "--speed")
TASKS = {Kind.TASK: ["load", "last one", "top"]}


@pytest.mark.parametrize(
    ("line", "fragment", "texts"),
    [
        (" ", "", ("up", "do", "load", "'last one'", "top", *OPTIONS)),
        (" u", "u", ("up",)),
        (" t", "t", ("top",)),
        (" up ", "", ("--again",)),
        (" up --again ", "", ()),
        (" do ", "", ()),
        (" top ", "", OPTIONS),
        (" top u", "u", ()),
        (" top up --", "--", (*OPTIONS, "--help")),
        (" -", "-", (*OPTIONS, "--help")),
        (" --ti", "--ti", ("--times",)),
        (" --nope", "--nope", ()),
        (" --times 1 --set a=1 --", "--", ("--set", "--quick-ly", "--after", "--speed", "--help")),
        (" --times=1 --t", "--t", ()),
        (" --times ", "", ()),
        (" --times t", "t", ()),
        (" --times 1 t", "t", ("top",)),
        (" --nope t", "t", ("top",)),
        (" --quick-ly t", "t", ("top",)),
        (" --quick-ly=t", "t", ()),
        (" --speed ", "", ("SLOW", "FAST")),
        (" --speed=f", "f", ("FAST",)),
        (" --after ", "", ("load", "'last one'", "top")),
        (" --after=", "", ("load", "'last one'", "top")),
        (" --after load,", "", ("'last one'", "top")),
        (" --after load,t", "t", ("top",)),
        (" top --after ", "", ("load", "'last one'")),
        (" 'la", "'la", ("'last one",)),
        (' --after "last o', '"last o', ('"last one',)),
        (" 'last one' ", "", OPTIONS),
        (" # t", "t", ()),
        (" top # ", "", ()),
        (" \\", "\\", ()),
        (" '", "'", ("'load", "'last one", "'top")),
        (" {", "{", ()),
    ],
)
def test_what_completes_a_line(line: str, fragment: str, texts: tuple[str, ...]) -> None:
    assert complete(MAKES, line, TASKS.__getitem__) == Completion(fragment, texts)


def test_without_the_magic_itself_a_verb_comes_first() -> None:
    assert complete(MAKES[1:], " ", TASKS.__getitem__) == Completion("", ("up", "do"))
    assert complete(MAKES[1:], " --", TASKS.__getitem__) == Completion("--")


def test_every_command_is_listed_once() -> None:
    defined = [TASK, FLOW_CELL, *(each for each in vars(commands).values() if isinstance(each, Command))]
    assert {each.name for each in commands.ALL} == {each.name for each in defined}
    assert len({each.name for each in commands.ALL}) == len(commands.ALL)


@pytest.mark.parametrize("command", commands.ALL, ids=lambda command: command.name)
def test_the_help_has_every_option_and_its_example_parses(command: Command) -> None:
    with pytest.raises(HelpWanted) as wanted:
        parse(command, "--help")
    assert all(option.name in wanted.value.text and option.help in wanted.value.text for option in command.options)
    assert max(map(len, wanted.value.text.splitlines()[3:]), default=0) <= 120
    if command.example:
        assert command.example.startswith(command.name)
        parse(command, command.example.removeprefix(command.name))


@pytest.mark.parametrize(
    ("text", "value"), [("10s", 10), ("5m", 300), ("1.5h", 5400), ("250ms", 0.25), ("2d", 172800), ("7", 7)]
)
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "s", "-1s", "10 s", "1e3", "5min", "inf"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="write a duration as 10s"):
        seconds(text)


@pytest.mark.parametrize(
    ("source", "number", "kind", "rest"),
    [
        ("%%task", 0, "task", ""),
        ("%%task load --retries 2\nx", 0, "task", " load --retries 2"),
        ("# why\n\n%%task load\nx", 2, "task", " load"),
        ("#| label: x\n#|task load", 1, "task", " load"),
        ("  #| task", 0, "task", ""),
        ("%%flow n", 0, "flow", " n"),
    ],
)
def test_the_line_that_marks_a_cell(source: str, number: int, kind: str, rest: str) -> None:
    marked = marked_line(source)
    assert marked is not None
    assert (marked.number, marked.kind, marked.rest) == (number, kind, rest)


@pytest.mark.parametrize(
    "source",
    ["", "x = 1\n%%task", "# task", "%%tasks", "%%task-x", "%task", "#| flow n", "#| tasks", "%%time\n%%task"],
)
def test_cells_that_are_not_marked(source: str) -> None:
    assert marked_line(source) is None
    assert cell_line(source) is None


@pytest.mark.parametrize("source", ["%%task a\n%%task b\nx = 1", "#| task a\n# why\n#| task b", "%%flow a\n%%task b"])
def test_a_cell_is_marked_once(source: str) -> None:
    with pytest.raises(UsageError, match=r"A cell is one task or one flow: take the line `.* b` out"):
        cell_line(source)


def test_what_the_line_of_a_cell_says() -> None:
    line = cell_line("# daily\n#| task load --retries 2 --after a,b\nx = 1")
    assert line is not None
    assert (line.kind, line.name, line.said.retries, line.said.after) == ("task", "load", 2, ("a", "b"))


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("x = 1\n", ["x = 1\n"]),
        ("%%task a\nx\n", ["%%task a\n", "x\n"]),
        ("#| task a\nx\n", ["%%task a\n", "x\n"]),
        ("# why\n%%task\nx\n", ["%%task\n", "# why\n", "x\n"]),
        ("%%task\n", ["%%task\n", "\n"]),
        ("", []),
    ],
)
def test_the_line_is_brought_to_where_the_shell_looks_for_it(source: str, lines: list[str]) -> None:
    assert comment_to_magic(source.splitlines(keepends=True)) == lines


def _wrong_lines() -> Iterator[tuple[Command, str, str]]:
    """(command, line, what the sentence says besides the command and the option) for every option there is."""
    for command in commands.ALL:
        for option in command.options:
            if not option.value:
                yield command, f"{option.name}=1", f"{command.name}: {option.name} takes no value."
                yield (
                    command,
                    f"{option.name} {option.name}",
                    f"{command.name}: {option.name} is given twice; keep one.",
                )
                continue
            missing = f"{command.name}: {option.name} needs a value, as in {option.shown}."
            yield command, option.name, missing
            yield command, f"{option.name} --help-me", missing
            if not option.may_be_empty:
                yield command, f"{option.name} ''", f"{command.name}: {option.name} is ''; "
            if option.words or (option.read is not str and option.name != "--limit"):
                yield command, f"{option.name} '?!'", f"{command.name}: {option.name} is '?!'; "
            yield command, f"{option.name[:-1]} 1", f"{command.name} has no option {option.name[:-1]}. Did you mean"


@pytest.mark.parametrize(("command", "line", "said"), [*_wrong_lines()])
def test_every_option_refuses_what_it_does_not_understand_in_one_sentence(
    command: Command, line: str, said: str
) -> None:
    with pytest.raises(UsageError) as refused:
        parse(command, line, {})
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)
    assert str(refused.value).endswith((".", "?"))
