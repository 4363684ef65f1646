# %% plain
import functools
from collections import Counter
# %%
calls = Counter()
def counted(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        calls[function.__name__] += 1
        return function(*args, **kwargs)
    return wrapper
# %%
@counted
def area(r):
    return PI * r * r
PI = 3
# %%
a1 = area(1)
# %%
PI = 3.14
# %%
a2 = area(1)
# %%
calls_so_far = dict(calls)
# %%
registry = {}
def register(name):
    def inner(function):
        registry[name] = function
        return function
    return inner
# %%
@register("double")
def double(x):
    return 2 * x
# %%
@register("shift")
def shift(x):
    return x + offset
offset = 100
# %%
results = {name: function(5) for name, function in registry.items()}
# %%
@functools.lru_cache(maxsize=None)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
# %%
f10 = fib(10)
# %%
info = fib.cache_info()
hits_then = info.hits
# %%
f20 = fib(20)
# %%
size = fib.cache_info().currsize
del info
# %%
offset = 1
shifted = registry["shift"](5)
