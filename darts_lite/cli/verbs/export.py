"""`export`: writes a retrained net for other programs, and a card that tells about it."""

import argparse
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from torch import Tensor

from darts_lite.cli.front.arguments import parse_verb
from darts_lite.data.images.compatibility import adapt, check_loaded
from darts_lite.data.labelled_data import LabelledData
from darts_lite.export.c_array import write_c
from darts_lite.export.card import NAMES, make_card, write_card
from darts_lite.export.facts import (
    Facts,
    answer_all,
    describe,
    find_accuracy,
    find_summary,
    measure_accuracy,
)
from darts_lite.export.formats import FORMATS, Written, explain_missing, export
from darts_lite.export.inference import Answer, load_answer
from darts_lite.export.int8 import (
    CALIBRATED,
    QUANTISERS,
    Int8,
    Tested,
    count_right,
    name_int8,
    write_int8,
)
from darts_lite.export.litert_int8 import open_litert
from darts_lite.export.standalone import SIGNATURE, can_write
from darts_lite.retraining.recipe import count_shifts
from darts_lite.runs.settings import RunSettings
from darts_lite.storage.atomic_files import make_folder
from darts_lite.storage.run_folder import RunFolder

INT8 = "int8"
"""What stands among a run's formats for `--int8`."""
C = "c"
"""The format that is an array of C."""
PLAIN = ("pt2", "safetensors", "python")
"""Formats that need no other package."""
ONLY_TRAINING = ("augmentation", "search_augmentation", "train_images", "least_batches_per_epoch")
"""Settings of the data that the test set does not need."""


def run(options: argparse.Namespace) -> list[Path]:
    """Writes the files, compares the answers of each with those of the net, and writes a card.

    Returns the paths of the files.

    Raises:
        ValueError: if a file gives other answers than the net, among others; it is not kept then.
    """
    net, about = load_answer(options.checkpoint, options.imports)
    usual = [name for name in PLAIN if name != "python" or can_write(net.net)]
    seen = about["preparation"]
    if (options.int8 or {C, "litert"} & {*(options.to or ())}) and seen.measured is None:
        raise ValueError(
            "LiteRT and int8 files are for nets of images or signals, and this one takes "
            f"{seen.kind.words}"
        )
    formats, whole = check_formats(options.to or usual, options.int8, options.test_shifts > 0)
    summary = find_summary(options.checkpoint, net)
    data = load_items(about, options.root, options.dataset)
    pixels, labels = data.sample_test(options.images)
    folder = make_folder(options.output or Path(options.checkpoint).parent, "--output")
    paths = {name: folder / f"net{FORMATS[name].ending}" for name in formats}
    for path in paths.values():
        check_replaceable(path)
    tested, net.test_shifts = net.test_shifts, options.test_shifts
    answers = answer_all(net, pixels)
    measured = measure_accuracy(answers, labels, data)
    known = find_accuracy(summary) if net.test_shifts == tested else None
    facts = describe(net, about, known or measured)
    written = {}
    for name, path in paths.items():
        written[name] = export(name, net, facts, pixels, answers, path)
        difference = written[name].difference
        print(
            f"{path}: {len(pixels):,} {data.called}, same classes, within {difference:.1e}",
            flush=True,
        )
    if written:
        print_files(written, facts["parameters"])
    made: list[Int8] = []

    def tell() -> Path | None:
        others = list_others(folder, paths.values())
        return write_card(folder, make_card(facts, written, summary, others, made))

    if whole:
        tell()  # of what is there, also if a file in whole numbers is refused
        made, more = export_int8(whole, net, facts, data, options)
        paths |= more
    for line in tell_shifts(net, tested, pixels, labels, measured["share"], data):
        print(line)
    if not options.to and "python" not in formats:
        print("net.py is left out: it cannot hold the code of the net's custom operations")
    print(tell_card(folder, tell()))
    return [*paths.values()]


def list_others(folder: Path, written: Collection[Path]) -> list[str]:
    """Returns the names of files in a folder that an export makes, and this one has not."""
    floats = [folder / f"net{kind.ending}" for kind in FORMATS.values()]
    whole = [name_int8(folder / f"net{FORMATS[name].ending}") for name in QUANTISERS]
    code = {path.with_suffix(ending) for path in whole for ending in (".h", ".cc")}
    known = [*floats, *whole, *sorted(code)]
    return [path.name for path in known if path.is_file() and path not in written]


def export_run(folder: RunFolder, settings: RunSettings, root: str | None) -> None:
    """Exports the net of a run that has ended, as the setting `export` asks for it."""
    words = [str(folder.net), "--to", *(name for name in settings.export if name != INT8)]
    words += ["--int8"] * (INT8 in settings.export)
    words += [f"--run.imports=[{','.join(settings.imports)}]"] * bool(settings.imports)
    words += [f"--data.root={root}"] * (root is not None)
    run(parse_verb("export", words))


def check_formats(
    asked: Sequence[str], int8: bool, shifted: bool = False
) -> tuple[list[str], list[str]]:
    """Returns the formats in floats, and those in int8.

    Raises ValueError if one is unknown, lacks packages or cannot take the mean over shifts that is
    wanted, or if none is in int8 that should be.
    """
    if unknown := [name for name in asked if name not in (*FORMATS, C)]:
        known = ", ".join((*FORMATS, C))
        raise ValueError(f"unknown kind of file {unknown[0]!r}; choose from {known}")
    floats = [name for name in asked if name != C]
    whole = [name for name in floats if int8 and name in QUANTISERS]
    if C in asked and "litert" not in whole:
        whole.append("litert")
    if int8 and not whole:
        raise ValueError(f"--int8 needs a format that has it: --to {' or '.join(QUANTISERS)}")
    if shifted and "litert" in whole:
        raise ValueError("an int8 LiteRT file takes one pass: leave out --test_shifts")
    needed = [(FORMATS[name].extra, FORMATS[name].needs) for name in floats]
    needed += [(QUANTISERS[name].extra, QUANTISERS[name].needs) for name in whole]
    for extra, modules in needed:
        if missing := [module for module in modules if find_spec(module) is None]:
            raise ValueError(explain_missing(extra, ", ".join(missing)))
    return floats, whole


def export_int8(
    names: Sequence[str], net: Answer, facts: Facts, data: LabelledData, options: argparse.Namespace
) -> tuple[list[Int8], dict[str, Path]]:
    """Writes the int8 files, tests each on all test items, and tells how good they are.

    Returns what was found, and the paths of all files by their kinds.
    """
    folder = Path(options.output or Path(options.checkpoint).parent)
    calibration = data.sample_training(CALIBRATED)
    pixels, labels = data.sample_test(data.test_count)
    tested = Tested(pixels, labels, count_right(answer_all(net, pixels), labels), data.called)
    table = Table(title=f"In int8, on {len(labels):,} test {data.called}")
    for column in ("file", "right", "in micro", "in floats", "bytes", "arena", "ms"):
        table.add_column(column, justify="left" if column == "file" else "right")
    paths: dict[str, Path] = {}
    found: list[Int8] = []
    for name in names:
        path = folder / f"net{FORMATS[name].ending}"
        made = write_int8(name, net, facts, calibration, tested, options.most_drop / 100, path)
        found.append(made)
        paths[f"{name} int8"] = made.path
        arena = "-" if made.needs is None else f"{made.needs.arena:,}"
        shares = [
            "-" if share is None else f"{100 * share:.2f} %"
            for share in (made.share, made.micro, made.floats)
        ]
        size = f"{made.path.stat().st_size:,}"
        table.add_row(made.path.name, *shares, size, arena, f"{made.milliseconds:.3f}")
        if name == "litert":
            _, scaling = open_litert(net, made.path)
            shape = *data.shape[1:], data.in_channels
            arena_size = None if made.needs is None else made.needs.arena
            example = C in (options.to or ())
            for file in write_c(made.path, scaling, shape, facts, arena_size, example):
                paths[file.suffix] = file
    Console(force_jupyter=False).print(table)
    return found, paths


def print_files(files: Mapping[str, Written], parameters: int) -> None:
    """Prints the files' sizes, also in those of the weights, and how long an answer takes."""
    table = Table(title="One answer at a time, in one thread")
    for column in ("file", "runs in", "bytes", "of its weights", "ms"):
        table.add_column(column, justify="left" if column in ("file", "runs in") else "right")
    for name, file in files.items():
        sizes = f"{file.size:,}", f"{file.size / (4 * parameters):.2f}"
        table.add_row(file.path.name, FORMATS[name].runtime, *sizes, f"{file.milliseconds:.3f}")
    Console(force_jupyter=False).print(table)


def tell_shifts(
    net: Answer, tested: int, pixels: Tensor, labels: Tensor, share: float, data: LabelledData
) -> Iterator[str]:
    """Yields what an export makes of the shifts with which a net was tested.

    Args:
        net: The net as it is exported.
        tested: Shift in pixels with which the net was tested.
        pixels: Test items, ``(B, C, H, W)`` for images.
        labels: Their classes ``(B,)``.
        share: How many of them the net tells right as it is exported.
        data: What they are.
    """
    passes = count_shifts(data.axes)
    if net.test_shifts:
        yield (
            f"An answer is the mean of {passes} passes, over {data.called} shifted by "
            f"{net.test_shifts} places of the map; without --test_shifts a single pass is exported"
        )
    elif tested:
        scales = net.mean.flatten().tolist(), net.std.flatten().tolist()
        shifted = Answer(net.net, *scales, tested, net.front)
        instead = measure_accuracy(answer_all(shifted.eval(), pixels), labels)["share"]
        yield (
            f"The net was tested with the mean of {passes} passes, and the files take one: "
            f"{100 * share:.2f} % instead of {100 * instead:.2f} % of {len(labels):,} test "
            f"{data.called}, for 1/{passes} of the work; --test_shifts {tested} exports the mean"
        )


def tell_card(folder: Path, card: Path | None) -> str:
    """Returns in words where the card of a folder is."""
    if card is None:
        return f"No card is written: {' and '.join(NAMES)} in {folder} are yours"
    if card.name == NAMES[0]:
        return f"{card}: what there is to know of the net"
    return f"{card}: what there is to know of the net, as {NAMES[0]} is yours and stays"


def check_replaceable(path: Path) -> None:
    """Checks that a path is free, or holds a file that may be replaced.

    Raises:
        ValueError: if it is a folder, or holds Python code that no export has written.
    """
    if path.is_dir():
        raise ValueError(f"cannot write {path}, which is a folder; choose another --output")
    code = path.suffix == FORMATS["python"].ending and path.exists()
    if code and SIGNATURE not in path.read_text(encoding="utf-8", errors="replace"):
        raise ValueError(f"{path} exists and was not exported; choose another --output")


def load_items(
    about: Mapping[str, Any], root: str | None = None, dataset: str | None = None
) -> LabelledData:
    """Returns the items on which a net was trained and tested, or others of its classes.

    Args:
        about: Description of the net, from `load_answer`.
        root: Data folder; None means that of the training, or the usual one if that is gone.
        dataset: Name or folder of the data set; None means that of the training.

    Raises:
        ValueError: if items are of other classes, or among those the net was trained on.
    """
    module, _, name = (path := about["data"]["class_path"]).rpartition(".")
    kind = getattr(import_module(module), name)
    if not (isinstance(kind, type) and issubclass(kind, LabelledData)):
        raise ValueError(f"the net was trained on {path}, whose items tell no classes")
    given = about["data"]["init_args"]
    settings = {key: value for key, value in given.items() if key not in ONLY_TRAINING}
    usable = settings.get("root") if Path(settings.get("root") or "").is_dir() else None
    moved = {"root": root or usable} if "root" in given else {}
    moved |= {} if dataset is None else {"dataset": dataset}
    data = kind(**settings | moved)
    adapt(data, about, about["preparation"])
    data.setup("test")
    check_loaded(data, about)
    return data
