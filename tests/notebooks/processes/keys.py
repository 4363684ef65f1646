# %%
class K:
    def __init__(self, n): self.n = n
# %% task
k1, k2 = K(1), K(2)
s = {k1}
d = {k1: "a"}
# %% task
s.add(k2)
d[k2] = "b"
# %% task
r = k2 in s, d.get(k2), d.get(k1), k1 in s
# %%
del s, d, k1, k2
