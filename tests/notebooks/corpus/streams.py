# %% plain
import asyncio
import io
import itertools
from collections import deque
# %%
numbers = iter(range(20))
# %%
first = [next(numbers) for _ in range(3)]
# %%
chunk = list(itertools.islice(numbers, 4))
# %%
evens = (n for n in numbers if n % 2 == 0)
# %%
two = next(evens), next(evens)
# %%
rest = sum(numbers)
# %%
def running_mean():
    total, count, value = 0, 0, None
    while True:
        value = yield value
        total, count = total + value, count + 1
        value = total / count
mean = running_mean()
next(mean)
# %%
m1 = mean.send(10)
# %%
m2 = mean.send(20)
# %%
window = deque(maxlen=3)
for n in range(5):
    window.append(n)
# %%
window.rotate(1)
# %%
shown = list(window)
# %%
buffer = io.StringIO("x,1\ny,2\nz,3\n")
# %%
header = buffer.readline()
# %%
others = buffer.read().split()
# %%
async def fetch(n):
    await asyncio.sleep(0)
    log.append(n)
    return n * factor
log, factor = [], 2
# %%
fetched = await asyncio.gather(*(fetch(n) for n in range(3)))
# %%
factor = 10
again = await fetch(1)
# %%
order = list(log)
# %%
ids = itertools.count(100)
def new_id():
    return next(ids)
# %%
one = new_id()
# %%
two_more = [new_id(), new_id()]
# %%
names = zip("ab", ids)
pairs = list(names)
# %%
left = next(ids)
