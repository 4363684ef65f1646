# %%
data = [3, 1, 2]
scratch = sorted(data)
# %%
largest = scratch[-1]
# %%
del scratch
# %%
try:
    scratch
except NameError:
    scratch = "gone"
# %%
def risky(n):
    if n < 0:
        raise ValueError("negative")
    return n ** 0.5
# %%
outcomes = []
for n in (4, -1, 9):
    try:
        outcomes.append(risky(n))
    except ValueError as error:
        outcomes.append(str(error))
    else:
        last_good = n
    finally:
        data.append(n)
# %%
sum_of_data = sum(data)
# %%
del data[0], data[-1]
# %%
middle = list(data)
# %%
try:
    import surely_not_installed as backend
except ImportError:
    backend = None
# %%
mode = "slow" if backend is None else "fast"
# %%
cache = {}
cache["a"] = outcomes
# %%
cache["a"].append("late")
del cache["a"]
# %%
n_outcomes = len(outcomes)
# %%
while data:
    popped = data.pop()
# %%
is_empty = not data
for n in range(10):
    if n * n > 20:
        break
else:
    n = -1
# %%
match {"kind": mode, "size": n}:
    case {"kind": "slow", "size": size} if size > 3:
        matched = size
    case _:
        matched = None
# %%
del n, size
