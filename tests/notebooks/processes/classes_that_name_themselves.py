# %%
import math
# %%
class Vec:
    def __init__(self, x, y):
        self.x, self.y = x, y
    def __add__(self, other):
        return Vec(self.x + other.x, self.y + other.y)
    def __eq__(self, other):
        return isinstance(other, Vec) and (self.x, self.y) == (other.x, other.y)
    def __hash__(self):
        return hash((self.x, self.y))
    @classmethod
    def unit(cls):
        return Vec(1, 1)
# %% task
a = Vec(1, 2)
# %% task
b = a + Vec(3, 4)
# %% task
c = b + Vec.unit()
n = c.x + c.y
same = c == Vec(5, 7)
d = {a: 1, b: 2}
# %% task
found = d[Vec(1, 2)]
# %%
del d
