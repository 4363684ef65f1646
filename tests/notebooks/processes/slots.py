# %%
from dataclasses import dataclass
# %%
class Point:
    __slots__ = ("x", "y")
    def __init__(self, x, y):
        self.x, self.y = x, y
@dataclass(slots=True)
class Row:
    name: str
    n: int = 0
# %% task
p = Point(1, 2)
r = Row("a")
rows = [r, Row("b")]
# %% task
p.x += 5
# %% task
r.n += 2
# %% task
total = sum(each.n for each in rows) + p.x
rows[0].n += 1
# %% task
last = r.n
# %%
del p, r, rows
