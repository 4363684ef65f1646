# %%
import os
import numpy as np
# %%
samples = np.arange(10, dtype="int16")
# %%
samples.tofile("samples.bin")
# %%
again = np.fromfile("samples.bin", dtype="int16")
# %%
os.remove("samples.bin")
# %%
import wave, os
# %%
with wave.open("tone.wav", "wb") as w:
    w.setnchannels(1)
    w.setsampwidth(2)
    w.setframerate(8000)
    w.writeframes(bytes(20))
# %%
with wave.open("tone.wav", "rb") as w2:
    frames = w2.getnframes()
# %%
os.remove("tone.wav")
del w, w2
# %%
import os
import numpy as np
import scipy.io
# %%
path = "m.mat"
# %%
scipy.io.savemat(path, {"a": np.arange(3)})
# %%
m = scipy.io.loadmat(path)["a"]
# %%
os.remove(path)
# %%
from pathlib import Path
from PIL import Image
# %%
path = Path("red.png")
# %%
Image.new("RGB", (8, 6), "red").save(path)
# %%
size = Image.open(path).size
# %%
path.unlink()
# %%
import configparser
from pathlib import Path
# %%
path = Path("app_aud.ini")
# %%
path.write_text("[db]\nhost = localhost\n")
# %%
loaded = configparser.ConfigParser()
# %%
loaded.read(path)
# %%
host = loaded["db"]["host"]
# %%
path.unlink()
del loaded, path
# %%
from pathlib import Path
# %%
draft = Path("draft.txt")
draft.write_text("v2")
# %%
draft.replace("final.txt")
# %%
final = Path("final.txt").read_text()
# %%
Path("final.txt").unlink()
del draft
# %%
import filecmp
from pathlib import Path
# %%
a, b = Path("a_aud.txt"), Path("b_aud.txt")
# %%
a.write_text("one")
# %%
b.write_text("one")
# %%
same = filecmp.cmp(a, b, shallow=False)
# %%
b.write_text("two")
# %%
same2 = filecmp.cmp(a, b, shallow=False)
# %%
a.unlink()
b.unlink()
del a, b
# %%
import zipfile, os
from pathlib import Path
# %%
with zipfile.ZipFile("pack.zip", "w") as z:
    z.writestr("notes.txt", "hello")
# %%
with zipfile.ZipFile("pack.zip") as z:
    z.extract("notes.txt")
# %%
restored = open("notes.txt").read()
# %%
os.remove("notes.txt")
os.remove("pack.zip")
del z
# %%
import os
from pathlib import Path
# %%
start = os.getcwd()
os.makedirs("sub_aud", exist_ok=True)
# %%
os.chdir("sub_aud")
# %%
here = Path.cwd().name
# %%
full = os.path.basename(os.path.dirname(os.path.abspath("x.txt")))
# %%
resolved = Path("y.txt").resolve().parent.name
# %%
os.chdir(start)
os.rmdir("sub_aud")
del start
# %%
import os, subprocess
# %%
os.environ["GREETING"] = "hello"
# %%
said = subprocess.check_output("echo $GREETING", shell=True, text=True)
# %%
del os.environ["GREETING"]
# %%
import cProfile, pstats, os
# %%
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
# %%
cProfile.run("fib(5)", "fib.prof")
# %%
stats = pstats.Stats("fib.prof")
total = stats.total_calls > 10
# %%
os.remove("fib.prof")
del stats
