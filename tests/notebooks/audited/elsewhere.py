# %%
def center(v):
    return v - offset
offset = 2
# %%
by_eval = eval("center(3)")
# %%
offset = 5
# %%
import sys
def shifted(v):
    return v - shift
shift = 2
# %%
by_hidden_eval = vars(sys.modules["builtins"])["eval"]("shifted(3)")
# %%
shift = 5
# %%
import sys
class Tee:
    def __enter__(self):
        self.lines, self.before, sys.stdout = [], sys.stdout, self
        return self
    def __exit__(self, *error):
        sys.stdout = self.before
    def write(self, text):
        self.lines.append(text)
        return len(text)
    def flush(self):
        self.before.flush()
# %%
with Tee() as tee:
    print("first", 2)
    print("second")
lines = list(tee.lines)
# %%
print("noise")
# %%
del tee
# %%
import click
import click.testing
@click.command()
def hello():
    click.echo("hi")
# %%
said = click.testing.CliRunner().invoke(hello, []).output
# %%
print("from another cell")
# %%
import logging
import os
import shutil
shutil.rmtree("sub", ignore_errors=True)
os.mkdir("sub")
home = os.getcwd()
# %%
os.chdir("sub")
# %%
os.chdir(home)
# %%
logging.basicConfig(filename="logged.log", force=True)
logging.warning("x")
logging.basicConfig(force=True)
# %%
where = os.path.exists("logged.log"), os.listdir("sub")
# %%
os.remove("logged.log")
del home
# %%
import concurrent.futures
import multiprocessing
# %%
SCALE = 2
def scaled(x):
    return x * SCALE
# %%
with multiprocessing.get_context("fork").Pool(2) as pool:
    doubled = pool.map(scaled, range(4))
# %%
with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
    doubled_too = list(pool.map(scaled, range(4)))
# %%
SCALE = 3
# %%
tripled = [scaled(x) for x in range(4)]
# %%
with multiprocessing.get_context("fork").Pool(2) as pool:
    tripled_too = pool.map(scaled, range(4))
# %%
del pool
# %%
import glob
import os
from sqlalchemy import create_engine, text
# %%
for name in ["none.db", *glob.glob("aud*.db")]:
    if os.path.exists(name):
        os.remove(name)
name = None
# %%
engine = create_engine("sqlite:///aud1.db")
with engine.begin() as connection:
    connection.execute(text("create table t(x)"))
engine.dispose()
# %%
found = glob.glob("aud*.db")
# %%
del engine, connection, name
# %%
import os
import shutil
# %%
def keep(name, value):
    folder = "kept"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/{name}", "w") as file:
        file.write(value)
# %%
shutil.rmtree("kept", ignore_errors=True)
# %%
keep("one", "1")
# %%
keep("two", "2")
# %%
kept = sorted(os.listdir("kept"))
# %%
shutil.rmtree("kept")
