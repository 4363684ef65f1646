# %%
def make_counter():
    n = 0
    items = []
    def bump(by=1):
        nonlocal n
        n += by
        items.append(n)
        return n
    def get():
        return n, list(items)
    return bump, get
# %% task
bump, get = make_counter()
# %% task
a = bump()
# %% task
b = get()
# %% task
bump(5)
c = get()
# %% task
d = get()
