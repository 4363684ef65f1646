# %%
%%writefile corpus_setup.py
factor = 4
def scale(x):
    return x * factor
names = ["a"]
# %%
%run corpus_setup.py
# %%
scaled = scale(2)
# %%
factor = 5
# %%
rescaled = scale(2), factor
# %%
names.append("b")
# %%
%%writefile corpus_module.py
def version():
    return 1
START = 10
# %%
from corpus_module import *
# %%
v = version() + START
# %%
from math import *
r = floor(sqrt(17))
# %%
%time heavy = sum(range(100))
# %%
%%time
heavy = heavy + r
light = heavy - v
# %%
text = "one two"
words = !echo {text}
first_line = words[0]
# %%
n_bytes = !printf %s $text | wc -c
n_bytes = int(n_bytes[0])
# %%
text = "three"
said = !echo $text
said = said[0]
# %%
result = eval("factor * 2")
# %%
exec("made_by_exec = result + 1")
# %%
factor = 0
copied = made_by_exec
# %%
count = len(names)
del words
