# %% plain
import numpy as np
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
# %%
np.random.seed(0)
X = np.random.rand(60, 3)
y = (X[:, 0] > 0.5).astype(int)
# %%
forest = RandomForestClassifier(n_estimators=3)
# %%
forest.fit(X, y)
# %%
importances = forest.feature_importances_
# %%
scores = cross_val_score(forest, X, y, cv=KFold(3, shuffle=True))
# %%
search = GridSearchCV(RandomForestClassifier(n_estimators=3), {"max_depth": [1, 2]}, cv=3)
# %%
search.fit(X, y);
# %%
best = search.best_score_
# %%
other = clone(forest)
# %%
other.fit(X, y)
# %%
others = other.feature_importances_
# %%
drawn = np.random.rand()
# %%
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
pipe = make_pipeline(StandardScaler(), SGDClassifier())
# %%
pipe.fit(X, y);
# %%
steps = pipe.predict(X)
# %%
drawn_again = np.random.rand()
# %%
from sklearn import set_config
set_config(transform_output="pandas")
# %%
as_table = type(StandardScaler().set_output().fit(X).transform(X)).__name__
# %%
set_config(transform_output="default")
# %%
as_array = type(StandardScaler().set_output().fit(X).transform(X)).__name__
# %%
del pipe
# %%
del forest, search, other
