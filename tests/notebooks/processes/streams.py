# %%
import io, logging, contextlib
# %% task
buf = io.StringIO()
also = [buf]
handle = print
# %% task
buf.write("one")
# %% task
also[0].write("two")
# %% task
r = buf.getvalue(), also[0].tell()
# %%
del buf, also
