"""Gathers what exported files tell about a net, once for all of their formats."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from darts_lite.data.class_balance import (
    compute_balanced_accuracy,
    count_recalls,
    name_classes,
)
from darts_lite.data.labelled_data import LabelledData
from darts_lite.data.preparation import name_items
from darts_lite.derivation.costs import multiply_adds
from darts_lite.export.inference import Answer
from darts_lite.export.licences import find_licence
from darts_lite.retraining.recipe import count_shifts
from darts_lite.storage.data_places import hide_places
from darts_lite.storage.run_folder import RunFolder
from darts_lite.storage.run_record import read_summary
from darts_lite.storage.versions import describe_versions

Facts = dict[str, Any]
"""What a file tells about its net, as plain values."""
BATCH = 100
"""Number of images that a net is asked for at once."""
ALIKE = ("balanced_accuracy", "class_recalls", "dataset", "data_source")
"""What is told of an accuracy under the names that a summary has for it."""
PROGRAMS = ("darts_lite", "torch")
"""Packages whose versions are told."""


def describe(net: Answer, about: Mapping[str, Any], accuracy: Facts | None = None) -> Facts:
    """Returns what files tell about a net, without a path of this machine.

    Args:
        net: What answers, from `darts_lite.load_answer`.
        about: What is known of it, likewise.
        accuracy: Result of `find_accuracy` or `measure_accuracy`.

    Raises:
        ValueError: if a value is not plain.
    """
    preparation, data = about["preparation"], hide_places(about["data"])
    named = {n: value for n, value in data["init_args"].items() if n == "dataset"}  # no training's
    words, shape = preparation.kind.words, ", ".join(map(str, preparation.shape))
    licence = find_licence(about["data"], about["data_source"])
    item = next(net.parameters()).new_zeros(1, *preparation.shape)
    facts = {
        "data": {**data, "init_args": named},
        "data_source": about["data_source"],
        "data_licence": licence._asdict(),
        "class_names": about["class_names"] or list(map(str, range(net.net.num_classes))),
        "preparation": preparation.to_dict(),
        "input": f"{preparation.values} of {preparation.scale}, ({words}, {shape}), not "
        f"normalised: the net does that itself; {words} are brought to {preparation.describe()}, "
        f"and {preparation.describe_crop()}",
        "output": f"probabilities, ({words}, classes)",
        "test_shifts": net.test_shifts,
        "passes": count_passes(net, preparation.axes),
        "accuracy": accuracy,
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
        "multiply_adds": int(multiply_adds(net, item) - multiply_adds(net.front, item)),
        "versions": {name: describe_versions()[name] for name in PROGRAMS},
    }
    try:
        plain: Facts = json.loads(json.dumps(facts, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"the net's data have settings that no file can hold ({error})") from error
    return plain


def count_passes(net: Answer, axes: int) -> int:
    """Returns how many passes of the net make one answer, on maps with so many axes."""
    return count_shifts(axes) if net.test_shifts else 1


def answer_all(net: Answer, pixels: Tensor) -> Tensor:
    """Returns the probabilities ``(N, classes)`` of pixels ``(N, C, H, W)``."""
    with torch.no_grad():
        return torch.cat([net(batch) for batch in pixels.split(BATCH)])


def tell_images(data: LabelledData) -> Facts:
    """Returns of which images a result is, as a run's summary does."""
    named = hide_places(data.describe())["init_args"].get("dataset")
    return {"dataset": named, "data_source": data.data_source}


def measure_accuracy(answers: Tensor, labels: Tensor, data: LabelledData | None = None) -> Facts:
    """Returns the share of right answers, that of each class and their mean, and of what they are.

    Args:
        answers: Probabilities ``(N, classes)`` of test images.
        labels: Their classes ``(N,)``.
        data: What they are images of.
    """
    found = answers.argmax(dim=1)
    share = (found == labels).float().mean()
    names = name_classes(None if data is None else data.class_names, answers.shape[1])
    pairs = zip(labels.tolist(), found.tolist(), strict=True)
    recalls = count_recalls(((names[label], names[answer]) for label, answer in pairs), names)
    called = "images" if data is None else data.called
    of = f"{len(labels):,} test {called}, asked when the net was exported"
    return {
        "share": round(float(share), 6),
        "images": len(labels),
        "of": of,
        "balanced_accuracy": compute_balanced_accuracy(recalls),
        "class_recalls": recalls,
        **({} if data is None else tell_images(data)),
    }


def find_accuracy(summary: Mapping[str, Any]) -> Facts | None:
    """Returns the accuracy that a run has measured once, in the form of `measure_accuracy`."""
    share, images = summary.get("test_accuracy"), summary.get("test_images")
    if share is None or not images:
        return None
    asked = f"{images:,} test {name_items(summary) or 'items'}"
    return {
        "share": round(share, 6),
        "images": images,
        "of": f"{asked}, asked once, at the end of the run",
        **{name: summary.get(name) for name in ALIKE},
    }


def find_summary(checkpoint: str | Path, net: Answer) -> Mapping[str, Any]:
    """Returns the summary of the run that a checkpoint lies in, if it is about this net.

    Raises:
        ValueError: if it has values that no run writes.
    """
    summary = read_summary(RunFolder(Path(checkpoint).parent))
    size = sum(parameter.numel() for parameter in net.parameters())
    told = summary.get("architecture"), summary.get("params")
    return summary if told == (net.net.architecture.genotype(), size) else {}
