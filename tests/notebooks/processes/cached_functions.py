# %%
from functools import lru_cache, cache
# %%
@lru_cache(maxsize=None)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
# %% task
a = fib(20)
# %% task
b = fib(30) + a
# %% task
@cache
def sq(n):
    return n * n
# %% task
c = sq(4)
