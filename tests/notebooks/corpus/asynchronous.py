# %% plain
import asyncio
# %%
async def serve(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()
# %%
server = await asyncio.start_server(serve, "127.0.0.1", 0)
port = server.sockets[0].getsockname()[1]
# %%
reader, writer = await asyncio.open_connection("127.0.0.1", port)
# %%
writer.write(b"hello\n")
await writer.drain()
# %%
one = await reader.readline()
# %%
writer.write(b"bye\n")
two = await reader.readline()
# %%
writer.close()
await writer.wait_closed()
server.close()
# %%
both = one + two
del server, reader, writer, port
# %%
from contextlib import asynccontextmanager, AsyncExitStack
stages = []
@asynccontextmanager
async def resource(name):
    stages.append("open " + name)
    await asyncio.sleep(0)
    try:
        yield name
    finally:
        stages.append("close " + name)
# %%
stack = AsyncExitStack()
a = await stack.enter_async_context(resource("a"))
# %%
b = await stack.enter_async_context(resource("b"))
# %%
used = a + b
stages.append(used)
# %%
await stack.aclose()
# %%
history = list(stages)
del stack
# %%
events = []
# %%
def on_done(task):
    events.append(task.result())
async def f(x):
    await asyncio.sleep(0)
    return x
# %%
t = asyncio.create_task(f(5))
t.add_done_callback(on_done)
# %%
await t
# %%
n = len(events)
# %%
q = asyncio.Queue()
async def producer():
    for i in range(3):
        await q.put(i)
        await asyncio.sleep(0)
    await q.put(None)
async def consumer():
    out = []
    while (x := await q.get()) is not None:
        out.append(x)
    return out
# %%
_, out = await asyncio.gather(producer(), consumer())
# %%
size = q.qsize()
del t, q
# %%
class Poller:
    def __init__(self):
        self.n = 0
        self.task = None
    def start(self):
        self.task = asyncio.create_task(self._run())
    async def _run(self):
        while True:
            self.n += 1
            await asyncio.sleep(0.001)
    async def stop(self):
        self.task.cancel()
        try:
            await self.task
        except asyncio.CancelledError:
            pass
# %%
p = Poller()
# %%
p.start()
# %%
await asyncio.sleep(0.05)
# %%
enough = p.n > 3
# %%
await p.stop()
# %%
n1 = p.n
await asyncio.sleep(0.01)
same = p.n == n1
del p, n1
