# %% plain
import email.message
import itertools
import weakref
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pandas as pd
# %%
MISSING = object()
class Item:
    _ids = itertools.count(1)
    def __init__(self):
        self.id = next(Item._ids)
        self.score = 0
# %%
first = Item()
team = frozenset([first])
watchers = weakref.WeakSet([first])
looked_up = {"a": MISSING}
# %%
second = Item()
for each in team:
    each.score += 5
# %%
for each in watchers:
    each.score += 1
# %%
ids = first.id, second.id
score = first.score
is_missing = looked_up["a"] is MISSING
# %%
shared = [1]
space = SimpleNamespace(items=shared)
problem = ValueError("a", shared)
# %%
space.items.append(2)
problem.args[1].append(3)
# %%
grown = list(shared)
# %%
column = pd.Series([1, 2])
other = column
table = pd.DataFrame({"a": [1]})
# %%
column.name = "renamed"
table.attrs["unit"] = "m"
# %%
named = other.name, table.attrs
# %%
tree = ET.fromstring("<a><b/></a>")
leaf = tree[0]
# %%
leaf.set("x", "1")
# %%
text = ET.tostring(tree).decode()
# %%
stack = []
push = stack.append
# %%
push(5)
# %%
pushed = list(stack)
# %%
def greet(name="you"):
    return f"hello {name}"
# %%
greet.__defaults__ = ("all",)
# %%
greeting = greet()
# %%
class Tree(dict):
    def __missing__(self, key):
        self[key] = Tree()
        return self[key]
    def __getattr__(self, key):
        return self[key]
root = Tree()
# %%
root.a.b["c"] = 1
# %%
leaves = list(root["a"]["b"])
# %%
message = email.message.EmailMessage()
message["To"] = "somebody"
to = message["To"]
# %%
del MISSING, first, second, team, watchers, each, looked_up, space, problem, tree, leaf, push, message, root
