"""Differentiable architecture search that leaves a small trained network behind."""

from darts_lite.architecture import ARCHITECTURES, Architecture
from darts_lite.augmentation import Augmentation
from darts_lite.data import ImageData
from darts_lite.derivation import derive
from darts_lite.folding import Folded
from darts_lite.net import Net
from darts_lite.operations import OPERATIONS
from darts_lite.relaxation import BetaDecay, Softmax
from darts_lite.retraining import Retraining
from darts_lite.search import ArchitectureSearch
from darts_lite.search_space import SearchSpace, SkeletonSettings, darts_space, mnist_space
from darts_lite.supernet import Literal, Supernet

__all__ = [
    "ARCHITECTURES",
    "OPERATIONS",
    "Architecture",
    "ArchitectureSearch",
    "Augmentation",
    "BetaDecay",
    "Folded",
    "ImageData",
    "Literal",
    "Net",
    "Retraining",
    "SearchSpace",
    "SkeletonSettings",
    "Softmax",
    "Supernet",
    "darts_space",
    "derive",
    "mnist_space",
]
