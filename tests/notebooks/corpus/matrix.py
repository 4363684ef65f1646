# %%
import numpy as np
# %%
A = np.arange(9.0).reshape(3, 3)
row = A[0]
# %%
row[:] = 5
# %%
trace = A.trace()
# %%
A[1:, 1:] *= 2
B = A.copy()
# %%
B.sort(axis=1)
A_sum = A.sum()
# %%
np.fill_diagonal(A, 1)
inv = np.linalg.inv(A + np.eye(3)).round(6)
# %%
flat = A.ravel()
flat[0] = -1
# %%
corner = A[0, 0]
A = A.T
# %%
C = A @ B
mask = C > C.mean()
n = int(mask.sum())
# %%
it = np.nditer(A)
values = [float(v) for v in it]
