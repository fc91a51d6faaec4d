"""The verbs of the command line: their help texts and arguments."""

import argparse
import os
from collections.abc import Callable, Mapping, Sequence

from darts_lite.storage.paths import expand
from darts_lite.storage.user_modules import FLAG, names_in

TRAINING = {
    "fit": "search, derive, retrain, test and report, as a configuration says",
    "test": "the accuracy of a retrained net on its test set",
    "validate": "a search's supernet and its derived net, or a retrained net, on held-out images",
}
"""Verbs whose arguments the LightningCLI parses, with their help texts."""

SWEEP = "--sweep"
"""Argument of `fit` that takes names of overlays, each of which is run with every seed."""
ABOUT_SWEEP = (
    f"{SWEEP} gdas,drnas runs each overlay with each of --run.seeds seeds, and compares them"
)


MOST_SHIFTS = 64
"""Largest shift in pixels that an export takes."""


def _parse_count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def _up_to(most: int) -> Callable[[str], float]:
    """Returns what parses a number of 0 to `most`."""

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not 0 <= number <= most:
            raise argparse.ArgumentTypeError(f"must be a number of 0 to {most}, got {text!r}")
        return number

    return parse


def _parse_shifts(text: str) -> int:
    if not (text.isdecimal() and int(text) <= MOST_SHIFTS):
        raise argparse.ArgumentTypeError(f"must be a whole number of 0 to {MOST_SHIFTS}")
    return int(text)


def _expand_path(text: str) -> str:
    try:
        return expand(text, "path")
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _parse_picture(text: str) -> str:
    path = _expand_path(text)
    if not path.lower().endswith((".png", ".svg")):
        raise argparse.ArgumentTypeError(f"must be a .png or .svg file, got {path!r}")
    return path


def _add_imports(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        FLAG,
        dest="imports",
        metavar="[MODULE, ...]",
        type=names_in,
        default=(),
        help="custom modules whose classes the checkpoint names",
    )


def _add_derive(parser: argparse.ArgumentParser) -> None:
    _add_imports(parser)
    parser.add_argument(
        "checkpoint", nargs="?", type=_expand_path, help="a search's .ckpt file, of any epoch"
    )
    parser.add_argument(
        "--rule",
        help="rule that chooses edges and candidates, as in a configuration: Strongest, "
        "SkipLimit, '{class_path: WithinBudget, init_args: {multiply_adds: 1000000}}'; by default "
        "that of the search",
    )
    parser.add_argument("--parameters", type=_parse_count, help="short for a budget of parameters")
    parser.add_argument(
        "--output",
        type=_expand_path,
        help="architecture file to write; by default it is printed",
    )
    parser.add_argument(
        "--compare",
        nargs=2,
        type=_expand_path,
        metavar=("A", "B"),
        help="tell how two architectures differ: names, files or checkpoints",
    )
    parser.add_argument(
        "--picture",
        type=_parse_picture,
        help="with --compare: .png or .svg file to draw both in",
    )


def _check_derive(options: argparse.Namespace) -> None:
    """Raises ValueError unless there is something to derive from, or two to compare."""
    if options.compare:
        others = ("checkpoint", "rule", "parameters", "output")
        if given := [name for name in others if getattr(options, name) is not None]:
            raise ValueError(f"--compare takes no {given[0]}; leave it out, or derive first")
    elif options.picture is not None:
        raise ValueError("--picture draws what --compare A B compares; give both")
    elif options.checkpoint is None:
        raise ValueError("derive needs the .ckpt file of a search, or --compare A B")
    if options.rule is not None and options.parameters is not None:
        raise ValueError("give either --rule or --parameters, which is short for a WithinBudget")
    for path in filter(None, [options.checkpoint, *(options.compare or ())]):
        is_file = path == options.checkpoint or path.endswith((".ckpt", ".json"))
        if is_file and not os.path.lexists(path):
            wanted = "an architecture.json" if path.endswith(".json") else "a search's .ckpt file"
            raise ValueError(f"there is no {path}; give the path of {wanted}")


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", nargs="+", type=_expand_path, help="folders of runs, or folders that hold some"
    )
    parser.add_argument(
        "--group",
        metavar="SETTING",
        help="show groups of tested runs instead: number, mean, deviation and best; by algorithm, "
        "dataset, seed, device, or a setting of their config.yaml, as model.relaxation",
    )
    parser.add_argument("--architectures", action="store_true", help="show the architectures")
    parser.add_argument(
        "--json", action="store_true", help="print the whole summaries, or all of the groups"
    )
    parser.add_argument(
        "--tensorboard",
        type=_expand_path,
        metavar="FOLDER",
        help="write the runs or groups for TensorBoard's page HPARAMS",
    )


def _check_compare(options: argparse.Namespace) -> None:
    """Raises ValueError if architectures are asked for of groups, which have none."""
    if options.group is not None and options.architectures:
        raise ValueError("--architectures shows those of runs; leave it or --group out")


def _add_plot(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs",
        nargs="+",
        type=_expand_path,
        help="folder of a run; several are drawn by their cost",
    )
    parser.add_argument(
        "--what",
        nargs="+",
        choices=("cells", "alphas", "animation", "curves", "cost"),
        help="pictures to draw; by default all that the run has files for",
    )
    parser.add_argument("--format", choices=("png", "svg"), default="png")
    parser.add_argument(
        "--output",
        type=_expand_path,
        metavar="FOLDER",
        help="folder to write to, else the run's",
    )


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=_expand_path, help="folder of a run")
    parser.add_argument(
        "--output",
        type=_expand_path,
        metavar="FILE",
        help=".html file to write, else report.html in the run's folder",
    )


def _add_plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", help="file or preset; all arguments of fit may follow")


ITEMS = {
    "images": "image files and folders of them, of any size and mode; by default the net's test "
    "set is predicted, and settings may follow (--help data and --help trainer list them)",
    "sounds": "likewise, for a net of sounds: wav, flac and ogg files, and folders of them",
    "signals": "likewise, for a net of signals: npz and csv files of rows, and folders of them",
}
"""What `predict` is asked about, one of these -> help."""


def _add_predict(parser: argparse.ArgumentParser) -> None:
    _add_imports(parser)
    parser.add_argument("--ckpt_path", type=_expand_path, required=True, help="a run's net.ckpt")
    for name, told in ITEMS.items():
        parser.add_argument(f"--{name}", nargs="+", type=_expand_path, metavar="PATH", help=told)
    parser.add_argument(
        "--json", action="store_true", help="of files: print all probabilities, as JSON"
    )
    parser.add_argument(
        "--top",
        type=_parse_count,
        metavar="N",
        help="of files: tell the N likeliest classes, each with its probability",
    )
    parser.add_argument(
        "--output",
        type=_expand_path,
        metavar="FILE",
        help="of files: write the answers to a file, .csv for one, instead of printing them",
    )
    parser.add_argument(
        "--sure",
        type=_up_to(1),
        metavar="PROBABILITY",
        help="of files: answers of a smaller probability are marked as unsure, by default "
        "0.7. Images are marked as unlike if what the net's last layer reads of them is farther "
        "from that of its training images than of 99 %% of its validation images",
    )


def _add_export(parser: argparse.ArgumentParser) -> None:
    _add_imports(parser)
    parser.add_argument("checkpoint", type=_expand_path, help="a run's net.ckpt")
    parser.add_argument(
        "--to",
        nargs="+",
        action="extend",
        choices=("pt2", "safetensors", "python", "onnx", "litert", "c"),
        help="kinds of files; python is one file of plain torch code with the weights in it; onnx "
        "and litert need the extras onnx and tensorflow; c is an int8 LiteRT file as an array of "
        "C, and needs the extra device; by default the first three",
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="also write onnx and litert in whole numbers of 8 bits, tested on all test images",
    )
    parser.add_argument(
        "--most_drop",
        type=_up_to(100),
        default=1.0,
        metavar="POINTS",
        help="per cent of the test images by which an int8 file may be worse than the net, by "
        "default 1; one that is worse is not kept",
    )
    parser.add_argument(
        "--output",
        type=_expand_path,
        metavar="FOLDER",
        help="folder to write to, else the checkpoint's",
    )
    parser.add_argument(
        "--images",
        type=_parse_count,
        default=1000,
        help="number of test images on which each file is compared with the net",
    )
    parser.add_argument(
        "--test_shifts",
        type=_parse_shifts,
        default=0,
        metavar="PIXELS",
        help="shift over which nine answers (of signals three) are averaged in the files, as in a "
        "retraining; by default 0, one pass",
    )
    parser.add_argument(
        "--data.root",
        dest="root",
        type=_expand_path,
        metavar="FOLDER",
        help="data folder, if it has moved",
    )
    parser.add_argument(
        "--data.dataset",
        dest="dataset",
        type=_expand_path,
        help="folder of your own images, if it has moved",
    )


def _add_completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"))


def _add_part(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=_expand_path, help="folder of the run")
    parser.add_argument("group", choices=("seeds", "controls"))
    parser.add_argument("name", help="the seed, or the number of the rival")


OWN: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "derive": (
        "an architecture file from a search's checkpoint, or how two architectures differ",
        _add_derive,
    ),
    "plan": (
        "what fit will take on this machine with the same arguments: time and memory, measured",
        _add_plan,
    ),
    "predict": ("class and probability of images, sounds or signals", _add_predict),
    "plot": ("cells, history and curves of a run, or the accuracy and cost of several", _add_plot),
    "report": ("one HTML page about a run: results, pictures, settings, how to go on", _add_report),
    "export": ("a retrained net for other programs, each file compared with it", _add_export),
    "compare": ("runs side by side: accuracy, cost, time, architecture", _add_compare),
    "part": ("one search or one rival of a run, as fit starts it in a process", _add_part),
    "completion": ("a script by which a shell completes these commands", _add_completion),
}
"""Verbs that are parsed here, each with its help text and the function that adds its arguments.

The module of the same name runs the verb with its function `run`; but see the next two.
"""


def parse_verb(verb: str, words: Sequence[str]) -> argparse.Namespace:
    """Returns the arguments of a verb of `OWN`, for programs that run it."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    OWN[verb][1](parser)
    return parser.parse_args(words)


CHECKS: Mapping[str, Callable[[argparse.Namespace], None]] = {
    "derive": _check_derive,
    "compare": _check_compare,
}
"""What raises ValueError for arguments of a verb of `OWN` that do not fit together."""

RUN_ELSEWHERE = {"part": "lightning_cli", "completion": "completion"}
"""Verbs of `OWN` that another module runs with its function `run`."""

PASSED_ON = {"plan": "plan", "predict": "lightning_cli"}
"""Verbs of `OWN` that may have a configuration, with the module whose `main` parses it."""

OF_FILES = (*(f"--{name}" for name in ITEMS), "--json", "--top", "--output", "--sure")
"""Arguments of `predict` for files; without them the net's test set is predicted."""
