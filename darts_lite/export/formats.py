"""Exports a retrained net to other programs' formats, and tries each file after writing it."""

import json
import zipfile
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path
from textwrap import shorten
from typing import Any, NamedTuple

import torch
from torch import Tensor

from darts_lite.data.preparation import build_preparation
from darts_lite.export import runtimes
from darts_lite.export.facts import Facts
from darts_lite.export.folding import fold_norms
from darts_lite.export.inference import Answer
from darts_lite.export.runtimes import Answered
from darts_lite.export.standalone import generate_code
from darts_lite.networks.net import save_weights
from darts_lite.storage.atomic_files import write_text
from darts_lite.storage.leftovers import work_in_folder

TOLERANCE = 1e-4  # largest difference of a probability between the written file and the net


class Format(NamedTuple):
    """A kind of file.

    ``write`` takes the net, facts about it, example images and the path, in a folder that is thrown
    away; ``ask`` runs the file in its own runtime with pixels ``(N, C, H, W)``.
    """

    ending: str
    write: Callable[[Answer, Facts, Tensor, Path], None]
    ask: Callable[[Path, Tensor], Answered]
    runtime: str
    extra: str | None = None  # this package's extra to install
    needs: tuple[str, ...] = ()  # modules that come with the extra


class Written(NamedTuple):
    """A file that was written and tried."""

    path: Path
    size: int
    """Its bytes."""
    difference: float
    """Largest difference of a probability from the net's."""
    milliseconds: float
    """Median time of one image in the file's own runtime, in one thread."""


def export(
    name: str, net: Answer, facts: Facts, pixels: Tensor, expected: Tensor, path: Path
) -> Written:
    """Writes a net to a file, and runs the file.

    It replaces an older one only after it has given the right answers.

    Args:
        name: One of `FORMATS`.
        facts: What the file tells; see `darts_lite.export.facts.describe`.
        pixels: Images to compare on, in 0..1, ``(N, C, H, W)``.
        expected: The net's probabilities for them, ``(N, classes)``.

    Raises:
        ValueError: if a package is missing, the file cannot be made, or the answers differ.
    """
    kind = FORMATS[name]
    with work_in_folder(path.parent, ".export-") as folder:
        tried = folder / path.name
        try:
            # Two images, as tracing would take a batch of one for a constant.
            kind.write(net, facts, pixels[:1].expand(2, *pixels.shape[1:]).clone(), tried)
            answers, milliseconds = kind.ask(tried, pixels)
        except (RuntimeError, OSError) as error:
            raise ValueError(f"{name}: cannot make {path} ({shorten(str(error), 300)})") from error
        except ImportError as error:
            raise ValueError(explain_missing(kind.extra, str(error))) from error
        difference = float((answers - expected).abs().max())
        changed = int((answers.argmax(dim=1) != expected.argmax(dim=1)).sum())
        if changed or not difference <= TOLERANCE:
            raise ValueError(
                f"{path.name} does not answer as the net does, and was not kept: {changed} of "
                f"{len(pixels)} answers are another class, probabilities differ by {difference:.1e}"
            )
        tried.replace(path)
    return Written(path, path.stat().st_size, difference, milliseconds)


def explain_missing(extra: str | None, what: str) -> str:
    """Returns the message for packages of an extra that are not there."""
    return (
        f"packages are not installed ({what}); install this package with its "
        f"extra {extra}, as in pip install -e '.[{extra}]'"
    )


def _write_onnx(net: Answer, facts: Facts, pixels: Tensor, path: Path) -> None:
    import_module("onnxscript")
    batch = torch.export.Dim("batch")
    torch.onnx.export(
        fold_norms(net),
        (pixels,),
        path,
        input_names=[build_preparation(facts["preparation"]).values],
        output_names=["probabilities"],
        dynamic_shapes={"items": {0: batch}},
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    onnx = import_module("onnx")
    model = onnx.load(path)
    _forget_sources(model)
    model.graph.ClearField("value_info")  # shapes between the steps, which follow from the input's
    onnx.helper.set_model_props(model, {name: json.dumps(value) for name, value in facts.items()})
    onnx.save(model, path)


def _forget_sources(message: Any) -> None:
    """Deletes the stack traces and notes inside of an ONNX model, which name files on this disk."""
    for field, value in message.ListFields():
        if field.name in ("metadata_props", "doc_string"):
            message.ClearField(field.name)
        elif field.message_type is not None:
            for part in value if field.is_repeated else [value]:
                _forget_sources(part)


SOURCES = ("stack_trace", "source_fn_stack", "nn_module_stack", "torch_fn", "from_node")
"""What torch notes about a step of a program, for debugging: it names files on this disk."""
ABOUT = "about.json"
"""Name of the facts inside of files that are archives."""


def _write_pt2(net: Answer, facts: Facts, pixels: Tensor, path: Path) -> None:
    shapes = {"items": {0: torch.export.Dim("batch")}}
    program = torch.export.export(fold_norms(net), (pixels,), dynamic_shapes=shapes)
    for module in program.graph_module.modules():
        for node in getattr(module, "graph", torch.fx.Graph()).nodes:
            for name in SOURCES:
                node.meta.pop(name, None)
    program.example_inputs = None  # which would be in the file
    torch.export.save(program, path, extra_files={ABOUT: json.dumps(facts)})


def _write_litert(net: Answer, facts: Facts, pixels: Tensor, path: Path) -> None:
    converter = import_module("litert_torch")
    with redirect_stdout(StringIO()):  # it prints every pass
        converter.convert(fold_norms(net), (pixels[:1],)).export(str(path))
    with zipfile.ZipFile(path, "a") as archive:  # behind the model, where TensorFlow Lite's lie too
        archive.writestr(ABOUT, json.dumps(facts))


def _write_safetensors(net: Answer, facts: Facts, pixels: Tensor, path: Path) -> None:
    save_weights(net.net, path, facts)  # as `Net` holds them, whose norms can be trained further


def _write_python(net: Answer, facts: Facts, pixels: Tensor, path: Path) -> None:
    data = facts["data"]
    name = data["init_args"].get("dataset", data["class_path"])
    title = f"A network for {name}, with its weights."
    write_text(path, generate_code(fold_norms(net).net, title, facts))


FORMATS: Mapping[str, Format] = {
    "onnx": Format(
        *(".onnx", _write_onnx, runtimes.ask_onnx, "ONNX Runtime"),
        *("onnx", ("onnx", "onnxscript", "onnxruntime")),
    ),
    "litert": Format(
        *(".tflite", _write_litert, runtimes.ask_litert, "LiteRT"),
        *("tensorflow", ("litert_torch", "ai_edge_litert")),
    ),
    "pt2": Format(".pt2", _write_pt2, runtimes.ask_pt2, "torch.export"),
    "safetensors": Format(
        ".safetensors", _write_safetensors, runtimes.ask_safetensors, "darts_lite"
    ),
    "python": Format(".py", _write_python, runtimes.ask_python, "Python and torch"),
}
"""Kinds of files by their names on the command line."""
