# %%
import numpy as np
from sklearn.datasets import make_blobs
from sklearn.model_selection import train_test_split
# %%
rs = np.random.RandomState(42)
# %%
X, y = make_blobs(n_samples=4, centers=2, random_state=rs)
# %%
train, test = train_test_split(list(range(10)), random_state=rs)
# %%
del rs
# %%
import numpy as np
import pandas as pd
# %%
rng = np.random.default_rng(42)
df = pd.DataFrame({"a": range(10)})
# %%
part = df.sample(3, random_state=rng)
# %%
other = df.sample(3, random_state=rng)
# %%
del rng
# %%
import numpy as np
# %%
rng = np.random.default_rng(7)
# %%
lifetimes = rng.weibull(1.5, 4)
# %%
noise = rng.laplace(0, 1, 3)
# %%
del rng
# %%
import random
# %%
r = random.Random(3)
# %%
income = r.lognormvariate(10, 1)
# %%
height = r.normalvariate(170, 10)
# %%
del r
# %%
import random
import networkx as nx
# %%
random.seed(1)
# %%
G = nx.gnp_random_graph(8, 0.4)
# %%
coin = random.random()
# %%
import numpy as np
from sklearn.datasets import make_friedman1, make_swiss_roll
# %%
np.random.seed(1)
# %%
X, y = make_friedman1(n_samples=5)
# %%
S, t = make_swiss_roll(5)
# %%
last = np.random.rand()
# %%
import numpy as np
from scipy import stats
# %%
np.random.seed(1)
# %%
res = stats.bootstrap((np.arange(10.0),), np.mean, n_resamples=50, method="percentile")
low = float(res.confidence_interval.low)
# %%
last = np.random.rand()
# %%
del res
# %%
import random
import networkx as nx
# %%
r = random.Random(5)
# %%
A = nx.gnp_random_graph(6, 0.5, seed=r)
# %%
B = nx.gnp_random_graph(6, 0.5, seed=r)
# %%
del r
