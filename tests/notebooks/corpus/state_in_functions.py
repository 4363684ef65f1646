# %% plain
from argparse import ArgumentParser
from types import SimpleNamespace


# %%
def tick():
    tick.count += 1
    return tick.count


tick.count = 0

# %%
one = tick()

# %%
two = tick()

# %%
tick.count = 50

# %%
fifty_one = tick()


# %%
class Stream:
    def __init__(self):
        self.at = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.at += 1
        if self.at > 10:
            raise StopIteration
        return self.at


stream = Stream()

# %%
for item in stream:
    if item == 3:
        break

# %%
at = stream.at

# %%
pairs = list(zip("ab", stream))

# %%
left = sum(stream)


# %%
class Only:
    kept = None

    def __new__(cls):
        if cls.kept is None:
            cls.kept = super().__new__(cls)
        return cls.kept


# %%
here = Only()
here.mark = 1

# %%
there = Only()
there.mark = 2

# %%
mark = here.mark

# %%
config = SimpleNamespace(rate=0.5)

# %%
config.rate *= 2

# %%
doubled = config.rate

# %%
vars(config)["rate"] = 5

# %%
five = config.rate

# %%
parser = ArgumentParser()
parser.add_argument("--n", type=int, default=3)

# %%
parser.set_defaults(n=9)

# %%
nine = parser.parse_args([]).n

# %%
rows = [config] * 2

# %%
rows[1].rate = 7

# %%
seven = config.rate


# %%
async def steps():
    for number in range(5):
        yield number


going = steps()

# %%
begun = await anext(going)

# %%
the_rest = [number async for number in going]
