# %% plain
import itertools
# %%
def primes():
    found = []
    for n in itertools.count(2):
        if all(n % p for p in found):
            found.append(n)
            yield n
source = primes()
# %%
first = list(itertools.islice(source, 5))
# %%
sixth = next(source)
# %%
more = [next(source) for _ in range(2)]
# %%
pairs = zip(first, "abcde")
head = next(pairs)
# %%
rest = list(pairs)
# %%
total = 0
for i, p in enumerate(first):
    total += i * p
# %%
cube = lambda v: v ** power
power = 3
# %%
cubes = list(map(cube, first))
# %%
power = 2
squares = [cube(v) for v in first]
