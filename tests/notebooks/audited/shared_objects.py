# %%
from collections import ChainMap
# %%
user = {}
defaults = {"port": 80}
# %%
cfg = ChainMap(user, defaults)
# %%
cfg["port"] = 9090
# %%
p = dict(user)
# %%
del cfg
# %%
class Typed:
    def __init__(self):
        self.writes = []
    def __get__(self, obj, kind=None):
        return self if obj is None else obj._price
    def __set__(self, obj, v):
        self.writes.append(v)
        obj._price = v
# %%
class Product:
    price = Typed()
    def __init__(self, price):
        self.price = price
# %%
p = Product(10)
# %%
w1 = list(Product.price.writes)
# %%
p.price = 15
# %%
w2 = list(Product.price.writes)
# %%
del p
# %%
person = {"name": "Ann", "tags": ["a"]}
# %%
clone = person.copy()
# %%
clone["tags"].append("b")
# %%
p1 = len(person["tags"])
# %%
a = [[1], [2]]
# %%
b = a + [[3]]
# %%
b[0].append(9)
# %%
n = str(a)
# %%
class Recorder:
    def __init__(self, target):
        self._target = target
    def __getattr__(self, name):
        return getattr(self._target, name)
# %%
items = [3, 1, 2]
# %%
rec = Recorder(items)
# %%
rec.append(9)
# %%
n = len(items)
# %%
rec.sort()
# %%
s = list(items)
# %%
del rec
# %%
class Sheet:
    def __init__(self, rows): self.rows = rows
    def __getitem__(self, i): return self.rows[i]
    def __setitem__(self, i, v): self.rows[i] = v
    def __delitem__(self, i): del self.rows[i]
    def __iadd__(self, v):
        self.rows.append(v)
        return self
# %%
rows = [1, 2]
# %%
s = Sheet(rows)
# %%
s[0] = 5
# %%
n = str(rows)
# %%
s += 7
# %%
m = str(rows)
# %%
del s[1]
# %%
k = str(rows)
# %%
del s
# %%
class Person:
    def __init__(self, name):
        self.name = name
        self.inbox = []
        self.room = None
    def receive(self, sender, text):
        self.inbox.append(f"{sender}: {text}")
    def say(self, text):
        self.room.broadcast(self.name, text)
class ChatRoom:
    def __init__(self):
        self.members = {}
    def join(self, person):
        self.members[person.name] = person
        person.room = self
    def broadcast(self, source, message):
        for name, m in self.members.items():
            if name != source:
                m.receive(source, message)
# %%
room = ChatRoom()
# %%
john = Person("John")
jane = Person("Jane")
# %%
room.join(john)
room.join(jane)
# %%
john.say("hi there")
# %%
janes = list(jane.inbox)
# %%
jane.say("hey")
# %%
johns = list(john.inbox)
# %%
del room, john, jane
# %%
class Department:
    def __init__(self): self.staff = []
class Employee:
    def __init__(self, name, dept):
        self.name = name
        dept.staff.append(self)
# %%
d = Department()
# %%
e = Employee("b", d)
# %%
n2 = [e.name for e in d.staff]
# %%
e.name = "z"
# %%
n3 = [e.name for e in d.staff]
# %%
del d, e
# %%
class Value:
    def __init__(self, data, children=()):
        self.data, self.grad, self.children = data, 0.0, children
    def __mul__(self, o):
        return Value(self.data * o.data, (self, o))
    def backward(self):
        for c in self.children:
            c.grad += 1
# %%
a = Value(2.0)
b = Value(-3.0)
# %%
c = a * b
# %%
c.backward()
# %%
g = a.grad, b.grad
# %%
del a, b, c
# %%
from functools import lru_cache
class Sprite:
    def __init__(self, n): self.n, self.x = n, 0
@lru_cache
def sprite(n):
    return Sprite(n)
# %%
s = sprite("a")
# %%
t = sprite("a")
# %%
t.x += 5
# %%
u = s.x
# %%
sprite("a").x += 1
# %%
v = s.x
# %%
del s, t
