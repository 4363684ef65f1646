# %%
import numpy as np
import pandas as pd
# %% task
a = [1]
arr = np.array([a, None, {"x": 1}], dtype=object)
df = pd.DataFrame({"n": [1, 2], "o": [[1], [2]]})
cell0 = df["o"].iloc[0]
# %% task
arr[0].append(2)
arr[2]["x"] = 5
df["o"].iloc[0].append(9)
# %% task
r = list(a), arr[2]["x"], list(cell0)
