"""`export`: a retrained net for other programs, each file tried after it is written."""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from copy import deepcopy
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from textwrap import shorten
from typing import Any, NamedTuple

import torch
from torch import Tensor

from darts_lite.answer import Answer, load_answer
from darts_lite.data import ImageData
from darts_lite.ejecting import SIGNATURE, ejected, is_plain
from darts_lite.files import made_folder, write_text
from darts_lite.weights import load_weights, save_weights

TOLERANCE = 1e-4
"""Largest difference of a probability between the written file and the net."""
BATCH = 100
PLAIN = ("pt2", "safetensors", "python")
"""Kinds of files that need no other package."""
ONLY_TRAINING = ("augmentation", "search_augmentation", "train_images", "least_batches_per_epoch")
"""Settings of the data that the test set does without."""

About = Mapping[str, Any]


class Format(NamedTuple):
    """A kind of file.

    Args:
        ending: Of the file's name.
        write: Writes the file; gets the net, what is known about it, and an image.
        answer: Asks the file in its own runtime: pixels ``(B, C, H, W)`` -> ``(B, classes)``.
        extra: What to install besides, of this package's extras.
        needs: Modules that come with it.
    """

    ending: str
    write: Callable[[Answer, About, Tensor, Path], None]
    answer: Callable[[Path, Tensor], Tensor]
    extra: str | None = None
    needs: tuple[str, ...] = ()


def run(options: argparse.Namespace) -> None:
    """Writes the files that are asked for, and compares each with the net.

    Raises:
        ValueError, OSError: if the checkpoint cannot be used, a package is missing, nothing can be
            written, or a file does not answer as the net does, which is not kept then.
    """
    net, about = load_answer(options.checkpoint, options.imports)
    formats = options.to or [name for name in PLAIN if name != "python" or is_plain(net.net)]
    for name in formats:
        if missing := [module for module in FORMATS[name].needs if find_spec(module) is None]:
            raise ValueError(_not_installed(name, ", ".join(missing)))
    pixels = pixels_of_test(about, options.images, options.root, options.dataset)
    folder = made_folder(options.output or Path(options.checkpoint).parent, "--output")
    paths = {name: folder / f"net{FORMATS[name].ending}" for name in formats}
    for path in paths.values():
        check_replaceable(path)
    for name, path in paths.items():
        difference = export(name, net, about, pixels, path)
        print(f"{path}: {len(pixels):,} images, same classes, within {difference:.1e}")
    if not options.to and "python" not in formats:
        print("net.py is left out: the net has operations of your own, whose code it cannot hold")


def export(name: str, net: Answer, about: About, pixels: Tensor, path: Path) -> float:
    """Writes a file and asks it; returns the largest difference of a probability.

    It takes its place when it has answered: until then, what was there before stays.

    Args:
        name: One of `FORMATS`.
        net: What is exported.
        about: See `load_answer`.
        pixels: Images to compare on, of 0 to 1, ``(N, C, H, W)``.
        path: Of the file.

    Raises:
        ValueError: if a package is missing, or the answers differ.
        OSError: if the file cannot be written.
    """
    made = FORMATS[name]
    with torch.no_grad():
        expected = torch.cat([net(batch) for batch in pixels.split(BATCH)])
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
        tried = Path(folder) / path.name
        try:
            made.write(net, about, pixels[:1].expand(2, -1, -1, -1).clone(), tried)
            answers = made.answer(tried, pixels)
        except (RuntimeError, OSError) as error:
            raise ValueError(f"{name}: cannot make {path} ({shorten(str(error), 300)})") from error
        except ImportError as error:
            raise ValueError(_not_installed(name, str(error))) from error
        difference = float((answers - expected).abs().max())
        others = int((answers.argmax(dim=1) != expected.argmax(dim=1)).sum())
        if others or not difference <= TOLERANCE:
            raise ValueError(
                f"{path.name} does not answer as the net does, and was not kept: {others} of "
                f"{len(pixels)} images in another class, probabilities up to {difference:.1e} away"
            )
        tried.replace(path)
    return difference


def check_replaceable(path: Path) -> None:
    """Refuses to write over what no export has made.

    Raises:
        ValueError: if there is a folder, or Python code that a user may have written.
    """
    if path.is_dir():
        raise ValueError(f"cannot write {path}, which is a folder; choose another --output")
    code = path.suffix == FORMATS["python"].ending and path.exists()
    if code and SIGNATURE not in path.read_text(encoding="utf-8", errors="replace"):
        raise ValueError(f"{path} is there already and was not exported; choose another --output")


def _not_installed(name: str, what: str) -> str:
    extra = FORMATS[name].extra
    return (
        f"{name} needs packages that are not installed ({what}); install this package with its "
        f"extra {extra}, as in pip install -e '.[{extra}]'"
    )


def pixels_of_test(
    about: About, count: int, root: str | None = None, dataset: str | None = None
) -> Tensor:
    """The first images of the test set that a net belongs to, pixels of 0 to 1.

    Args:
        about: See `load_answer`.
        count: How many.
        root: Data folder, if not where the net was trained; where that is no more, the usual one.
        dataset: Of that kind, if it has another name or place now.

    Raises:
        ValueError: if the net's data are none of this package's kind.
    """
    module, _, name = (path := about["data"]["class_path"]).rpartition(".")
    kind = getattr(import_module(module), name)
    if not (isinstance(kind, type) and issubclass(kind, ImageData)):
        raise ValueError(f"the net was trained on {path}, which is no ImageData; cannot read it")
    settings = {
        key: value for key, value in about["data"]["init_args"].items() if key not in ONLY_TRAINING
    }
    there = settings.get("root") if Path(settings.get("root") or "").is_dir() else None
    moved = {"root": root or there} | ({} if dataset is None else {"dataset": dataset})
    data = kind(**settings | moved)
    data.setup("test")
    return data.test_pixels(count)


# ---------------------------------------------------------------------- the formats


def _write_onnx(net: Answer, about: About, pixels: Tensor, path: Path) -> None:
    import_module("onnxscript")
    batch = torch.export.Dim("batch")
    torch.onnx.export(
        net,
        (pixels,),
        path,
        input_names=["pixels"],
        output_names=["probabilities"],
        dynamic_shapes={"pixels": {0: batch}},
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def _answer_onnx(path: Path, pixels: Tensor) -> Tensor:
    session = import_module("onnxruntime").InferenceSession(path)
    answers = [session.run(None, {"pixels": b.numpy()})[0] for b in pixels.split(BATCH)]
    return torch.cat([torch.from_numpy(answer) for answer in answers])


def _write_pt2(net: Answer, about: About, pixels: Tensor, path: Path) -> None:
    shapes = {"pixels": {0: torch.export.Dim("batch")}}
    plain = deepcopy(net).to(memory_format=torch.contiguous_format)  # the file knows no other
    torch.export.save(torch.export.export(plain, (pixels,), dynamic_shapes=shapes), path)


def _answer_pt2(path: Path, pixels: Tensor) -> Tensor:
    loaded = torch.export.load(path).module()
    with torch.no_grad():
        return torch.cat([loaded(batch) for batch in pixels.split(BATCH)])


def _write_litert(net: Answer, about: About, pixels: Tensor, path: Path) -> None:
    converter = import_module("litert_torch")
    plain = deepcopy(net).to(memory_format=torch.contiguous_format)
    with redirect_stdout(StringIO()):  # it tells every pass
        converter.convert(plain, (pixels[:1],)).export(str(path))


def _answer_litert(path: Path, pixels: Tensor) -> Tensor:
    interpreter = import_module("ai_edge_litert.interpreter").Interpreter(str(path))
    interpreter.allocate_tensors()
    (given,), (answered,) = interpreter.get_input_details(), interpreter.get_output_details()
    answers = []
    for image in pixels.split(1):
        interpreter.set_tensor(given["index"], image.numpy())
        interpreter.invoke()
        answers.append(torch.from_numpy(interpreter.get_tensor(answered["index"])))
    return torch.cat(answers)


def _write_safetensors(net: Answer, about: About, pixels: Tensor, path: Path) -> None:
    classes = net.net.skeleton.classifier.out_features
    sizes = {"in_channels": pixels.shape[1], "num_classes": classes}
    save_weights(net.net, path, {**about, **sizes, "test_shifts": net.test_shifts})


def _answer_safetensors(path: Path, pixels: Tensor) -> Tensor:
    net, about = load_weights(path)
    loaded = Answer(net, about["mean"], about["std"], about["test_shifts"]).eval()
    with torch.no_grad():
        return torch.cat([loaded(batch) for batch in pixels.split(BATCH)])


def _write_python(net: Answer, about: About, pixels: Tensor, path: Path) -> None:
    name = about["data"]["init_args"].get("dataset", about["data"]["class_path"])
    told = f"A network that was found for {Path(str(name)).name}, with its weights."
    values = about["mean"], about["std"], about["image_size"], net.test_shifts
    write_text(path, ejected(net.net, told, *values))


IN_A_FRESH_INTERPRETER = """
import runpy, sys, torch
load = runpy.run_path(sys.argv[1])["load"]
pixels = torch.load(sys.argv[2], weights_only=True)
net = load()
with torch.no_grad():
    torch.save(torch.cat([net(batch) for batch in pixels.split(100)]), sys.argv[3])
"""


def _answer_python(path: Path, pixels: Tensor) -> Tensor:
    with tempfile.TemporaryDirectory() as folder:
        given, answers = Path(folder) / "pixels.pt", Path(folder) / "answers.pt"
        torch.save(pixels.clone(), given)
        words = [str(path.resolve()), str(given), str(answers)]
        command = [sys.executable, "-I", "-c", IN_A_FRESH_INTERPRETER, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(f"{path} cannot be run: {done.stderr.strip().splitlines()[-1]}")
        return torch.as_tensor(torch.load(answers, weights_only=True))


FORMATS: Mapping[str, Format] = {
    "onnx": Format(
        ".onnx", _write_onnx, _answer_onnx, "onnx", ("onnx", "onnxscript", "onnxruntime")
    ),
    "litert": Format(
        ".tflite", _write_litert, _answer_litert, "tensorflow", ("litert_torch", "ai_edge_litert")
    ),
    "pt2": Format(".pt2", _write_pt2, _answer_pt2),
    "safetensors": Format(".safetensors", _write_safetensors, _answer_safetensors),
    "python": Format(".py", _write_python, _answer_python),
}
"""Kinds of files by their name on the command line."""
