# %% plain
import asyncio
import functools
from collections import defaultdict
def pipe(*steps):
    return lambda value: functools.reduce(lambda v, f: f(v), steps, value)
# %%
async def fetch(n):
    await asyncio.sleep(0)
    return f"page {n} " + "word " * n
pages = await asyncio.gather(*(fetch(n) for n in range(1, 4)))
# %%
index = defaultdict(set)
for number, page in enumerate(pages):
    for word in page.split():
        index[word].add(number)
# %%
clean = pipe(str.strip, str.upper)
upper = [clean(page) for page in pages]
# %%
index["page"].clear()
# %%
sizes = {word: len(found) for word, found in sorted(index.items())}
# %%
@functools.lru_cache
def score(word):
    return len(word) * weight
weight = 2
scores = {w: score(w) for w in sizes}
# %%
weight = 10
fresh = score("longerword")
old = score("page")
# %%
with open("pages.txt", "w") as f:
    print(*upper, sep="\n", file=f)
# %%
lines = open("pages.txt").read().splitlines()
match = [line for line in lines if (parts := line.split()) and len(parts) > 3]
