# %% plain
import numpy as np
import copy
# %%
a = np.arange(12.0).reshape(3, 4)
# %%
row = a[1]
corner = a[:2, :2]
flat = a.ravel()
# %%
before = a.sum()
# %%
row[:] = 0
# %%
after_row = a.sum()
# %%
corner += 100
# %%
after_corner = flat.sum()
# %%
b = a.copy()
b[0, 0] = -1
# %%
unchanged = a[0, 0]
# %%
nested = {"x": [1, 2], "y": {"z": []}}
same = nested
shallow = dict(nested)
deep = copy.deepcopy(nested)
# %%
shallow["x"].append(3)
# %%
length_then = len(nested["x"])
# %%
same["y"]["z"].extend("ab")
# %%
lengths = [len(d["x"]) + len(d["y"]["z"]) for d in (nested, same, shallow, deep)]
# %%
stack, backup = [], []
stack = backup
# %%
for n in range(3):
    stack.append(n)
# %%
size = len(backup)
top = stack.pop()
# %%
matrix = [[0] * 2] * 2
# %%
matrix[0][1] = 5
# %%
second_row = matrix[1]
def fill(target, value):
    target.fill(value)
    return target
# %%
filled = fill(corner, 7)
# %%
total = float(a.sum())
# %%
out = np.zeros(4)
np.add(a[0], a[1], out=out)
# %%
np.multiply(out, 2, out=out)
# %%
doubled = out.tolist()
