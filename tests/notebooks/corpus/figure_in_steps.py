# %% plain
import matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
# %%
plt.ioff()
x = np.linspace(0, 1, 5)
# %%
fig, axes = plt.subplots(1, 2)
left, right = axes
# %%
left.plot(x, x ** 2, label="square")
# %%
n_lines_then = len(left.lines)
# %%
left.plot(x, x ** 3, label="cube")
left.legend()
# %%
labels = [text.get_text() for text in left.get_legend().get_texts()]
# %%
def decorate(ax, title):
    ax.set_title(title)
    ax.axhline(0.5)
# %%
decorate(right, "limit")
# %%
titles = [ax.get_title() for ax in axes]
n_lines = [len(ax.lines) for ax in axes]
# %%
plt.figure()
# %%
plt.plot([1, 2, 3])
# %%
plt.title("second")
# %%
plt.xlim(0, 5)
current = plt.gca().get_title(), plt.gca().get_xlim()
# %%
numbers = plt.get_fignums()
fig.suptitle("both")
# %%
limits = plt.xlim()
plt.close("all")
# %%
open_figures = plt.get_fignums()
title = fig._suptitle.get_text()
# %%
with plt.style.context("ggplot"):
    inside = plt.rcParams["axes.grid"]
plt.rcParams["lines.linewidth"] = 3
# %%
width = plt.rcParams["lines.linewidth"]
plt.rcdefaults()
del fig, axes, left, right
