# %% plain
import decimal
import sys
import warnings
from decimal import Decimal, getcontext

import numpy as np

getcontext().prec = 28
np.seterr(divide="warn")
ones = np.array([1.0])

# %%
exact = Decimal(1) / Decimal(7)

# %%
getcontext().prec = 5

# %%
rounded = Decimal(1) / Decimal(7)

# %%
decimal.getcontext().prec = 3

# %%
rough = Decimal(1) / Decimal(7)

# %%
np.seterr(divide="raise")

# %%
try:
    ones / 0
    divided = "infinite"
except FloatingPointError:
    divided = "refused"

# %%
np.seterr(divide="ignore")

# %%
infinite = float((ones / 0)[0])

# %%
with warnings.catch_warnings():
    warnings.simplefilter("error")
    try:
        warnings.warn("odd", stacklevel=1)
        heard = False
    except UserWarning:
        heard = True

# %%
sys.setrecursionlimit(2345)

# %%
limit = sys.getrecursionlimit()

# %%
sys.setrecursionlimit(3000)
getcontext().prec = 28
np.seterr(divide="warn")
