# %%
import networkx as nx
import pandas as pd
# %% task
g = nx.DiGraph()
g.add_edge("a", "b", weight=1)
views = {"g": g}
frames = {"t": pd.DataFrame({"x": [1, 2]})}
t = frames["t"]
# %% task
views["g"].add_edge("b", "c", weight=2)
g["a"]["b"]["weight"] = 7
# %% task
order = list(nx.topological_sort(g))
w = g["a"]["b"]["weight"]
t["y"] = t["x"] * 2
# %% task
cols = list(frames["t"].columns)
frames["t"].loc[5] = [9, 9]
# %% task
n = len(t)
# %%
del g, views
