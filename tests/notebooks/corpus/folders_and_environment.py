# %% plain
import json
import os
import tempfile
from pathlib import Path
# %%
start = os.getcwd()
work = Path(tempfile.mkdtemp())
# %%
os.chdir(work)
# %%
with open("numbers.txt", "w") as f:
    f.write("1\n2\n3\n")
# %%
numbers = [int(line) for line in open("numbers.txt")]
# %%
with open("numbers.txt", "a") as f:
    f.write("10\n")
# %%
more = [int(line) for line in open("numbers.txt")]
# %%
os.environ["LEVEL"] = "1"
# %%
level = int(os.environ.get("LEVEL", 0))
# %%
def level_now():
    return os.environ["LEVEL"]
# %%
os.environ.update(LEVEL="2")
# %%
level_later = level_now()
# %%
Path("config.json").write_text(json.dumps({"a": 1}))
config = json.loads(Path("config.json").read_text())
# %%
config["b"] = 2
json.dump(config, open("config.json", "w"))
# %%
reloaded = json.load(open("config.json"))
# %%
listing = sorted(p.name for p in Path(".").glob("*.*"))
# %%
here = Path.cwd() == Path(work).resolve()
os.chdir(start)
# %%
back = os.getcwd() == start
# %%
os.environ.pop("LEVEL")
# %%
gone = "LEVEL" in os.environ
del work, start
