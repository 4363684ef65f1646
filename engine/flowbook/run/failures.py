"""Exceptions that come from another process: of the same class, with the frames that they were raised in there.

An exception is sent with the chain of its causes and, for a group, its members. Where it cannot be pickled, what
arrives is of the nearest class that can be made of its message, under the same name, and a note says so. The traceback
is made anew of frames that hold no variables, so that it reads as if the code had run here.
"""

from __future__ import annotations

import ast
import builtins
import linecache
import pickle
import sys
import traceback
from dataclasses import dataclass
from itertools import islice
from types import CodeType, FunctionType, TracebackType
from typing import Any

_MOST_FRAMES = 100  # at either end of a traceback
_DEEPEST = 20  # exceptions in a chain


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of a traceback. `position` is what ``co_positions()`` says; `line` is its text, if it is known."""

    filename: str
    name: str
    qualname: str
    module: str
    first: int
    """The first line of its code."""
    lineno: int
    position: tuple[int | None, ...]
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An exception on its way. `pickled` is None if it cannot be pickled, and `why` says why."""

    kind: str
    module: str
    message: str
    bases: tuple[str, ...]
    """Names of the built-in classes that it is derived from, the nearest first."""
    pickled: bytes | None
    why: str
    notes: tuple[str, ...]
    frames: tuple[Frame, ...]
    members: tuple[Failure, ...]
    cause: Failure | None
    context: Failure | None
    suppressed: bool


def portray(error: BaseException, *, depth: int = _DEEPEST) -> Failure:
    """The exception, ready to be sent."""
    cls = type(error)
    members = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    pickled, why = (None, "") if members else _pickled(error)
    cause, context = (error.__cause__, error.__context__) if depth else (None, None)
    return Failure(
        kind=cls.__qualname__,
        module=cls.__module__,
        message=error.message if isinstance(error, BaseExceptionGroup) else _message_of(error),
        bases=tuple(base.__name__ for base in cls.__mro__ if base.__module__ == "builtins"),
        pickled=pickled,
        why=why,
        notes=tuple(map(str, getattr(error, "__notes__", ()))),
        frames=tuple(_frames_of(error)),
        members=tuple(portray(member, depth=depth - 1) for member in members) if depth else (),
        cause=portray(cause, depth=depth - 1) if cause is not None else None,
        context=portray(context, depth=depth - 1) if context is not None and context is not cause else None,
        suppressed=error.__suppress_context__,
    )


def revive(failure: Failure) -> BaseException:
    """The exception that `portray` was given, or what stands for it."""
    error = _unpickled(failure) or _substitute(failure)
    if failure.cause is not None:
        error.__cause__ = revive(failure.cause)
    if failure.context is not None:
        error.__context__ = revive(failure.context)
    error.__suppress_context__ = failure.suppressed
    if any(frame.line and not linecache.getline(frame.filename, frame.lineno) for frame in failure.frames):
        error.add_note("The code is not at hand here. Where it ran:\n" + _as_text(failure.frames))
    return error.with_traceback(_traceback_of(failure.frames))


def _pickled(error: BaseException) -> tuple[bytes | None, str]:
    """The exception without its traceback, if it can be read again.

    The usual way calls its class with ``error.args``, which fails for many classes. What is put together without a
    call, by all attributes or else by none, is an exception of that class as well.
    """
    import cloudpickle

    why = ""
    for value in (error, _Parts(type(error), error.args, vars(error)), _Parts(type(error), error.args, {})):
        try:
            pickled = cloudpickle.dumps(value)
            again = pickle.loads(pickled)  # noqa: S301 - made a line above
            if type(again) is type(error) and _message_of(again) == _message_of(error):
                return pickled, ""
            why = why or "reading it again gives another one"
        except BaseException as problem:
            why = why or f"{type(problem).__name__}: {_message_of(problem)}"
    return None, why


@dataclass(frozen=True, slots=True)
class _Parts:
    """Pickles as the exception that these are the parts of."""

    cls: type[BaseException]
    args: tuple[Any, ...]
    attributes: dict[str, Any]

    def __reduce__(self) -> Any:
        return _put_together, (self.cls, self.args, self.attributes)


def _put_together(cls: type[BaseException], args: tuple[Any, ...], attributes: dict[str, Any]) -> BaseException:
    made = cls.__new__(cls, *args)
    vars(made).update(attributes)
    return made


def _unpickled(failure: Failure) -> BaseException | None:
    if failure.pickled is None:
        return None
    try:
        error: BaseException = pickle.loads(failure.pickled)  # noqa: S301 - from a process of our own
    except Exception:
        return None
    known = getattr(error, "__notes__", ())
    for note in failure.notes:
        if note not in known:
            error.add_note(note)
    return error


def _substitute(failure: Failure) -> BaseException:
    """An exception of the nearest built-in class that can be made of the message, under the name of the lost one."""
    if failure.members:
        members: Any = [revive(member) for member in failure.members]
        group = ExceptionGroup if all(isinstance(one, Exception) for one in members) else BaseExceptionGroup
        error: BaseException = group(failure.message, members)
    else:
        error = _made_of_message(failure)
        why = f" ({failure.why})" if failure.why else ""
        error.add_note(
            f"This stands for an exception of the class {failure.module}.{failure.kind}, which cannot be sent from "
            f"one process to another{why}. `except {failure.kind}` does not catch it."
        )
    for note in failure.notes:
        error.add_note(note)
    return error


def _made_of_message(failure: Failure) -> BaseException:
    for name in failure.bases:
        base = getattr(builtins, name, None)
        if not (isinstance(base, type) and issubclass(base, BaseException)):
            continue
        try:
            made: BaseException = type(failure.kind, (base,), {"__module__": failure.module})(failure.message)
        except Exception:  # a class that wants more than a message
            continue
        if str(made) == failure.message:
            return made
    return Exception(failure.message)


def _message_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "(its message could not be shown)"


def _frames_of(error: BaseException) -> list[Frame]:
    frames: list[Frame] = []
    tb = error.__traceback__
    while tb is not None:
        code, names = tb.tb_frame.f_code, tb.tb_frame.f_globals
        frames.append(
            Frame(
                filename=code.co_filename,
                name=code.co_name,
                qualname=code.co_qualname,
                module=str(names.get("__name__", "")),
                first=code.co_firstlineno,
                lineno=tb.tb_lineno,
                position=next(islice(code.co_positions(), tb.tb_lasti // 2, None), (None,) * 4),
                line=linecache.getline(code.co_filename, tb.tb_lineno, names).strip(),
            )
        )
        tb = tb.tb_next
    return frames if len(frames) <= 2 * _MOST_FRAMES else [*frames[:_MOST_FRAMES], *frames[-_MOST_FRAMES:]]


def _traceback_of(frames: tuple[Frame, ...]) -> TracebackType | None:
    tb: TracebackType | None = None
    for frame in reversed(frames):
        made = _link_of(frame)
        tb = TracebackType(tb, made.tb_frame, made.tb_lasti, frame.lineno)
    return tb


def _link_of(frame: Frame) -> TracebackType:
    """A traceback of one frame that looks like `frame`: of a function that raises something at its very place."""
    try:
        FunctionType(_code_that_raises(frame), {"__name__": frame.module, "__file__": frame.filename})()
    except ZeroDivisionError as raised:
        assert raised.__traceback__ is not None and raised.__traceback__.tb_next is not None
        return raised.__traceback__.tb_next
    raise AssertionError  # pragma: no cover - it raises


def _code_that_raises(frame: Frame) -> CodeType:
    """The code of a function that begins where that of the frame does: there a notebook looks for its lines."""
    first, last, column, last_column = frame.position if None not in frame.position else (frame.lineno, None, 0, None)
    place: dict[str, Any] = {"lineno": first, "end_lineno": last, "col_offset": column, "end_col_offset": last_column}
    what = ast.Raise(ast.Name("ZeroDivisionError", ast.Load(), **place), None, **place)
    parameters = ast.arguments([], [], None, [], [], None, [])
    whole = ast.FunctionDef("f", parameters, [what], [], lineno=frame.first, col_offset=0)
    if sys.version_info >= (3, 12):
        whole.type_params = []
    module = compile(ast.Module([whole], []), frame.filename, "exec")
    code: CodeType = next(constant for constant in module.co_consts if isinstance(constant, CodeType))
    return code.replace(co_name=frame.name, co_qualname=frame.qualname)


def _as_text(frames: tuple[Frame, ...]) -> str:
    lines = (traceback.FrameSummary(f.filename, f.lineno, f.name, lookup_line=False, line=f.line) for f in frames)
    return "".join(traceback.StackSummary.from_list(lines).format()).rstrip()
