# %%
import socket
# %%
left, right = socket.socketpair()
right.settimeout(1)
# %%
left.sendall(b"hello")
# %%
got = right.recv(10)
# %%
left.close()
right.close()
del left, right

# %%
from multiprocessing import Pipe
# %%
parent, child = Pipe()
# %%
parent.send({"n": 1})
# %%
got = child.recv() if child.poll(0.2) else None
# %%
parent.close()
child.close()
del parent, child

# %%
import random
from unittest.mock import patch
# %%
patcher = patch("random.randint", return_value=6)
# %%
m = patcher.start()
# %%
roll = random.randint(1, 5)
# %%
patcher.stop()
del patcher, m

# %%
import warnings
import numpy as np
# %%
warnings.simplefilter("error")
# %%
try:
    x = (np.array([1.0]) / 0).tolist()
    caught = None
except RuntimeWarning as e:
    caught = str(e)
# %%
warnings.resetwarnings()

# %%
from decimal import Decimal, getcontext
# %%
ctx = getcontext()
# %%
ctx.prec = 5
# %%
short = Decimal(1) / 3
# %%
ctx.prec = 28
# %%
long = Decimal(1) / 3
# %%
del ctx

# %%
import yaml
# %%
class Point:
    def __init__(self, x):
        self.x = x
# %%
yaml.add_representer(Point, lambda d, p: d.represent_mapping("!p", {"x": p.x}))
# %%
dumped = yaml.dump(Point(3))

# %%
import os
# %%
r, w = os.pipe()
os.set_blocking(r, False)
# %%
os.write(w, b"data")
# %%
piped = os.read(r, 10)
# %%
os.close(r)
os.close(w)
del r, w

# %%
import threading, queue
# %%
tasks = queue.Queue()
done = []
# %%
def worker():
    while True:
        item = tasks.get()
        if item is None:
            break
        done.append(item * 2)
        tasks.task_done()
# %%
t = threading.Thread(target=worker)
t.start()
# %%
for i in range(3):
    tasks.put(i)
# %%
tasks.join()
# %%
snapshot = list(done)
# %%
tasks.put(None)
t.join()
# %%
del tasks, t

# %%
import os
import numpy as np
# %%
path = "m_aud.dat"
# %%
mm = np.memmap(path, dtype="int32", mode="w+", shape=(4,))
# %%
mm[1] = 5
mm.flush()
# %%
back = np.fromfile(path, dtype="int32")
# %%
mm[2] = 6
# %%
back2 = np.fromfile(path, dtype="int32")
# %%
os.remove(path)
del mm

