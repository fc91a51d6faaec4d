from .cli.library import Run, fit
from .data.images.augmentation import Augmentation
from .data.images.datasets import LoadedImages, Source
from .data.images.image_data import ImageData
from .data.images.image_preparation import ImagePreparation
from .data.own.paired_data import PairedData
from .data.preparation import Preparation
from .data.signals.signal_changes import SignalAugmentation
from .data.signals.signal_data import SignalData
from .data.signals.signal_preparation import SignalPreparation
from .data.sounds.log_mel import LogMel
from .data.sounds.sound_augmentation import SoundAugmentation
from .data.sounds.sound_data import SoundData
from .data.sounds.sound_preparation import SoundPreparation
from .derivation.budget import WithinBudget
from .derivation.rules import SkipLimit, Strongest, derive
from .export.inference import Answer, load_answer
from .networks.cells.mixed import Literal
from .networks.cells.sampled import Sampled
from .networks.folded.executor import Folded
from .networks.net import Net
from .networks.supernet import Supernet
from .retraining.retraining import Retraining
from .search.architecture_search import ArchitectureSearch
from .search.bilevel import FirstOrder, SecondOrder
from .search.callbacks.budget_penalty import BudgetPenalty
from .search.callbacks.cost_penalty import CostPenalty
from .search.callbacks.discretisation_gap import DiscretisationGap
from .search.callbacks.eigenvalue_monitor import EigenvalueMonitor
from .search.callbacks.operation_freezing import OperationFreezing
from .search.callbacks.perturbation import Perturbation
from .search.exploration.evaluators import FromScratch, SharedWeights, TableLookup
from .search.exploration.exploration import Exploration
from .search.exploration.strategies import Evolution, LocalSearch, RandomSearch
from .search.playoff.play_off import PlayOff
from .search.regularizers import BetaDecay, DirichletAnchor, ZeroOne
from .search.relaxations import Concrete, Dirichlet, GumbelMax, Sigmoid, Softmax
from .space.cells.architecture import ARCHITECTURES, Architecture
from .space.cells.search_space import SearchSpace, darts_space, mnist_space, nasbench201_space
from .space.cells.skeleton_settings import SkeletonSettings
from .space.layers.chain import Block, Chain
from .space.layers.layer_space import LayerSpace
from .space.operations import OPERATIONS
from .space.own.choices import Choice, InputChoice, Repeat
from .space.own.chosen_network import ChosenNetwork
from .space.own.network_space import NetworkSpace
from .space.own.widths import Width
from .training.optimizers import darts_adam, darts_sgd
from .training.task import Task

__all__ = [
    "Run",
    "fit",
    "ARCHITECTURES",
    "OPERATIONS",
    "Answer",
    "load_answer",
    "Architecture",
    "ArchitectureSearch",
    "Augmentation",
    "Block",
    "Chain",
    "Choice",
    "ChosenNetwork",
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
    "Task",
    "DirichletAnchor",
    "BudgetPenalty",
    "CostPenalty",
    "EigenvalueMonitor",
    "OperationFreezing",
    "PairedData",
    "Perturbation",
    "PlayOff",
    "Preparation",
    "Repeat",
    "SkipLimit",
    "Strongest",
    "WithinBudget",
    "Width",
    "FirstOrder",
    "Folded",
    "GumbelMax",
    "ImageData",
    "ImagePreparation",
    "InputChoice",
    "LayerSpace",
    "Literal",
    "LogMel",
    "LoadedImages",
    "Net",
    "NetworkSpace",
    "Retraining",
    "Sampled",
    "SearchSpace",
    "SecondOrder",
    "Sigmoid",
    "SkeletonSettings",
    "Source",
    "Softmax",
    "SignalAugmentation",
    "SignalData",
    "SignalPreparation",
    "SoundAugmentation",
    "SoundData",
    "SoundPreparation",
    "Supernet",
    "ZeroOne",
    "darts_adam",
    "darts_sgd",
    "darts_space",
    "derive",
    "mnist_space",
    "nasbench201_space",
]
