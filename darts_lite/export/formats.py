"""Exports a retrained net to other programs' formats, and tries each file after writing it."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from copy import deepcopy
from importlib import import_module
from io import StringIO
from pathlib import Path
from textwrap import shorten
from typing import Any, NamedTuple

import torch
from torch import Tensor

from darts_lite.data.preparation import Preparation
from darts_lite.export.inference import Answer
from darts_lite.export.standalone import generate_code
from darts_lite.export.weight_files import load_weights, save_weights
from darts_lite.storage.atomic_files import write_text
from darts_lite.storage.data_places import hide_places
from darts_lite.storage.leftovers import work_in_folder

TOLERANCE = 1e-4  # largest difference of a probability between the written file and the net
BATCH = 100  # number of images per batch in these comparisons

About = Mapping[str, Any]


class Format(NamedTuple):
    """A kind of file.

    ``write`` takes the net, facts about it, example images and the path, in a folder that is thrown
    away; ``answer`` runs the file in its own runtime: pixels ``(N, C, H, W)`` -> ``(N, classes)``.
    """

    ending: str
    write: Callable[[Answer, About, Tensor, Path], None]
    answer: Callable[[Path, Tensor], Tensor]
    extra: str | None = None  # this package's extra to install
    needs: tuple[str, ...] = ()  # modules that come with the extra


def export(name: str, net: Answer, about: About, pixels: Tensor, path: Path) -> float:
    """Writes a net to a file, runs it, and returns the largest difference of a probability.

    The file replaces an older one only after it has given the right answers.

    Args:
        name: One of `FORMATS`.
        about: Facts about the net; see `load_answer`.
        pixels: Images to compare on, in 0..1, ``(N, C, H, W)``.

    Raises:
        ValueError: if a package is missing, the file cannot be made, or the answers differ.
    """
    kind = FORMATS[name]
    with torch.no_grad():
        expected = torch.cat([net(batch) for batch in pixels.split(BATCH)])
    with work_in_folder(path.parent, ".export-") as folder:
        tried = folder / path.name
        try:
            # Two images, as tracing would take a batch of one for a constant.
            kind.write(net, about, pixels[:1].expand(2, -1, -1, -1).clone(), tried)
            answers = kind.answer(tried, pixels)
        except (RuntimeError, OSError) as error:
            raise ValueError(f"{name}: cannot make {path} ({shorten(str(error), 300)})") from error
        except ImportError as error:
            raise ValueError(_not_installed(name, str(error))) from error
        difference = float((answers - expected).abs().max())
        changed = int((answers.argmax(dim=1) != expected.argmax(dim=1)).sum())
        if changed or not difference <= TOLERANCE:
            raise ValueError(
                f"{path.name} does not answer as the net does, and was not kept: {changed} of "
                f"{len(pixels)} images in another class, probabilities up to {difference:.1e} away"
            )
        tried.replace(path)
    return difference


def describe(net: Answer, about: About) -> dict[str, Any]:
    """Returns what a file tells about its net, as plain values without a path of this machine."""
    return {
        "data": hide_places(about["data"]),
        "data_source": about["data_source"],
        "class_names": about["class_names"],
        "preparation": about["preparation"].to_dict(),
        "test_shifts": net.test_shifts,
    }


def _not_installed(name: str, what: str) -> str:
    extra = FORMATS[name].extra
    return (
        f"{name} needs packages that are not installed ({what}); install this package with its "
        f"extra {extra}, as in pip install -e '.[{extra}]'"
    )


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
    onnx = import_module("onnx")
    model = onnx.load(path)
    _forget_sources(model)
    facts = {name: json.dumps(value) for name, value in describe(net, about).items()}
    onnx.helper.set_model_props(model, facts)
    onnx.save(model, path)


def _forget_sources(message: Any) -> None:
    """Deletes the stack traces and notes inside of an ONNX model, which name files on this disk."""
    for field, value in message.ListFields():
        if field.name in ("metadata_props", "doc_string"):
            message.ClearField(field.name)
        elif field.message_type is not None:
            for part in value if field.is_repeated else [value]:
                _forget_sources(part)


def _answer_onnx(path: Path, pixels: Tensor) -> Tensor:
    session = import_module("onnxruntime").InferenceSession(path)
    answers = [session.run(None, {"pixels": b.numpy()})[0] for b in pixels.split(BATCH)]
    return torch.cat([torch.from_numpy(answer) for answer in answers])


SOURCES = ("stack_trace", "source_fn_stack", "nn_module_stack", "torch_fn", "from_node")
"""What torch notes about a step of a program, for debugging: it names files on this disk."""


def _write_pt2(net: Answer, about: About, pixels: Tensor, path: Path) -> None:
    shapes = {"pixels": {0: torch.export.Dim("batch")}}
    plain = deepcopy(net).to(memory_format=torch.contiguous_format)  # the only one in the file
    program = torch.export.export(plain, (pixels,), dynamic_shapes=shapes)
    for module in program.graph_module.modules():
        for node in getattr(module, "graph", torch.fx.Graph()).nodes:
            for name in SOURCES:
                node.meta.pop(name, None)
    facts = {"about.json": json.dumps(describe(net, about))}
    torch.export.save(program, path, extra_files=facts)


def _answer_pt2(path: Path, pixels: Tensor) -> Tensor:
    loaded = torch.export.load(path).module()
    with torch.no_grad():
        return torch.cat([loaded(batch) for batch in pixels.split(BATCH)])


def _write_litert(net: Answer, about: About, pixels: Tensor, path: Path) -> None:
    converter = import_module("litert_torch")
    plain = deepcopy(net).to(memory_format=torch.contiguous_format)
    with redirect_stdout(StringIO()):  # it prints every pass
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
    sizes = {"in_channels": pixels.shape[1], "num_classes": net.net.num_classes}
    save_weights(net.net, path, {**describe(net, about), **sizes})


def _answer_safetensors(path: Path, pixels: Tensor) -> Tensor:
    net, about = load_weights(path)
    seen = Preparation.from_dict(about["preparation"])
    loaded = Answer(net, seen.mean, seen.std, about["test_shifts"]).eval()
    with torch.no_grad():
        return torch.cat([loaded(batch) for batch in pixels.split(BATCH)])


def _write_python(net: Answer, about: About, pixels: Tensor, path: Path) -> None:
    data = hide_places(about["data"])
    name = data["init_args"].get("dataset", data["class_path"])
    title = f"A network that was found for {name}, with its weights."
    names = about["class_names"]
    write_text(path, generate_code(net.net, title, about["preparation"], net.test_shifts, names))


ANSWER_SCRIPT = """
import runpy, sys, torch
load = runpy.run_path(sys.argv[1])["load"]
pixels = torch.load(sys.argv[2], weights_only=True)
net = load()
with torch.no_grad():
    torch.save(torch.cat([net(batch) for batch in pixels.split(100)]), sys.argv[3])
"""


def _answer_python(path: Path, pixels: Tensor) -> Tensor:
    given, answers = path.with_name("pixels.pt"), path.with_name("answers.pt")
    torch.save(pixels.clone(), given)
    words = [str(file.resolve()) for file in (path, given, answers)]
    command = [sys.executable, "-I", "-c", ANSWER_SCRIPT, *words]
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
"""Kinds of files by their names on the command line."""
