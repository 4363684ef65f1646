# %% plain
from functools import partial


# %%
def make_counter():
    state = {"n": 0}

    def add(by=1):
        state["n"] += by
        return state["n"]

    def total():
        return state["n"]

    return add, total


add, total = make_counter()

# %%
before = total()

# %%
add()

# %%
after_one = total()

# %%
by_ten = partial(add, 10)

# %%
eleven = by_ten()

# %%
after_ten = total()

# %%
other_add, other_total = make_counter()

# %%
other_add(3)

# %%
others = (total(), other_total())


# %%
def make_list():
    items = []
    return items.append, items.copy, lambda: len(items)


push, dump, size = make_list()

# %%
sizes = [size()]

# %%
push("a")

# %%
sizes_after = [*sizes, size()]

# %%
dumped = dump()

# %%
push("b")

# %%
names = []
remember = names.append

# %%
count_before = len(names)

# %%
for each in ("x", "y"):
    remember(each)

# %%
count_after = len(names)

# %%
list(map(remember, ["z"]))

# %%
spelled = "".join(names)
