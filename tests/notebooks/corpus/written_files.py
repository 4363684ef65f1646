# %% plain
import io
import sqlite3
from functools import partial
from pathlib import Path
# %%
path = Path("by_path.txt")
# %%
with path.open("w") as stream:
    stream.write("one")
# %%
one = path.read_text()
# %%
with path.open("a") as stream:
    stream.write("two")
# %%
one_two = path.open().read()
# %%
def tell(line, to=open("by_default.txt", "w")):
    to.write(line)
    to.flush()
# %%
tell("a")
# %%
a = open("by_default.txt").read()
# %%
tell("b")
# %%
a_b = open("by_default.txt").read()
# %%
def write(stream, text):
    print(text, file=stream, flush=True)
# %%
handle = open("by_argument.txt", "w")
# %%
write(handle, 1)
# %%
first = Path("by_argument.txt").read_text()
# %%
write(handle, 2)
# %%
both = Path("by_argument.txt").read_text()
# %%
say = partial(print, file=handle, flush=True)
# %%
say(3)
# %%
three = Path("by_argument.txt").read_text()
# %%
put = handle.write
# %%
put("4\n")
handle.flush()
# %%
four = Path("by_argument.txt").read_text()
# %%
class Log:
    stream = open("by_class.txt", "w")
    def __call__(self, text):
        self.stream.write(text)
        self.stream.flush()
log = Log()
# %%
log("x")
# %%
x = open("by_class.txt").read()
# %%
log("y")
# %%
x_y = open("by_class.txt").read()
# %%
with sqlite3.connect("people.db") as connection:
    connection.execute("create table if not exists person (name text)")
    connection.execute("delete from person")
# %%
with sqlite3.connect("people.db") as connection:
    connection.execute("insert into person values ('ann')")
# %%
names = sqlite3.connect("people.db").execute("select name from person").fetchall()
# %%
with sqlite3.connect("people.db") as connection:
    connection.execute("delete from person")
# %%
items = []
add = __import__("functools").partial(items.append, 1)
# %%
add()
# %%
n_one = len(items)
# %%
add()
# %%
n_two = len(items)
# %%
del path, stream, handle, say, put, log, connection, add
