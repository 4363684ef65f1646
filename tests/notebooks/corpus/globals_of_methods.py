# %% plain
class Plain:
    def add(self):
        global total
        total += 100
# %%
class Counter:
    def add(self):
        global count
        count += 1
count = total = 0
counter, plain = Counter(), Plain()
# %%
counter.add()
seen_there = count
# %%
one = count
# %%
counter.add()
plain.add()
# %%
two, hundred = count, total
# %%
hooks = {}
def hook(n):
    global count
    count += n
# %%
hooks["n"] = hook
# %%
hooks["n"](10)
# %%
twelve = count
# %%
class Noted:
    def __set_name__(self, owner, name):
        self.name = name
    def __get__(self, owned, owner):
        return owned.__dict__.get(self.name, 0)
    def __set__(self, owned, value):
        owned.__dict__[self.name] = value
        noted.append(value)
noted = []
class Has:
    x = Noted()
has = Has()
# %%
has.x = 4
# %%
once = len(noted)
# %%
has.x += 1
# %%
twice = len(noted)
# %%
del counter, plain, hooks, has
