# %% plain
import numpy as np
import pandas as pd
# %%
rng = np.random.default_rng(5)
df = pd.DataFrame({
    "shop": list("abcab" * 8),
    "day": np.arange(40) % 7,
    "sales": rng.integers(1, 100, 40),
})
# %%
rows_raw = len(df)
# %%
df = df[df["sales"] > 10]
# %%
df = df[df["day"] < 5].copy()
# %%
df["share"] = df["sales"] / df["sales"].sum()
# %%
limit = 30
big = df.query("sales > @limit")
# %%
limit = 60
bigger = df.query("sales > @limit and shop != 'c'")
# %%
by_shop = df.groupby("shop")["sales"].agg(["sum", "mean", "count"])
# %%
groups = df.groupby("day")
# %%
best_days = groups["sales"].sum().nlargest(2)
# %%
noise = rng.normal(size=3).round(6)
# %%
df = df.assign(weekend=lambda d: d["day"] >= 3).reset_index(drop=True)
# %%
by_shop["rank"] = by_shop["sum"].rank(ascending=False)
# %%
df = df.merge(by_shop[["rank"]], left_on="shop", right_index=True)
# %%
df.eval("weighted = sales * rank", inplace=True)
# %%
pivot = df.pivot_table(index="shop", columns="weekend", values="weighted", aggfunc="sum")
# %%
df.loc[df["shop"] == "c", "sales"] = 0
c_total = df.loc[df["shop"] == "c", "sales"].sum()
# %%
df.columns = df.columns.str.upper()
summary = df.describe()
# %%
for shop, part in df.groupby("SHOP"):
    print(shop, len(part))
# %%
rest = rng.normal(size=2).round(6)
