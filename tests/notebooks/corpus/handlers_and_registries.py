# %% plain
import abc
import functools
from collections import defaultdict
from contextlib import ExitStack
# %%
callbacks, log = [], []
def on_start(x):
    log.append(("start", x))
# %%
callbacks.append(on_start)
# %%
for callback in callbacks:
    callback(1)
# %%
started = len(log)
# %%
class Bus:
    def __init__(self):
        self.handlers = defaultdict(list)
    def on(self, name, handler):
        self.handlers[name].append(handler)
    def fire(self, name, *arguments):
        return [handler(*arguments) for handler in self.handlers[name]]
bus = Bus()
# %%
def note(text):
    log.append(text)
# %%
bus.on("text", note)
# %%
bus.fire("text", "a")
# %%
two = len(log)
# %%
bus.fire("text", "b")
# %%
three = len(log)
# %%
registry = {}
def register(name):
    def decorate(made):
        registry[name] = made
        return made
    return decorate
# %%
@register("a")
class A:
    pass
# %%
only_a = sorted(registry)
# %%
@register("b")
class B:
    pass
# %%
a_and_b = sorted(registry)
# %%
A.hello = lambda self: "first"
# %%
first = registry["a"]().hello()
# %%
A.hello = lambda self: "second"
# %%
second = registry["a"]().hello()
# %%
@functools.singledispatch
def show(value):
    return "anything"
# %%
before = show(1)
# %%
@show.register
def show_int(value: int):
    return "a number"
# %%
after = show(1)
# %%
class Shape(abc.ABC):
    pass
# %%
no_shape = isinstance(1, Shape)
# %%
Shape.register(int)
# %%
a_shape = isinstance(1, Shape)
# %%
class Box:
    def __init__(self):
        self.items = {}
    def put(self, name, item):
        self.items[name] = item
    def get(self, name):
        return self.items[name]
box = Box()
# %%
numbers = [1]
# %%
box.put("numbers", numbers)
# %%
box.get("numbers").append(2)
# %%
length = len(numbers)
# %%
steps = {}
steps["add"] = numbers.append
# %%
steps["add"](3)
# %%
longer = len(numbers)
# %%
closed = []
stack = ExitStack()
stack.callback(closed.append, "closed")
# %%
open_still = list(closed)
# %%
stack.close()
# %%
at_the_end = list(closed)
# %%
class Plugin:
    known = []
    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        cls.known.append(cls.__name__)
# %%
class One(Plugin):
    pass
# %%
one_plugin = list(Plugin.known)
# %%
class Two(Plugin):
    pass
# %%
two_plugins = list(Plugin.known)
# %%
from argparse import ArgumentParser
parser = ArgumentParser()
# %%
commands = parser.add_subparsers(dest="command")
# %%
train = commands.add_parser("train")
# %%
train.add_argument("--rate", type=float)
# %%
rate = parser.parse_args(["train", "--rate", "0.5"]).rate
# %%
later = functools.partial(map, lambda n: n * scale)
scale = 3
# %%
scaled = list(later([1, 2]))
# %%
del parser, commands, train, later
# %%
def counted(function):
    @functools.wraps(function)
    def call(*arguments):
        call.calls += 1
        return function(*arguments)
    call.calls = 0
    return call
class Memo:
    def __init__(self, function):
        self.function, self.known, self.hits = function, {}, 0
    def __call__(self, n):
        self.hits += n in self.known
        return self.known.setdefault(n, self.function(n))
# %%
@counted
def go():
    return 1
@Memo
def square(n):
    return n * n
# %%
go()
square(3)
# %%
calls, hits = go.calls, square.hits
# %%
go()
square(3)
# %%
more_calls, more_hits = go.calls, square.hits
# %%
got = []
class Observed:
    def __init__(self):
        self._told, self._value = [], 0
    def tell(self, listener):
        self._told.append(listener)
    @property
    def value(self):
        return self._value
    @value.setter
    def value(self, value):
        self._value = value
        for listener in self._told:
            listener(value)
observed = Observed()
# %%
observed.tell(got.append)
# %%
observed.value = 3
# %%
heard = list(got)
# %%
del go, square, observed
# %%
del callbacks, callback, bus, registry, box, steps, stack
