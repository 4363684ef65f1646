# %% plain
from contextlib import contextmanager
from functools import wraps

import numpy as np
# %% plain
@contextmanager
def scope(name):
    STACK.append(name)
    yield RATE


def timed(function):
    @wraps(function)
    def inner(*args):
        return function(*args)
    return inner


@timed
def price(n):
    return n * RATE


def scaled(n):
    return n * RATE


by_array = np.vectorize(scaled)

# %%
STACK, RATE = [], 2
# %%
with scope("first") as rate:
    inside = list(STACK), rate
cost = price(3), by_array([1, 2]).tolist()
# %%
STACK, RATE = ["new"], 5
# %%
with scope("second") as rate:
    inside_then = list(STACK), rate
cost_then = price(3), by_array([1, 2]).tolist()
# %%
STACK, RATE = [], 7
# %%
subscribers = []


def once():
    subscribers.remove(once)
    return len(subscribers)


subscribers.append(once)
# %%
left = [each() for each in list(subscribers)]
# %%
registry = {}


def register(function):
    registry[function.__name__] = function
    return function
# %%
@register
def double(n):
    return 2 * n


also = double
# %%
is_same = registry["double"] is double, also is double
# %%
del subscribers, registry, once, double, also
