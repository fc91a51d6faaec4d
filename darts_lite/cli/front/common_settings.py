"""The settings that are changed most, as the help shows them; a test holds them to the parser."""

from collections.abc import Mapping
from typing import NamedTuple

OF_THE_NET = "(the net's)"
"""In place of a default that the checkpoint has."""


class Setting(NamedTuple):
    """A setting on the command line.

    Attributes:
        name: With its group and two dashes.
        default: Its value in YAML if it is not given, or `OF_THE_NET`.
        about: What it is, in a few words.
    """

    name: str
    default: str
    about: str


class Section(NamedTuple):
    """Settings that are shown together.

    Attributes:
        title: Names their group.
        preset: Configuration of which the defaults are; empty for those of the parser.
        settings: The settings.
    """

    title: str
    preset: str
    settings: tuple[Setting, ...]


FIT = (
    Section(
        "model: the search, here of chains of layers",
        "mnist",
        (
            Setting("--model.by_hand", "24", "nets made by hand among the first that are trained"),
            Setting("--model.finalists", "4", "nets that are trained for longer at last"),
        ),
    ),
    Section(
        "model: the search, here of cells by gradients, with --config mnist_cells",
        "mnist_cells",
        (
            Setting("--model.relaxation", "null", "mixes candidates: GumbelMax; null: Softmax"),
            Setting("--model.warmup_epochs", "1.0", "epochs that train the weights alone at first"),
        ),
    ),
    Section(
        "retraining: of the found net, which is tested then; --retraining null leaves it out",
        "mnist",
        (
            Setting("--retraining.max_epochs", "24", "epochs of the training of the found net"),
            Setting("--retraining.test_shifts", "0", "1 answers by the mean over nine shifts"),
        ),
    ),
    Section(
        "data: the images",
        "mnist",
        (
            Setting("--data.dataset", "MNIST", "FashionMNIST, CIFAR10, ..., or a folder of images"),
            Setting("--data.root", "null", "folder of the files; null: $DARTS_LITE_DATA, or data"),
            Setting("--data.train_images", "null", "training images to use; null: all"),
            Setting("--data.search_batches_per_epoch", "360", "steps of an epoch of the search"),
            Setting("--data.batch_size", "128", "images in a step of the retraining"),
        ),
    ),
    Section(
        "budget: limits that the found net keeps; a limit of null is none",
        "mnist",
        (
            Setting("--budget.parameters", "10000", "parameters"),
            Setting("--budget.multiply_adds", "600000", "multiply-adds for an image"),
            Setting("--budget.memory", "8kB", "bytes of int8 activations at once; not of cells"),
        ),
    ),
    Section(
        "run: where it writes, when it ends, how it is checked",
        "mnist",
        (
            Setting("--run.name", "mnist", "it writes to <folder>/<name>/version_<n>"),
            Setting("--run.folder", "logs", "folder of all runs"),
            Setting("--run.resume", "null", "auto goes on with the run that was cut off"),
            Setting("--run.max_minutes", "null", "time after which the search ends"),
            Setting("--run.seeds", "1", "searches that agree on what is retrained"),
            Setting("--run.control", "null", "random trains rivals too, and compares"),
        ),
    ),
    Section(
        "trainer: Lightning's Trainer; and the seed",
        "mnist",
        (
            Setting("--trainer.max_epochs", "1", "epochs of the search"),
            Setting("--trainer.accelerator", "auto", "cpu, gpu or auto, which prefers a GPU"),
            Setting("--trainer.devices", "1", "GPUs, or processes on a CPU"),
            Setting("--seed_everything", "0", "seed of the run"),
        ),
    ),
)
"""Those of `fit`, and of `plan`, which takes the same."""

EVALUATING = (
    Section(
        "data: the images",
        "",
        (
            Setting("--data.dataset", OF_THE_NET, "other data, or the new place of a folder"),
            Setting("--data.root", OF_THE_NET, "folder of the files, if it has moved"),
            Setting("--data.evaluation_batch_size", OF_THE_NET, "images at once"),
        ),
    ),
    Section(
        "run: what it needs",
        "",
        (Setting("--run.imports", "[]", "modules of yours that the checkpoint names"),),
    ),
    Section(
        "trainer: Lightning's Trainer",
        "",
        (
            Setting("--trainer.accelerator", "auto", "cpu, gpu or auto, which prefers a GPU"),
            Setting("--trainer.devices", "1", "GPUs, or processes on a CPU"),
        ),
    ),
)
"""Those of `test` and `validate`."""

SECTIONS: Mapping[str, tuple[Section, ...]] = {
    "fit": FIT,
    "plan": FIT,
    "test": EVALUATING,
    "validate": EVALUATING,
}
"""Verbs whose help is made of these."""
