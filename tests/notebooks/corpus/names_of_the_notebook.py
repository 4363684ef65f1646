# %%
alpha = 1
beta = 2
# %%
a = [n for n in dir() if n in ("alpha", "beta", "gamma")]
b = [n for n in globals() if n in ("alpha", "beta", "gamma")]
c = [n for n in locals() if n in ("alpha", "beta", "gamma")]
d = [n for n in vars() if n in ("alpha", "beta", "gamma")]
e = sorted(set(globals().keys()) & {"alpha", "beta", "gamma"})
f = {k: v for k, v in globals().items() if k in ("alpha", "beta", "gamma")}
g = len([k for k in dict(globals()) if k in ("alpha", "beta")])
# %%
gamma = 3
# %%
def look():
    return sorted(n for n in globals() if n in ("alpha", "beta", "gamma"))
# %%
h = look()
