# %% plain
import io
import numpy as np
import pandas as pd
# %%
raw = """name,age,city
Ann,31,Bern
Bob,,Basel
 Cyd ,45,
Ann,31,Bern
Dan,-3,Chur
"""
people = pd.read_csv(io.StringIO(raw))
# %%
people.columns = [c.title() for c in people.columns]
# %%
shape_before = people.shape
# %%
people.drop_duplicates(inplace=True)
people["Name"] = people["Name"].str.strip()
# %%
missing = people.isna().sum().to_dict()
# %%
people.loc[people["Age"] < 0, "Age"] = np.nan
# %%
people = people.fillna({"City": "?", "Age": people["Age"].median()})
# %%
def decade(age):
    return int(age) // unit * unit
unit = 10
people["Decade"] = people["Age"].apply(decade)
# %%
view = people[["Name", "Decade"]]
table = people.pivot_table(index="Decade", values="Age", aggfunc="count")
# %%
people.sort_values("Name", ascending=False, inplace=True, ignore_index=True)
first = people.iloc[0].to_dict()
