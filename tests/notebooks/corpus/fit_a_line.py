# %% plain
import numpy as np
import matplotlib.pyplot as plt
def loss(w, b):
    return float(np.mean((w * x + b - y) ** 2))
# %%
np.random.seed(3)
x = np.linspace(0, 1, 50)
y = 3 * x + 1 + np.random.normal(0, 0.1, 50)
# %%
noise = np.random.rand(3)
# %%
w, b = 0.0, 0.0
history = []
# %%
for step in range(100):
    error = w * x + b - y
    w -= 0.1 * 2 * np.mean(error * x)
    b -= 0.1 * 2 * np.mean(error)
    history.append(loss(w, b))
# %%
plt.plot(history)
plt.xlabel("step")
plt.show()
# %%
first, last = history[0], history[-1]
plt.scatter(x, y)
plt.plot(x, w * x + b);
# %%
x = x * 2
scaled = loss(w, b)
