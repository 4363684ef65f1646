"""Which functions and classes draw from a random state that all cells share."""

from __future__ import annotations

import re

from flowbook.cells.definitions import DRAWS_NUMBERS
from flowbook.cells.effects import CONSTRUCTS, NO_EFFECT, Effect

__all__ = ["of_drawing"]

_OWN_STATE = frozenset(
    "random.Random random.SystemRandom numpy.random.default_rng numpy.random.Generator numpy.random.RandomState "
    "numpy.random.SeedSequence numpy.random.PCG64 numpy.random.Philox numpy.random.MT19937 numpy.random.SFC64".split()
)
_OF_TORCH = frozenset(
    "rand randn randint randperm rand_like randn_like randint_like normal bernoulli multinomial poisson seed "
    "initial_seed get_rng_state set_rng_state".split()
)

_UNLESS_SEEDED = frozenset(
    "train_test_split ShuffleSplit StratifiedShuffleSplit RandomForestClassifier RandomForestRegressor "
    "ExtraTreesClassifier ExtraTreesRegressor KMeans MiniBatchKMeans MLPClassifier MLPRegressor SGDClassifier "
    "SGDRegressor DecisionTreeClassifier DecisionTreeRegressor GradientBoostingClassifier "
    "GradientBoostingRegressor RandomizedSearchCV TSNE GaussianMixture IsolationForest make_classification "
    "make_blobs make_regression make_moons make_circles resample rvs permutation_importance shuffle sample KFold "
    "StratifiedKFold RepeatedKFold RepeatedStratifiedKFold GroupShuffleSplit AdaBoostClassifier AdaBoostRegressor "
    "BaggingClassifier BaggingRegressor ExtraTreeClassifier ExtraTreeRegressor HistGradientBoostingClassifier "
    "HistGradientBoostingRegressor LinearSVC Perceptron PassiveAggressiveClassifier PassiveAggressiveRegressor "
    "RANSACRegressor BisectingKMeans FastICA FactorAnalysis LatentDirichletAllocation NMF TruncatedSVD "
    "SpectralClustering SpectralEmbedding MDS BayesianGaussianMixture QuantileTransformer RandomTreesEmbedding "
    "RBFSampler Nystroem GaussianRandomProjection SparseRandomProjection BernoulliRBM DummyClassifier "
    "AffinityPropagation DictionaryLearning ElasticNet ElasticNetCV EllipticEnvelope HalvingGridSearchCV "
    "HalvingRandomSearchCV IterativeImputer KBinsDiscretizer KernelPCA Lasso LassoCV LinearSVR MinCovDet "
    "MiniBatchDictionaryLearning MiniBatchNMF MiniBatchSparsePCA MultiTaskElasticNet MultiTaskElasticNetCV "
    "MultiTaskLasso MultiTaskLassoCV NeighborhoodComponentsAnalysis NuSVC NuSVR OneClassSVM OutputCodeClassifier "
    "PCA ParameterSampler PatchExtractor PolynomialCountSketch SGDOneClassSVM SVC SVR SkewedChi2Sampler SparsePCA "
    "SpectralBiclustering SpectralCoclustering StratifiedGroupKFold TargetEncoder TheilSenRegressor "
    "affinity_propagation dict_learning dict_learning_online extract_patches_2d fast_mcd fastica k_means "
    "kmeans_plusplus non_negative_factorization randomized_range_finder randomized_svd sample_without_replacement "
    "smacof spectral_clustering spectral_embedding".split()
)
"""scikit-learn's and pandas' names that draw from NumPy's global state when no ``random_state`` is given."""

_RANDOM_GRAPH = re.compile(
    r"random|erdos|gn[mp]_|barabasi|watts|powerlaw|spring_layout|shuffle|swap|louvain|asyn_lpa|stochastic|geometric"
    r"|configuration_model|waxman|maximal_independent_set|planted|partition_graph"
)
"""In the names of functions of networkx that draw from the global states unless they are given a ``seed``."""

_DRAWS = re.compile(
    r"sklearn\.(?:datasets\.make_|feature_selection\.mutual_info_|utils\.shuffle)"
    r"|scipy\.(?:stats\.(?:bootstrap|permutation_test|monte_carlo_test)|cluster\.vq\.kmeans|optimize\.(?:basinhopping|differential_evolution|dual_annealing))"
)
"""The same of functions that draw from NumPy's."""

_IF_SHUFFLED = frozenset({"KFold", "StratifiedKFold", "StratifiedGroupKFold"})


def of_drawing(path: str, keywords: frozenset[str]) -> Effect | None:
    """What calling this does to a shared random state; None if it is not known to draw from one.

    ``keywords`` as for `known_functions.of_function`.
    """
    root, _, name = path.rpartition(".")
    if path in _OWN_STATE:
        return NO_EFFECT
    if root == "torch" and name in _OF_TORCH:
        return Effect(changes=("torch.random",))
    if path.startswith("networkx.") and _RANDOM_GRAPH.search(name) and "seed" not in keywords:
        return Effect(changes=("random", "numpy.random"))
    if _DRAWS.match(path) and not keywords & {"random_state", "rng", "seed"}:
        return Effect(changes=("numpy.random",))
    if name not in _UNLESS_SEEDED or path.startswith(("random.", "numpy.random.")):
        return None
    is_class = name[:1].isupper()
    if "random_state" in keywords or (name in _IF_SHUFFLED and "shuffle" not in keywords):
        return CONSTRUCTS if is_class else NO_EFFECT
    carries = (DRAWS_NUMBERS,) if is_class else ()
    return Effect(changes=("numpy.random",), holds_arguments=is_class, carries=carries)
