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
del forest, search, other
