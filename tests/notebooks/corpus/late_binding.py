# %%
rate = 2
# %%
def convert(x):
    return x * rate
# %%
functions = [lambda x: x + i for i in range(3)]
called = [f(10) for f in functions]
# %%
early = convert(5)
# %%
rate = 3
# %%
later = convert(5)
# %%
i = 7
adders = []
for i in range(3):
    adders.append(lambda x: x + i)
# %%
sums = [add(0) for add in adders]
# %%
i = 50
# %%
sums_then = [add(0) for add in adders]
# %%
def outer():
    return inner() + 1
# %%
def inner():
    return rate
# %%
first = outer()
# %%
def inner():
    return -rate
# %%
second = outer()
# %%
total = 0
def add(n):
    global total
    total += n
    return total
# %%
for n in range(4):
    add(n)
# %%
total_then = total
# %%
history = [add(10), add(10)]
# %%
x = "outer"
squares = [x * x for x in range(4)]
table = {x: [y for y in range(x)] for x in range(3)}
# %%
kept = x
# %%
if (n := len(squares)) > 3:
    message = f"{n} squares, {kept}"
# %%
class Scoped:
    x = "inner"
    seen = [x for _ in range(1)]
    def read(self):
        return x
# %%
read = Scoped().read(), Scoped.x, Scoped.seen
