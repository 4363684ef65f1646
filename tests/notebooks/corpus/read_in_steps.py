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
from configparser import ConfigParser
written = ConfigParser()
written["x"] = {"k": "1"}
# %%
with open("steps.ini", "w") as stream:
    written.write(stream)
# %%
settings = ConfigParser()
settings.read("steps.ini")
k = settings["x"]["k"]
# %%
import os
import sys
os.makedirs("own_modules", exist_ok=True)
sys.path.append("own_modules")
# %%
Path("own_modules/with_state.py").write_text("ITEMS = [1]\ndef add():\n    ITEMS.append(2)\n    return len(ITEMS)\n")
# %%
import with_state
with_state.ITEMS[:] = [1]
# %%
one_more = with_state.add()
# %%
from with_state import add
two_more = add()
# %%
length = len(with_state.ITEMS)
# %%
del written, settings, stream, with_state
# %%
del folder, name, reader, lines, rows, packed, shelf, disk
