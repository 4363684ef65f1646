# %%
from dataclasses import dataclass, field
import itertools, datetime, decimal, fractions, uuid, pathlib, re, enum
# %% task
@dataclass
class Item:
    name: str
    when: datetime.date
    tags: set = field(default_factory=set)
    price: decimal.Decimal = decimal.Decimal("1.5")
items = [Item("a", datetime.date(2026, 1, 1)), Item("b", datetime.date(2026, 1, 2))]
first = items[0]
by = {i.name: i for i in items}
paths = [pathlib.Path("x"), pathlib.Path("y")]
pat = re.compile("a+")
# %% task
by["a"].tags.add("new")
by["b"].price += 1
# %% task
r = first.tags == {"new"}, items[1].price
for i in items:
    i.name = i.name.upper()
# %% task
names = [i.name for i in by.values()], first.name, bool(pat.match("aa")), paths[0].name
# %%
del items, first, by, paths, pat
