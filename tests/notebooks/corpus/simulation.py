# %% plain
import random
# %%
random.seed(11)
# %%
def roll(n=2):
    return sum(random.randint(1, 6) for _ in range(n))
# %%
rolls = [roll() for _ in range(100)]
# %%
random.shuffle(rolls)
# %%
best = max(rolls)
later = random.random()
# %%
walk = [0]
for r in rolls:
    walk.append(walk[-1] + (1 if r > 7 else -1))
# %%
rolls.sort()
median = rolls[len(rolls) // 2]
# %%
state = random.getstate()
a = random.random()
random.setstate(state)
b = random.random()
