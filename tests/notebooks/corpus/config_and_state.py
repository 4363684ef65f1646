# %%
import os
os.environ["NOTEBOOK_MODE"] = "fast"
# %%
config = {"depth": 2, "names": ["a"]}
defaults = config
# %%
config["depth"] += 1
# %%
depth_then = config["depth"]
# %%
defaults["names"].append("b")
alias = config["names"]
# %%
alias += ["c"]
# %%
names = tuple(config["names"])
mode = os.environ["NOTEBOOK_MODE"]
# %%
os.environ["NOTEBOOK_MODE"] = "slow"
# %%
mode_after = os.getenv("NOTEBOOK_MODE")
counter = 0
def bump(by=1):
    global counter
    counter += by
    return counter
# %%
one = bump()
# %%
three = bump(2)
# %%
final = counter
if final > 2:
    verdict = "many"
else:
    verdict = "few"
# %%
try:
    value = config["nope"]
except KeyError as error:
    value = str(error)
