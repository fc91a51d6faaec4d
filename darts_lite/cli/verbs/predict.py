"""`predict --images`, `--sounds` and `--signals`: tells the classes of files."""

import argparse
import json
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from darts_lite.cli.front.arguments import ITEMS
from darts_lite.cli.verbs.tables import format_table
from darts_lite.data.class_balance import (
    compute_balanced_accuracy,
    count_recalls,
    describe_recalls,
    name_classes,
)
from darts_lite.data.file_lists import list_files
from darts_lite.data.preparation import NamedItem, Preparation
from darts_lite.export.facts import count_passes
from darts_lite.export.inference import Answer, load_answer
from darts_lite.retraining.familiarity import Familiarity, reading_features
from darts_lite.storage.atomic_files import check_writable, write_whole
from darts_lite.storage.checkpoints import Checkpoint

BATCH = 256
"""Largest number of images in a batch."""
MOST_PIXELS = BATCH * 64**2
"""Largest number of pixels in a batch, unless one image has more."""
SURE = 0.7
"""Probability below which an answer is marked as unsure."""
UNSURE, UNLIKE = "unsure", "unlike"
"""Notes on answers: the probability is small; the image is unlike those of the training."""


def run(options: argparse.Namespace) -> None:
    """Prints or writes a line for each item, or all answers as JSON.

    What else there is to say goes to standard error: how items were prepared, how many answers are
    marked, and how many are right where files tell classes, or folders have their names.
    """
    given = {name: getattr(options, name) for name in ITEMS if getattr(options, name)}
    if not given:
        raise ValueError(
            f"--json, --top, --output and --sure need --{' or --'.join(ITEMS)}; without them "
            "predict prints the test set's lines"
        )
    net, about = load_answer(options.ckpt_path, options.imports)
    kind = about["preparation"].kind
    if [*given] != [kind.words]:
        raise ValueError(f"this net takes {kind.words}; give them as --{kind.words}")
    places: Sequence[str] = given[kind.words]
    known = Familiarity.read(Checkpoint.read(options.ckpt_path))
    named = set(map(Path, places))
    sure = SURE if options.sure is None else options.sure
    paths = list(list_files(places, kind))
    if options.output:
        check_output(Path(options.output), paths, options.json)
        check_replaceable(Path(options.output), kind.word)
    answers = predict_files(net, about, paths, named, known, sure, options.top or 1)
    said = f"{kind.words.capitalize()} were brought to {about['preparation'].describe()}"
    print(said, file=sys.stderr)
    text = json.dumps(answers, indent=2) + "\n" if options.json else format_answers(answers)
    if options.output:
        with write_whole(options.output) as file:
            file.write(text.encode(errors="surrogateescape"))  # names of files may be no text
        print(f"{options.output}: {len(answers):,} answers", file=sys.stderr)
    else:
        print(text.encode(errors="surrogateescape").decode(errors="replace"), end="")
    names = name_classes(about["class_names"], net.net.num_classes)
    for line in summarise(answers, names, sure, named):
        print(line, file=sys.stderr)
    if known is None:
        print("The net is of an earlier version, so none is marked as unlike", file=sys.stderr)


def check_output(path: Path, items: Sequence[Path], as_json: bool = False) -> None:
    """Raises ValueError or OSError if the answers cannot be written, or would replace an image.

    Nor may a file with the ending of a table hold JSON, or the other way round.
    """
    if path.suffix.lower() == (".csv" if as_json else ".json"):
        kind, remedy = ("JSON", "leave out") if as_json else ("a table", "add")
        raise ValueError(
            f"--output {path} would hold {kind}; give another name, or {remedy} --json"
        )
    if any(path.resolve() == item.resolve() for item in items):
        raise ValueError(f"--output is {path}, one of what is read; give another name")
    check_writable(path.parent, "--output")


def check_replaceable(path: Path, word: str) -> None:
    """Raises ValueError if a file is there that holds no answers about items of a kind."""
    if not path.is_file() or path.stat().st_size == 0:
        return
    with path.open("rb") as file:
        begins = file.read(99)
    if not begins.startswith((f"{word},class".encode(), f'[\n  {{\n    "{word}"'.encode())):
        raise ValueError(f"--output {path} exists and holds no answers; give another name")


def predict_files(
    net: Answer,
    about: Mapping[str, Any],
    paths: Sequence[Path],
    needed: Collection[Path] = (),
    known: Familiarity | None = None,
    sure: float = SURE,
    top: int = 1,
) -> list[dict[str, Any]]:
    """Returns each item's path, class, probability, note, and the probabilities of all classes.

    Where the file of an item tells its class, that is its ``label``.

    Args:
        net: What answers, from `darts_lite.load_answer`.
        about: What is known of it, likewise.
        paths: Files; with a warning on standard error, those that cannot be read are left
            out.
        needed: Files that must not be left out.
        known: What the net's own items look like; None marks none as unlike them.
        sure: Probability below which an answer is marked as unsure.
        top: Number of likeliest classes; more than one are told as ``top``.

    Raises:
        ValueError: if a needed file or all files cannot be read, or no files hold
            such items.
    """
    preparation: Preparation = about["preparation"]
    preparation.check_files()
    names = about["class_names"]
    answers = []
    passes = count_passes(net, preparation.axes)  # of which a batch holds all at once
    pixels = preparation.size**preparation.axes
    batch = max(1, min(BATCH, MOST_PIXELS // pixels) // passes)
    reading = _read_files(paths, preparation, needed)
    while readable := [*islice(reading, batch)]:
        with torch.no_grad(), reading_features(net.net) as seen:
            shares = net(torch.stack([values for values, _ in readable]))  # (B, classes)
        if not shares.isfinite().all():
            raise ValueError("the net answers with NaN, so its weights are wrong; give another net")
        unlike = [False] * len(readable)
        if known is not None and seen:
            features = seen[-1].unflatten(0, (passes, -1))[passes // 2]  # without a shift, (B, F)
            unlike = known.find_unlike(features).tolist()
        for (_, named), row, is_unlike in zip(readable, shares.tolist(), unlike, strict=True):
            told = _describe_answer(row, names, is_unlike, sure, top)
            label = {} if named.label is None else {"label": named.label}
            answers.append({preparation.kind.word: named.name, **told, **label})
    if not answers:
        raise ValueError(f"none of these {preparation.kind.words} can be read; name others")
    return answers


def _read_files(
    paths: Sequence[Path], preparation: Preparation, needed: Collection[Path]
) -> Iterator[tuple[Tensor, NamedItem]]:
    """Yields items that can be read and their values; tells of others, and of doubtful ones."""
    for path in paths:
        try:
            items = preparation.read_all(path)
        except ValueError as error:
            if path in needed:
                raise
            print(f"Warning: {error}", file=sys.stderr)
            continue
        for named in items:
            if isinstance(named.item, ValueError):
                print(f"Warning: {named.item}", file=sys.stderr)
                continue
            values, doubt = named.item
            if doubt is not None:
                print(f"Warning: {named.name} {doubt}; check its answer", file=sys.stderr)
            yield values, named


def _describe_answer(
    shares: Sequence[float],
    names: Sequence[str] | None,
    is_unlike: bool,
    sure: float,
    top: int,
) -> dict[str, Any]:
    """Returns what is told of an item, from the probabilities of all classes."""
    order = sorted(range(len(shares)), key=lambda label: -shares[label])
    ranked = [
        {"class": names[label] if names else label, "probability": round(shares[label], 6)}
        for label in order
    ]
    notes = [UNSURE] * (round(shares[order[0]], 6) < sure) + [UNLIKE] * is_unlike
    return {
        **ranked[0],
        "note": " ".join(notes),
        **({"top": ranked[:top]} if top > 1 else {}),
        "probabilities": {
            names[label] if names else str(label): round(share, 6)
            for label, share in enumerate(shares)
        },
    }


def format_answers(answers: Sequence[Mapping[str, Any]]) -> str:
    """Returns answers as comma-separated lines, in which a spreadsheet finds no formula."""
    count = len(answers[0].get("top", [None]))
    word = next(iter(answers[0]))  # image or sound, as `predict_files` begins
    header = [word, "class", "probability"]
    header += [f"{name}_{n}" for n in range(2, count + 1) for name in ("class", "probability")]
    rows = [
        [
            Path(each[word]),
            *(
                value
                for one in each.get("top", [each])
                for value in (one["class"], f"{one['probability']:.6f}")
            ),
            each["note"],
        ]
        for each in answers
    ]
    return format_table([*header, "note"], rows)


def find_class(item: Path, places: Collection[Path], names: Collection[str]) -> str | None:
    """Returns the class of which an item's folder has the name, as in training; None without one.

    Folders between one that was named and the item count from the outermost on, then that in which
    the item lies, then the named one itself.
    """
    around = item.absolute().parent
    named = sorted({place.absolute() for place in places} & {*item.absolute().parents})
    inside = [part for place in named for part in around.relative_to(place).parts]
    candidates = [*inside, around.name, *(place.name for place in named)]
    return next((name for name in candidates if name in names), None)


def summarise(
    answers: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    sure: float,
    places: Collection[Path] = (),
) -> Iterator[str]:
    """Yields how many answers are marked, and right where a label or a folder tells the class.

    Args:
        answers: Result of `predict_files`.
        names: Of all classes.
        sure: Probability below which an answer is marked as unsure.
        places: Files and folders that were named.
    """
    meant = {
        UNSURE: f"a probability below {sure:g}",
        UNLIKE: "they differ from those of its training",
    }
    word = next(iter(answers[0]))
    for note, meaning in meant.items():
        if count := sum(note in each["note"].split() for each in answers):
            yield f"Marked as {note}: {count:,} of {len(answers):,} {word}s ({meaning})"
    labels = [each.get("label") or find_class(Path(each[word]), places, names) for each in answers]
    judged = [
        (label, str(each["class"]))
        for label, each in zip(labels, answers, strict=True)
        if label is not None and label in names
    ]
    if not judged:
        return
    recalls = count_recalls(judged, names)
    balanced = compute_balanced_accuracy(recalls)
    right = sum(label == answer for label, answer in judged) / len(judged)
    yield (
        f"Accuracy: {100 * right:.2f} % of the {len(judged):,} of {len(answers):,} {word}s whose "
        f"label or folder is one of its classes; balanced {100 * (balanced or 0):.2f} %. "
        f"{word.capitalize()}s that the net was trained on count as well, if there are any"
    )
    yield f"Recall: {describe_recalls(recalls)}"
