"""Writes nets in whole numbers of 8 bits, by the quantisers of the runtimes, and tries each file.

Weights get a scale for each channel, activations one for each map, from the values that training
images give them. Norms are folded before.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from darts_lite.data.preparation import build_preparation
from darts_lite.export.facts import Facts
from darts_lite.export.inference import Answer
from darts_lite.export.litert_int8 import NEEDS, ask_litert_int8, write_litert_int8
from darts_lite.export.micro import Needs, ask_micro, has_micro, measure_needs
from darts_lite.export.runtimes import Answered, ask_onnx
from darts_lite.storage.leftovers import work_in_folder

CALIBRATED = 512
"""Number of training images that set the scales."""


class Quantiser(NamedTuple):
    """How a kind of file is made in int8.

    ``write`` takes the net, facts about it, calibration pixels ``(N, C, H, W)``, the path of the
    float file and that of the new one; ``ask`` runs that with pixels.
    """

    write: Callable[[Answer, Facts, Tensor, Path, Path], None]
    ask: Callable[[Answer, Path, Tensor], Answered]
    extra: str
    needs: tuple[str, ...]


class Tested(NamedTuple):
    """All test items and their classes, and how many of them the net tells right in floats."""

    pixels: Tensor  # (N, C, H, W)
    labels: Tensor  # (N,)
    share: float
    called: str  # what items are called


class Int8(NamedTuple):
    """A file in int8 that was written and tried.

    Attributes:
        share: Share of the test items that it tells right.
        floats: That of the net.
        milliseconds: Median time of one image in the file's own runtime, in one thread.
        needs: What it needs on a small device; None where nothing has measured it.
        micro: Share that it tells right in the micro interpreter, whose kernels round otherwise.
    """

    path: Path
    share: float
    floats: float
    milliseconds: float
    needs: Needs | None
    micro: float | None


def count_right(answers: Tensor, labels: Tensor) -> float:
    """Returns the share of answers ``(N, classes)`` that are the labels ``(N,)``."""
    return float((answers.argmax(dim=1) == labels).float().mean())


def write_int8(
    name: str,
    net: Answer,
    facts: Facts,
    calibration: Tensor,
    tested: Tested,
    most_drop: float,
    path: Path,
) -> Int8:
    """Writes the int8 version of a net beside its float file, and asks it for all test images.

    Args:
        name: One of `QUANTISERS`.
        facts: What the file tells; see `darts_lite.export.facts.describe`.
        calibration: Pixels of training images ``(N, C, H, W)``.
        most_drop: Largest share of the test images by which it may be worse than the floats; one
            image is allowed if it is above 0.
        path: The float file, which is there if the runtime's quantiser begins with it.

    Raises:
        ValueError: if it is worse by more, or cannot be made; an older file stays.
    """
    kind, target = QUANTISERS[name], name_int8(path)
    with work_in_folder(path.parent, ".export-") as folder:
        tried = folder / target.name
        try:
            kind.write(net, facts, calibration, path, tried)
            answers, milliseconds = kind.ask(net, tried, tested.pixels)
        except (RuntimeError, OSError) as error:
            raise ValueError(f"{name}: cannot make {target} ({error})") from error
        share = count_right(answers, tested.labels)
        allowed = most_drop and max(most_drop, 1.5 / len(answers))  # one image of a small test set
        if tested.share - share > allowed:
            raise ValueError(
                f"{target.name} tells {100 * share:.2f} % of {len(answers):,} test {tested.called} "
                f"right, and the net {100 * tested.share:.2f} %; that is more than --most_drop "
                f"{100 * most_drop:g} allows, and the file was not kept; export it with another "
                "--most_drop, or search a net that is less sensitive"
            )
        needs, micro = None, None
        if name == "litert" and has_micro():
            needs = measure_needs(tried)
            micro = count_right(ask_micro(net, tried, tested.pixels), tested.labels)
        tried.replace(target)
    return Int8(target, share, tested.share, milliseconds, needs, micro)


def name_int8(path: Path) -> Path:
    """Returns the path of a float file's int8 version: ``net.onnx`` -> ``net_int8.onnx``."""
    return path.with_name(f"{path.stem}_int8{path.suffix}")


def _write_onnx(net: Answer, facts: Facts, calibration: Tensor, path: Path, target: Path) -> None:
    tools, onnx = import_module("onnxruntime.quantization"), import_module("onnx")
    prepared = target.with_name("prepared.onnx")
    import_module("onnxruntime.quantization.shape_inference").quant_pre_process(path, prepared)
    name = build_preparation(facts["preparation"]).values
    images: Iterator[dict[str, Any]] = ({name: one.numpy()} for one in calibration.split(1))
    giving = {"get_next": lambda _: next(images, None)}
    reader = type("Reader", (tools.CalibrationDataReader,), giving)
    tools.quantize_static(prepared, target, reader(), per_channel=True)
    model = onnx.load(target)
    onnx.helper.set_model_props(model, {name: json.dumps(value) for name, value in facts.items()})
    onnx.save(model, target)


def _write_litert(net: Answer, facts: Facts, calibration: Tensor, path: Path, target: Path) -> None:
    write_litert_int8(net, calibration, target)  # which holds no facts: each byte counts


QUANTISERS: Mapping[str, Quantiser] = {
    "onnx": Quantiser(
        _write_onnx, lambda _, *file: ask_onnx(*file), "onnx", ("onnx", "onnxruntime")
    ),
    "litert": Quantiser(_write_litert, ask_litert_int8, "device", NEEDS),
}
"""Formats that have an int8 version."""
