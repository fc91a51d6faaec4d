"""Differentiable architecture search that leaves a small trained network behind."""

from darts_lite.architecture import ARCHITECTURES, Architecture
from darts_lite.augmentation import Augmentation
from darts_lite.bilevel import FirstOrder, SecondOrder
from darts_lite.cost_penalty import CostPenalty
from darts_lite.data import ImageData
from darts_lite.derivation import SkipLimit, Strongest, WithinBudget, derive
from darts_lite.discretisation import DiscretisationGap
from darts_lite.evaluators import FromScratch, SharedWeights, TableLookup
from darts_lite.explore import Exploration
from darts_lite.folding import Folded
from darts_lite.net import Net
from darts_lite.operations import OPERATIONS
from darts_lite.regularizers import BetaDecay, DirichletAnchor, ZeroOne
from darts_lite.relaxation import Concrete, Dirichlet, GumbelMax, Sigmoid, Softmax
from darts_lite.retraining import Retraining
from darts_lite.safeguards import EigenvalueMonitor, OperationFreezing
from darts_lite.sampling import Sampled
from darts_lite.search import ArchitectureSearch
from darts_lite.search_space import (
    SearchSpace,
    SkeletonSettings,
    darts_space,
    mnist_space,
    nasbench201_space,
)
from darts_lite.selection import Perturbation
from darts_lite.strategies import Evolution, LocalSearch, RandomSearch
from darts_lite.supernet import Literal, Supernet

__all__ = [
    "ARCHITECTURES",
    "OPERATIONS",
    "Architecture",
    "ArchitectureSearch",
    "Augmentation",
    "BetaDecay",
    "Concrete",
    "Dirichlet",
    "DiscretisationGap",
    "Evolution",
    "Exploration",
    "FromScratch",
    "LocalSearch",
    "RandomSearch",
    "SharedWeights",
    "TableLookup",
    "DirichletAnchor",
    "CostPenalty",
    "EigenvalueMonitor",
    "OperationFreezing",
    "Perturbation",
    "SkipLimit",
    "Strongest",
    "WithinBudget",
    "FirstOrder",
    "Folded",
    "GumbelMax",
    "ImageData",
    "Literal",
    "Net",
    "Retraining",
    "Sampled",
    "SearchSpace",
    "SecondOrder",
    "Sigmoid",
    "SkeletonSettings",
    "Softmax",
    "Supernet",
    "ZeroOne",
    "darts_space",
    "derive",
    "mnist_space",
    "nasbench201_space",
]
