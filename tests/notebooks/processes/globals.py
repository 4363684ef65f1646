# %%
counter = 0
seen = []
def tick():
    global counter
    counter += 1
    seen.append(counter)
    return counter
# %% task
a = tick()
# %% task
b = tick(), counter
# %% task
class T:
    def go(self):
        global counter
        counter += 10
        return counter
t = T()
# %% task
c = t.go()
# %% task
d = tick(), list(seen)
# %%
del t
