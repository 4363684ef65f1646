# %% plain
import contextlib
import random

random.seed(7)
# %%
for epoch in range(3):
    loss = 1 / (epoch + 1)
last_loss = loss
# %%
rows = [{"n": 1}, {"n": 2}]
total = 0
for row in rows:
    total += row["n"]
del row
# %%
while rows:
    got = rows.pop()
shown = f"{got}"
# %%
try:
    import no_such_module as json_module
except ImportError:
    import json as json_module
text = json_module.dumps({"a": 1})
# %%
if total > 2:
    kept = []
kept.append(total)
# %%
with contextlib.suppress(KeyError):
    found = {"a": 1}["a"]
doubled = found * 2
# %%
for epoch in range(2):
    pass
end = epoch
# %%
coin = random.random()
# %%
other_coin = random.random()
