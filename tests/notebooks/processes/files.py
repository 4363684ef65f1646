# %%
import os, tempfile, csv
folder = tempfile.mkdtemp()
def path_of(n):
    return os.path.join(folder, "part" + str(n) + ".txt")
# %% task
p1 = path_of(1)
def save(n, text):
    with open(path_of(n), "a") as f:
        f.write(text)
# %% task
save(2, "x")
a = 1
# %% task
save(2, "y")
b = 1
# %% task
got = open(path_of(2)).read()[:2]
listed = sorted(os.listdir(folder))
# %%
del folder, p1
