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
del callbacks, callback, bus, registry, box, steps, stack
