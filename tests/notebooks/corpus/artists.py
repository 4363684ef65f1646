# %% plain
import os
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
# %%
figure, grid = plt.subplots(1, 2)
# %%
(line,) = grid[1].plot([1, 2, 3])
# %%
line.set_ydata([4, 5, 6])
# %%
drawn = list(grid[1].lines[0].get_ydata())
# %%
twin = grid[0].twinx()
# %%
twin.plot([5, 6])
# %%
of_twin = len(twin.lines), len(figure.axes)
# %%
host = plt.figure().add_subplot(111)
# %%
host.plot([1, 2])
# %%
lines = len(plt.gca().lines)
# %%
picture = "artists.png"
plt.savefig(picture)
# %%
is_there = os.path.getsize(picture) > 0
# %%
plt.close("all")
# %%
del figure, grid, line, twin, host
