# %% plain
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
# %%
results, lock = {}, threading.Lock()
def work(n):
    with lock:
        results[n] = n * n
# %%
threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
# %%
for thread in threads:
    thread.start()
# %%
for thread in threads:
    thread.join()
# %%
five = sum(results.values())
# %%
pool = ThreadPoolExecutor(2)
# %%
futures = {pool.submit(work, n): n for n in (10, 11)}
# %%
done = sorted(futures[each] for each in as_completed(futures))
# %%
more = sum(results.values())
# %%
seen = []
appended = [pool.submit(seen.append, n) for n in range(3)]
# %%
nothing = [each.result() for each in appended]
# %%
three = len(seen)
# %%
pool.shutdown()
# %%
del lock, threads, thread, pool, futures, appended
