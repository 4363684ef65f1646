# %% plain
import matplotlib.pyplot as plt
import numpy as np

xs = np.linspace(0, 1, 5)

# %%
figure, panels = plt.subplots(1, 2)

# %%
panels[0].plot(xs, xs)

# %%
lines = len(panels[0].lines)

# %%
for panel in panels.flat:
    panel.plot(xs, xs**2)

# %%
more_lines = [len(axes.lines) for axes in figure.axes]

# %%
panels[1].set_title("squares")

# %%
title = figure.axes[1].get_title()

# %%
figure.suptitle("both")

# %%
above = figure.get_suptitle()

# %%
plt.close("all")
