# %%
import threading


class Counter:
    def __init__(self):
        self.n = 0

    def _step(self, by):
        self.n += by

    def up(self):
        self._step(1)
        return self.n

    def reset(self):
        self.n = 0


class Loud(Counter):
    def up(self):
        return super().up(), "!"


def twice(counter):
    counter.up()
    counter.up()


def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()
# %%
class Louder(Loud):
    def up(self):
        return super().up(), "!!"
# %%
a, b, c = Counter(), Louder(), Counter()
actions = {"up": c.up, "reset": c.reset}
up = a.up
# %%
one = a.up()
# %%
n1 = a.n
# %%
twice(a)
# %%
n3 = a.n
# %%
in_thread(a.up)
# %%
n4 = a.n
# %%
up()
# %%
n5 = a.n
# %%
loud = b.up()
# %%
m1 = b.n
# %%
actions["up"]()
# %%
k1 = c.n
# %%
twice(c)
# %%
k3 = c.n
# %%
actions["reset"]()
# %%
k0 = c.n
# %%
log = []


class Machine:
    def __init__(self):
        self.todo = []

    def when(self, function):
        self.todo.append(function)

    def fire(self):
        return [function() for function in self.todo]


machine = Machine()
# %%
machine.when(lambda: log.append("a"))
# %%
machine.fire()
# %%
fired = len(log)
# %%
machine.when(lambda: log.append("b"))
# %%
machine.fire()
# %%
fired_again = len(log)


# %%
def account(start):
    total = start

    def by(step):
        def add():
            nonlocal total
            total += step
            return total

        return add

    return by


by = account(10)
# %%
fives = by(5)
tens = by(10)
# %%
first = fives()
# %%
second = tens()
# %%
third = fives()
# %%
del actions, up, machine
