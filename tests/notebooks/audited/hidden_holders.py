# %%
class Query:
    def __init__(self):
        self.filters = []
    def where(self, cond):
        self.filters.append(cond)
        return self
# %%
base = Query().where("a")
# %%
adults = base.where("age > 18")
# %%
top = adults.where("x").where("y")
# %%
top.where("city = 'Rome'")
# %%
n = len(base.filters)
# %%
del base, adults, top
# %%
class Plugin:
    pass
# %%
class Double(Plugin):
    pass
# %%
names = [c.__name__ for c in Plugin.__subclasses__()]
# %%
class Inc(Plugin):
    pass
# %%
class Meta(type):
    registry = {}
    def __new__(mcls, name, bases, ns):
        cls = super().__new__(mcls, name, bases, ns)
        mcls.registry[name] = cls
        return cls
# %%
class Shape(metaclass=Meta):
    pass
# %%
class Circle(Shape):
    pass
# %%
known1 = sorted(Meta.registry)
# %%
class Square(Shape):
    pass
# %%
known2 = sorted(Meta.registry)
# %%
def numbers():
    n = 0
    while True:
        n += 1
        yield n
def chain_all(*its):
    for it in its:
        yield from it
# %%
nums = numbers()
# %%
both = chain_all("ab", nums)
# %%
b1 = [next(both) for _ in range(3)]
# %%
b2 = next(nums)
# %%
del nums, both
# %%
class Stack:
    def __init__(self): self.items = []
    def push(self, x): self.items.append(x); return x
# %%
s = Stack()
# %%
push = s.push
# %%
n5 = len(s.items)
# %%
res = list(map(push, range(2)))
# %%
n6 = list(s.items)
# %%
del s, push
# %%
import itertools
nums = iter(range(100))
# %%
left, right = itertools.tee(nums)
# %%
l = list(itertools.islice(left, 2))
# %%
x = next(nums)
# %%
r = list(itertools.islice(right, 3))
# %%
del nums, left, right
# %%
class Dog:
    tricks = []
    def __init__(self, name): self.name = name
# %%
a = Dog("a")
# %%
b = Dog("b")
# %%
a.tricks.append("roll")
# %%
n = list(b.tricks)
# %%
del a, b
# %%
class Simulator:
    def __init__(self): self.queue = []
    def at(self, action): self.queue.append(action)
    def step(self): self.queue.pop(0)(self)
# %%
waiting = 0
# %%
def arrive(sim):
    global waiting
    waiting += 1
    sim.at(leave)
def leave(sim):
    global waiting
    waiting -= 1
# %%
sim = Simulator()
sim.at(arrive)
# %%
sim.step()
# %%
w1 = waiting
# %%
sim.step()
# %%
w2 = waiting
# %%
del sim
# %%
import heapq
class Simulator:
    def __init__(self): self.queue = []
    def at(self, t, action): heapq.heappush(self.queue, (t, action))
    def step(self):
        t, action = heapq.heappop(self.queue)
        action(self)
# %%
waiting = 0
# %%
def arrive(sim):
    global waiting
    waiting += 1
# %%
sim = Simulator()
sim.at(0, arrive)
# %%
sim.step()
# %%
w1 = waiting
# %%
del sim
# %%
def coroutine(f):
    def start(*a):
        g = f(*a)
        next(g)
        return g
    return start
@coroutine
def collect(out):
    while True:
        out.append((yield))
# %%
out = []
# %%
sink = collect(out)
# %%
sink.send("x")
# %%
a = list(out)
# %%
del sink
# %%
def with_log(log):
    def say(m): log.append(m)
    return say
# %%
lines = []
say = with_log(lines)
# %%
say("hello")
# %%
n = len(lines)
# %%
class Engine:
    def __init__(self): self.rpm = 0
class Car:
    def __init__(self): self.engine = None
    def rev(self): self.engine.rpm += 100
class Driver:
    def __init__(self, car): self.car = car
    def go(self): self.car.rev()
# %%
car = Car()
driver = Driver(car)
# %%
engine = Engine()
# %%
car.engine = engine
# %%
driver.go()
# %%
r = engine.rpm
# %%
del engine, car, driver
# %% 
class Box:
    def __init__(self): self.items = []
    def put(self, x): self.items.append(x)
# %%
shared = [1]
a = Box()
b = Box()
# %%
a.items = shared
# %%
b.items = a.items
# %%
shared.append(3)
# %%
n2 = len(b.items)
# %%
del a, b
# %%
class World:
    def __init__(self):
        self.log = []
        self.things = {}
    def spawn(self, cls, name):
        self.things[name] = t = cls(self, name)
        return t
class Thing:
    def __init__(self, world, name):
        self.world, self.name = world, name
    def act(self, what):
        self.world.log.append(what)
# %%
world = World()
# %%
cat = world.spawn(Thing, "cat")
# %%
cat.act("meows")
# %%
n1 = len(world.log)
# %%
del cat, world
