"""Random notebooks that mostly run: templates of statements, filled with names of the right kind."""

import re
import textwrap

from hypothesis import strategies as st

__all__ = ["FIRST_CELL", "notebooks"]

FIRST_CELL = """
n, m, k = 0, 1, 2
xs, ys, zs = [1, 2], [3], [4]
rows, grid = [[0], [1]], [[2]]
table, index = {"k": [1], "j": [2]}, {"k": [3]}

class Box:
    count = 0
    def __init__(self, n=0):
        self.n, self.items = n, []
    def add(self, v):
        self.items.append(v)
        return self
    def total(self):
        return self.n + len(self.items) + k
    def __enter__(self):
        self.n += 1
        return self
    def __exit__(self, *_):
        return False

box, bag = Box(), Box(1)
def f(v=1): return v
def g(v=1): return v + k
def put(t, v=1):
    t.append(v)
    return t
def counted(h): return h
it, jt = iter([1, 2, 3]), (i for i in range(9))
"""

NAMES = {
    "n": ["n", "m", "k"],
    "l": ["xs", "ys", "zs"],
    "r": ["rows", "grid"],
    "d": ["table", "index"],
    "o": ["box", "bag"],
    "f": ["f", "g"],
    "i": ["it", "jt"],
}

NUMBERS = """
{n} | {n} | 0 | 1 | ({e} + {e}) | ({e} if {e} else {e}) | ({n} := {e}) | len({l}) | len({r}) | {f}({e}) | {o}.n
next({i}, 0) | {o}.total() | Box.count | len({l} and {o}.items) | (lambda v={e}: v + {n})() | len({d})
sum(1 for v in {l} if v) | len([v for v in {l} if {n}]) | len(put({l})) | ({e} and {e}) | len({l} or {l})
"""

LISTS = """
{l} | {l} | {l}[:] | {d}.get("k", {l}) | {r}[0] | {o}.items | [{e}, {e}] | [*{l}, {e}] | list({l})
({l} if {e} else {l}) | ({l} or {l}) | [v for v in {l} if {n}] | sorted({l}, key=str) | list({i})[:3]
{d}.setdefault("s", {l}) | [{e} for v in {l}[:2]]
[({n} := {n} + 1) for v in {l}[:2]] | (lambda: {l})() | {r}[-1]
"""

SIMPLE = r"""
{n} = {e}
{n} += {e}
{n}, {n} = {e}, {n}
{n} = {n} = {e}
{n}: int = {e}
{l} = {L}
{l} = {l}
{l} = {l} = {L}
{l}, {l} = {l}, {L}
{n}, *{l} = [{e}, *{L}]
{l}.append({e})
{l}.extend({L})
{l}.insert(0, {e})
{l}.sort(key=str)
{l}.reverse()
{l}.clear()
{l}.pop() if {l} else 0
{l} = put({l}, {e})
{l} = put({r}[0], {e})
{l}[:1] = {L}
{l}[0:1] = [{e}]
del {l}[:1]
{l} += {L}
{l} *= 2
if {l}: {l}[0] = {e}
{r} = [{L}, {L}]
{r} = {r}
{r} = {r}[:]
{r} = [v for v in {r}]
{r}.append({L})
{r}[0].append({e})
{r}[-1][:] = [{e}]
{r}[0] += [{e}]
{r}[0] = {L}
for v in {r}: v.append({e})
[v.append({e}) for v in {r}]
{d} = {{"k": {L}}}
{d} = {d}
{d} = dict({d})
{d} = {{**{d}, "j": {l}}}
{d}["k"] = {L}
{d}["k"] += [{e}]
{d}["k"].append({e})
{d}.pop("j", None)
if "j" in {d}: del {d}["j"]
{d}.update(k={L})
{d} |= {{"j": {L}}}
{d}.setdefault("s", {L}).append({e})
for v in {d}.values(): v.append({e})
{o}.n = {e}
{o}.n += {e}
{o}.items = {L}
{o}.items.append({e})
{o}.items += {L}
{o}.add({e})
{o}.add({e}).add({e})
{o} = {o}
{o} = Box({e})
{o} = {o}.add({e})
setattr({o}, "n", {e})
{o}.extra = {e}
if hasattr({o}, "extra"): del {o}.extra
Box.count += {e}
{i} = iter({L})
{i} = (v for v in {l} if {n})
{i} = (put({l}) for v in {l}[:2])
{i} = map({f}, {l})
{i} = zip({l}, {i})
{i} = enumerate({l})
{i} = iter([{e}, {e}])
{l} = [v for v, _ in zip({l}, {i})]
for {n} in {l}[:2]: pass
for {n} in {l}[:2]: {l} = [{e}]
{f} = lambda v=1: v if {n} else {e}
{f} = lambda v={e}: len(put({l}, v))
{f} = g
{f}.calls = {l}
{f}({e})
put({L}, {e})
put({o}.items, {e})
put({d}["k"], {e})
list(map(put, {r}))
list(map({f}, {l}[:2]))
{L}
{e}
assert {e} or True
del {n}; {n} = 1
import math as {n}; {n} = 1
"""

COMPOUND = r"""
if {e}:
{body}
---
if {e}:
{body}
else:
{body}
---
for {n} in {l}[:2]:
{body}
---
for v in {r}[:2]:
    v.append({e})
{body}
---
while {e}:
{body}
    break
---
try:
{body}
    raise ValueError
except ValueError as error:
{body}
finally:
{body}
---
try:
    {l}[9]
{body}
except IndexError:
{body}
---
import contextlib
with contextlib.suppress(Exception):
{body}
    raise ValueError
---
with {o} as {o}:
{body}
---
match {l}:
    case [{n}, *{l}] if {n}:
        pass
    case [_]:
        {l} = {L}
---
match {o}:
    case Box(n=0, items={l}):
        {l}.append(1)
---
match {d}:
    case {{"k": {l}, **{d}}}:
        {l}.append({e})
---
def {f}(v=1):
    global {n}
    {n} = {n} + 1
    return v
---
def {f}(v=1):
    {l}.append(v)
    return v
---
def {f}(v=1):
    return v if {n} else len({L})
---
def f(v=1):
    return g(v)
---
def {f}(v=1, kept={l}):
    kept.append(v)
    return len(kept)
---
def {f}(v=1):
{body}
    return v
---
def make(kept):
    def inner(v=1):
        kept.append(v)
        return len(kept)
    return inner
{f} = make({L})
---
def make(c={n}):
    def inner(v=1):
        nonlocal c
        c += 1
        return c
    return inner
{f} = make()
---
def numbers(s):
    for v in s:
        {l}.append(v)
        yield {e}
{i} = numbers({l}[:3])
---
def counted(h):
    def inner(v=1):
        {l}.append(v)
        return h(v)
    return inner
---
@counted
def {f}(v=1):
    return v if {n} else 0
---
def put(t, v=1):
    t = [v]
    return t
---
def put(t, v=1):
    t[:1] = [v]
    {l}.append(v)
    return {l}
---
def put(t, v=1):
    global {l}
    {l} = t
    return [v]
---
class Box(Box):
    def add(self, v):
        super().add({e})
        {l}.append(v)
        return self
---
class Box(Box):
    def __init__(self, n=0):
        super().__init__({e})
        self.items = {l}
    def total(self):
        Box.count += 1
        return self.n if {n} else 0
---
class Box(Box):
    kept = {L}
    def add(self, v):
        self.kept.append(v)
        self.items = self.kept
        return self
---
class Log(list):
    def append(self, v):
        {l}.insert(0, v)
{l} = Log()
"""

STATEMENTS = SIMPLE.strip().splitlines()
BLOCKS = [block.strip("\n") for block in COMPOUND.split("---\n")]


def _alternatives(table: str) -> list[str]:
    return [each for line in table.strip().splitlines() for each in line.split(" | ")]


NUMBERS_, LISTS_ = _alternatives(NUMBERS), _alternatives(LISTS)
_PLACE = re.compile(r"\{\{|\}\}|\{(\w+)\}")


@st.composite
def cells(draw: st.DrawFn) -> str:
    """One cell of one to three statements."""

    def fill(template: str, depth: int) -> str:
        return _PLACE.sub(lambda place: _one(place, depth), template)

    def _one(place: re.Match[str], depth: int) -> str:
        kind = place[1]
        if kind is None:
            return place[0][0]
        if kind in NAMES:
            return draw(st.sampled_from(NAMES[kind]))
        if kind == "body":
            return textwrap.indent("\n".join(_statement(depth + 1) for _ in range(draw(st.integers(1, 2)))), "    ")
        table = NUMBERS_ if kind == "e" else LISTS_
        return fill(draw(st.sampled_from(table if depth < 3 else table[:4])), depth + 1)

    def _statement(depth: int) -> str:
        compound = depth < 2 and draw(st.integers(0, 3)) == 0
        return fill(draw(st.sampled_from(BLOCKS if compound else STATEMENTS)), depth)

    return "\n".join(_statement(0) for _ in range(draw(st.integers(1, 3))))


def notebooks() -> st.SearchStrategy[list[str]]:
    """Two to six cells that may follow FIRST_CELL."""
    return st.lists(cells(), min_size=2, max_size=6)
