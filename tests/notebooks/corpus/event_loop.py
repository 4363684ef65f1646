# %% plain
import asyncio
# %%
log = []
async def work(n):
    await asyncio.sleep(0.02)
    log.append(n)
    return n * 2
# %%
begun = asyncio.create_task(work(3))
# %%
six = await begun
# %%
after_one = list(log)
# %%
await asyncio.sleep(0)
several = [asyncio.ensure_future(work(n)) for n in range(3)]
# %%
doubled = await asyncio.gather(*several)
# %%
queue = asyncio.Queue(maxsize=1)
got = []
async def consume():
    while (item := await queue.get()) is not None:
        got.append(item)
# %%
consumer = asyncio.create_task(consume())
# %%
for n in range(4):
    await queue.put(n)
await queue.put(None)
# %%
await consumer
# %%
total = sum(got)
# %%
lock, count = asyncio.Lock(), 0
async def add():
    global count
    async with lock:
        seen = count
        await asyncio.sleep(0.001)
        count = seen + 1
# %%
await asyncio.gather(*(add() for _ in range(4)))
# %%
await asyncio.gather(*(add() for _ in range(3)))
# %%
seven = count
# %%
loop = asyncio.get_running_loop()
# %%
answer = loop.run_in_executor(None, lambda: 42)
# %%
forty_two = await answer
# %%
class Client:
    def __init__(self):
        self.loop, self.calls = asyncio.get_running_loop(), 0
    async def get(self, n):
        later = self.loop.create_future()
        self.loop.call_later(0.001, later.set_result, n)
        self.calls += 1
        return await later
# %%
client = Client()
# %%
one = await client.get(1)
# %%
two, three = await asyncio.gather(client.get(2), client.get(3))
# %%
calls = client.calls
# %%
ready = asyncio.Event()
async def wait_until_ready(name):
    await ready.wait()
    log.append(name)
    return name
# %%
waiters = [asyncio.create_task(wait_until_ready(name)) for name in "ab"]
# %%
await asyncio.sleep(0.01)
before = log[:]
ready.set()
# %%
names = await asyncio.gather(*waiters)
# %%
at_the_end = list(log)
# %%
ticks = []
async def tick():
    while len(ticks) < 3:
        ticks.append(len(ticks))
        await asyncio.sleep(0)
async def start():
    asyncio.create_task(tick())
# %%
await start()
# %%
await asyncio.sleep(0.01)
# %%
ticked = tuple(ticks)
# %%
del begun, several, queue, consumer, lock, loop, answer, client, ready, waiters
