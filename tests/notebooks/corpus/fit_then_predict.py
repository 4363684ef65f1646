# %% plain
import numpy as np
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
# %%
np.random.seed(3)
# %%
X, y = make_classification(n_samples=80, n_features=5)
# %%
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25)
# %%
scaler = StandardScaler()
scaler.fit(X_train)
# %%
X_train = scaler.transform(X_train)
X_test = scaler.transform(X_test)
# %%
model = LogisticRegression(C=0.5)
# %%
is_fitted = hasattr(model, "coef_")
# %%
model.fit(X_train, y_train)
# %%
predicted = model.predict(X_test)
accuracy = accuracy_score(y_test, predicted)
# %%
models = {"weak": LogisticRegression(C=0.001), "sgd": SGDClassifier(random_state=0)}
# %%
for name, candidate in models.items():
    candidate.fit(X_train, y_train)
# %%
scores = {name: candidate.score(X_test, y_test) for name, candidate in models.items()}
# %%
pipe = make_pipeline(StandardScaler(), LogisticRegression())
def evaluate(estimator):
    estimator.fit(X, y)
    return round(estimator.score(X, y), 4)
# %%
whole = evaluate(pipe)
# %%
coefficients = pipe[-1].coef_.round(6)
# %%
model.set_params(C=10)
model.fit(X_train[:, :2], y_train)
# %%
n_features = model.n_features_in_
shuffled = np.random.permutation(5)
