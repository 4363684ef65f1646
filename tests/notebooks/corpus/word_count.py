# %% plain
import collections
import re
# %%
text = """It was the best of times, it was the worst of times,
it was the age of wisdom, it was the age of foolishness"""
# %%
words = re.findall(r"\w+", text.lower())
# %%
counts = collections.Counter(words)
# %%
stop = {"it", "was", "the", "of"}
for w in stop:
    counts.pop(w, None)
# %%
common = counts.most_common(3)
# %%
words = sorted(set(words) - stop)
longest = max(words, key=len)
# %%
del w
pairs = [(a, b) for a, b in zip(words, words[1:]) if a[0] == b[0]]
