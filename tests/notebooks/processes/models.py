# %%
import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import StandardScaler
from sklearn.pipeline import Pipeline
# %% task
X = np.arange(12.).reshape(6, 2)
y = X @ [1., 2.] + 3
scaler = StandardScaler()
model = LinearRegression()
pipe = Pipeline([("s", scaler), ("m", model)])
models = {"m": model}
# %% task
pipe.fit(X, y)
# %% task
coef = model.coef_.round(6).tolist()
mean = scaler.mean_.tolist()
same = models["m"] is model
# %% task
model.fit(X[:3], y[:3])
# %% task
p = pipe.predict(X[:1]).round(6).tolist()
# %%
del scaler, model, pipe, models
