# %%
class Config:
    values = {}
    level = 1
    def set(self, key, value):
        self.values[key] = value
        return self
# %%
one = Config()
two = Config()
# %%
one.set("a", 1)
# %%
seen = dict(two.values)
# %%
two.set("b", 2).set("c", 3)
# %%
also = sorted(one.values.items())
# %%
Config.level += 1
# %%
levels = (one.level, two.level)
# %%
type(one).level = 10
# %%
levels2 = (one.level, two.level)
# %%
one.__class__.values.clear()
# %%
empty = (one.values, two.values)
# %%
class Borg:
    _state = {}

    def __init__(self):
        self.__dict__ = self._state
# %%
b1 = Borg()
b1.color = "red"
# %%
b2 = Borg()
color = b2.color
# %%
b2.color = "blue"
# %%
color1 = b1.color
# %%
Borg().color = "green"
# %%
color2 = (b1.color, b2.color)
# %%
class Log:
    lines = []

    def say(self, x):
        self.lines.append(x)


class Service(Log):
    def work(self):
        self.say("work")
# %%
service, log = Service(), Log()
# %%
service.work()
# %%
said = list(log.lines)
# %%
class Extra(Service):
    def more(self):
        self.work()
        self.say("more")
# %%
Extra().more()
# %%
said_then = list(log.lines)
# %%
class Numbered:
    last = 0

    def __init__(self):
        type(self).last += 1
        self.number = self.last
# %%
n1 = Numbered()
# %%
n2 = Numbered()
# %%
numbers = (n1.number, n2.number, Numbered.last)
