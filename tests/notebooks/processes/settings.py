# %%
import os, decimal, logging
import pandas as pd
# %% task
os.environ["FB_X"] = "1"
pd.set_option("display.max_rows", 7)
logging.getLogger("mine").setLevel(logging.ERROR)
decimal.getcontext().prec = 5
# %% task
x = os.environ["FB_X"]
m = pd.get_option("display.max_rows")
l = logging.getLogger("mine").level
p = str(decimal.Decimal(1) / 3)
# %%
y = os.environ.get("FB_X")
