# %% plain
import numpy as np
import pandas as pd
# %%
rng = np.random.default_rng(7)
df = pd.DataFrame({"region": rng.choice(["eu", "us", "ap"], 200), "amount": rng.normal(100, 25, 200)})
df.head()
# %%
df = df[df["amount"] > 60]
n_kept = len(df)
# %%
df["tax"] = df["amount"] * 0.19
df["gross"] = df.amount + df.tax
# %%
by_region = df.groupby("region")["gross"].agg(["mean", "sum"])
by_region
# %%
df = df.drop(columns="tax")
# %%
top = df.nlargest(5, "gross").reset_index(drop=True)
columns = list(df.columns)
# %%
share = (by_region["sum"] / by_region["sum"].sum()).round(4).to_dict()
