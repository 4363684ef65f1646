# %% plain
import csv
import gzip
import shelve
from pathlib import Path
import numpy as np
import pandas as pd
# %%
folder = Path("in_steps")
folder.mkdir(exist_ok=True)
# %%
pd.DataFrame({"x": range(10)}).to_csv(folder / "a.csv", index=False)
# %%
reader = pd.read_csv(folder / "a.csv", chunksize=3)
# %%
one = next(reader)
# %%
two = reader.get_chunk()
# %%
rest = [len(chunk) for chunk in reader]
# %%
lines = open(folder / "a.csv")
rows = csv.reader(lines)
# %%
for row in rows:
    head = row
    break
# %%
numbers = [int(row[0]) for row in rows]
# %%
name = folder / "text.gz"
packed = gzip.open(name, "wt")
# %%
packed.write("abc")
# %%
packed.close()
# %%
unpacked = gzip.open(name, "rt").read()
# %%
shelf = shelve.open(str(folder / "shelf"))
# %%
shelf["a"] = 1
# %%
shelf.close()
# %%
with shelve.open(str(folder / "shelf")) as shelf:
    kept = shelf["a"]
# %%
disk = np.memmap(folder / "disk.dat", dtype="float64", mode="w+", shape=(4,))
# %%
disk[:] = 3
disk.flush()
# %%
threes = np.fromfile(folder / "disk.dat")
# %%
del folder, name, reader, lines, rows, packed, shelf, disk
