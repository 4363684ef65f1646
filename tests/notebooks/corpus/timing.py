# %% plain
import math
import time
# %%
n = 1000
%time total = sum(math.sqrt(i) for i in range(n))
# %%
%%time
squares = [i * i for i in range(n)]
last = squares[-1]
# %%
n = 10
%timeit -n1 -r1 sum(squares[:n])
# %%
start = time.perf_counter()
small = sum(squares[:n])
took = time.perf_counter() - start
ok = took >= 0
del start, took
# %%
here = %pwd
same = isinstance(here, str)
del here
# %%
total = round(total, 3)
