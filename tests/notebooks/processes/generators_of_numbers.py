# %%
import random
import numpy as np
# %% task
r = random.Random(3)
r2 = r
gen = np.random.default_rng(1)
held = {"gen": gen, "r": r}
# %% task
a = r.random()
# %% task
b = r2.random()
# %% task
c = gen.normal()
# %% task
d = held["gen"].normal(), held["r"].random()
