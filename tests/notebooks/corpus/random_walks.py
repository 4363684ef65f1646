# %% plain
import random
import numpy as np
# %%
np.random.seed(1)
random.seed(2)
# %%
steps = np.random.choice([-1, 1], size=10)
# %%
coin = random.random()
# %%
walk = steps.cumsum()
# %%
def jitter(values, scale=0.1):
    return values + np.random.normal(0, scale, len(values))
# %%
noisy = jitter(walk).round(8)
# %%
coins = [random.choice("ab") for _ in range(5)]
# %%
np.random.seed(1)
# %%
steps_again = np.random.choice([-1, 1], size=10)
same = bool((steps == steps_again).all())
# %%
rng = np.random.default_rng(0)
dice = random.Random(9)
# %%
draws = rng.integers(0, 10, 5)
# %%
def bootstrap(values, generator, n=3):
    return [float(generator.choice(values, len(values)).mean()) for _ in range(n)]
# %%
means = bootstrap(draws, rng)
# %%
throw = dice.randint(1, 6)
# %%
more = bootstrap(walk, rng)
# %%
throws = [dice.randint(1, 6) for _ in range(3)]
# %%
deck = list(range(8))
np.random.shuffle(deck)
# %%
hand = deck[:3]
rng.shuffle(deck)
# %%
top = deck[0], int(np.random.randint(100)), random.randint(0, 100)
# %%
values = {"last": rng.random()}
