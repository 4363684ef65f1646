# %%
data = [1, 2, 3, 4, 5, 6]
# %% task
it = iter(data)
also = it
it2 = iter([10, 20, 30])
holder = [it2]
# %% task
a = next(it)
z = next(it2)
# %% task
b = next(also), next(holder[0])
