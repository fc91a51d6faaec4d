from .answer import Answer, load_answer
from .architecture import ARCHITECTURES, Architecture
from .augmentation import Augmentation
from .bilevel import FirstOrder, SecondOrder
from .cost_penalty import CostPenalty
from .data import ImageData
from .datasets import LoadedImages, Source
from .derivation import SkipLimit, Strongest, WithinBudget, derive
from .discretisation import DiscretisationGap
from .evaluators import FromScratch, SharedWeights, TableLookup
from .explore import Exploration
from .folding import Folded
from .net import Net
from .operations import OPERATIONS
from .regularizers import BetaDecay, DirichletAnchor, ZeroOne
from .relaxation import Concrete, Dirichlet, GumbelMax, Sigmoid, Softmax
from .retraining import Retraining
from .safeguards import EigenvalueMonitor, OperationFreezing
from .sampling import Sampled
from .search import ArchitectureSearch
from .search_space import (
    SearchSpace,
    SkeletonSettings,
    darts_space,
    mnist_space,
    nasbench201_space,
)
from .selection import Perturbation
from .strategies import Evolution, LocalSearch, RandomSearch
from .supernet import Literal, Supernet

__all__ = [
    "ARCHITECTURES",
    "OPERATIONS",
    "Answer",
    "load_answer",
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
    "LoadedImages",
    "Net",
    "Retraining",
    "Sampled",
    "SearchSpace",
    "SecondOrder",
    "Sigmoid",
    "SkeletonSettings",
    "Source",
    "Softmax",
    "Supernet",
    "ZeroOne",
    "darts_space",
    "derive",
    "mnist_space",
    "nasbench201_space",
]
