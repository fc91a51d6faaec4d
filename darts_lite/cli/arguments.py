"""The verbs of the command line: what each does, what it takes, and which module does it."""

import argparse
from collections.abc import Callable

from darts_lite.storage.user_modules import FLAG, names_in

TRAINING = {
    "fit": "search, derive, retrain, test and report, as a configuration says",
    "test": "the accuracy of a retrained net on its test set",
    "validate": "a search's supernet and its derived net, or a retrained net, on held-out images",
}
"""Verbs with arguments of their own, and what they do."""


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def _imports(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        FLAG,
        dest="imports",
        metavar="[MODULE, ...]",
        type=names_in,
        default=(),
        help="modules of your own whose classes the checkpoint names",
    )


def _derive(parser: argparse.ArgumentParser) -> None:
    _imports(parser)
    parser.add_argument("checkpoint", nargs="?", help="a search's .ckpt file, of any epoch")
    parser.add_argument(
        "--rule",
        help="what keeps edges and candidates, as in a configuration: Strongest, SkipLimit, "
        "'{class_path: WithinBudget, init_args: {multiply_adds: 1000000}}'; the search's own when "
        "not given",
    )
    parser.add_argument("--parameters", type=_count, help="short for a WithinBudget of parameters")
    parser.add_argument("--output", help="architecture file to write; else it is printed")
    parser.add_argument(
        "--compare",
        nargs=2,
        metavar=("A", "B"),
        help="say how two architectures differ: names, files or checkpoints",
    )
    parser.add_argument("--picture", help="with --compare: .png or .svg file to draw both in")


def _compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", help="folders of runs, or folders that hold some")
    parser.add_argument("--architectures", action="store_true", help="show what was found")
    parser.add_argument("--json", action="store_true", help="print the whole summaries")
    parser.add_argument(
        "--tensorboard", metavar="FOLDER", help="write them for TensorBoard's page HPARAMS"
    )


def _plot(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", help="folder of a run; several are drawn by their cost")
    parser.add_argument(
        "--what",
        nargs="+",
        choices=("cells", "alphas", "animation", "curves", "cost"),
        help="pictures to draw; all that the run has files for, when not given",
    )
    parser.add_argument("--format", choices=("png", "svg"), default="png")
    parser.add_argument("--output", metavar="FOLDER", help="where to; else into the run's folder")


def _plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", help="file or preset; all arguments of fit may follow")


def _predict(parser: argparse.ArgumentParser) -> None:
    _imports(parser)
    parser.add_argument("--ckpt_path", required=True, help="a run's net.ckpt")
    parser.add_argument(
        "--images",
        nargs="+",
        metavar="PATH",
        help="image files and folders of them, of any size and mode; without it the test set that "
        "the net belongs to is predicted, and settings of the groups data and trainer may follow",
    )
    parser.add_argument(
        "--json", action="store_true", help="with --images: print all probabilities, as JSON"
    )


def _export(parser: argparse.ArgumentParser) -> None:
    _imports(parser)
    parser.add_argument("checkpoint", help="a run's net.ckpt")
    parser.add_argument(
        "--to",
        nargs="+",
        choices=("pt2", "safetensors", "python", "onnx", "litert"),
        help="kinds of files; python is one file of plain torch code with the weights in it; onnx "
        "and litert need the extras onnx and tensorflow; the first three when not given",
    )
    parser.add_argument("--output", metavar="FOLDER", help="where to; else beside the checkpoint")
    parser.add_argument(
        "--images",
        type=_count,
        default=1000,
        help="test images to compare each file with the net on",
    )
    parser.add_argument(
        "--data.root", dest="root", metavar="FOLDER", help="where those are, if not where they were"
    )
    parser.add_argument(
        "--data.dataset", dest="dataset", help="the folder of your own images, where it has moved"
    )


def _completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"))


OWN: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None], str]] = {
    "derive": (
        "an architecture file from a search's checkpoint, or how two architectures differ",
        _derive,
        "derive",
    ),
    "plan": (
        "what fit will take on this machine with the same arguments: time and memory, measured",
        _plan,
        "plan",
    ),
    "predict": ("class and probability of images", _predict, "predict"),
    "plot": (
        "cells, history and curves of a run, or the accuracy and cost of several",
        _plot,
        "plot",
    ),
    "export": (
        "a retrained net for other programs, each file compared with it",
        _export,
        "export",
    ),
    "compare": ("runs side by side: accuracy, cost, time, architecture", _compare, "compare"),
    "completion": ("a script by which a shell completes these commands", _completion, "completion"),
}
"""Verbs that are parsed here: what they do, their arguments, and the module whose `run` does it."""

PASSED_ON = {"plan": "plan", "predict": "lightning_cli"}
"""Of these, those that may have a configuration, and the module whose `main` reads it then."""
