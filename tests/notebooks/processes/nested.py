# %%
base = {"k": [1]}
# %% task
inner = [1]
outer = {"inner": inner, "deep": {"x": [inner]}}
# %% task
outer["inner"].append(2)
# %% task
seen = list(inner)
# %% task
outer["deep"]["x"][0].append(3)
# %% task
seen2 = list(inner)
outer["deep"]["y"] = inner
# %% task
same = outer["deep"]["y"] is inner
