# %%
registry = {}
log = []
def register(name):
    def wrap(f):
        registry[name] = f
        return f
    return wrap
# %% task
@register("double")
def double(x):
    log.append(("double", x))
    return 2 * x
# %% task
@register("inc")
def inc(x):
    log.append(("inc", x))
    return x + 1
# %% task
out = [registry[n](5) for n in ("double", "inc")]
same = registry["double"] is double
# %% task
names = sorted(registry)
count = len(log)
# %%
log2 = list(log)
del registry, double, inc
