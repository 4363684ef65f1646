# %%
from collections import Counter, defaultdict, OrderedDict, deque
# %% task
c = Counter("aab")
alias = c
g = defaultdict(list)
holder = {"g": g, "c": c}
o = OrderedDict(a=1, b=2)
o2 = o
class Bag(list):
    def total(self):
        return sum(self)
bag = Bag([1])
bag.label = "x"
bags = [bag]
q = deque([1, 2], maxlen=3)
qs = (q,)
# %% task
c.update("zz")
g["k"].append(1)
o.move_to_end("a")
bag.append(3)
bag.label = "y"
q.append(7)
q.append(8)
# %% task
r = (dict(alias), dict(holder["g"]), holder["c"]["z"], list(o2), bags[0].total(), bags[0].label, list(qs[0]))
