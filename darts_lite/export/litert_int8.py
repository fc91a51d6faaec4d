"""Writes a net as LiteRT file in whole numbers of 8 bits, as small as an interpreter needs it.

The file takes normalised maps in int8, one at a time, channels last: what turns pixels, or values
of a signal, into such numbers is one multiplication and one addition, see `Scaling`. It holds no
names, since on a small device each byte counts.
"""

from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from darts_lite.export.folding import fold_norms
from darts_lite.export.inference import Answer
from darts_lite.export.runtimes import Answered, ask_batches

NEEDS = ("litert_torch", "ai_edge_quantizer", "ai_edge_litert")
"""Modules of the extra ``device``."""
IDENTIFIER = b"TFL3"
"""What a LiteRT file has behind its first four bytes."""


class Probabilities(nn.Module):
    """A net that maps normalised images to probabilities."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        """Computes probabilities ``(B, classes)`` of images ``(B, C, H, W)``."""
        answer: Tensor = self.net(images).softmax(dim=1)
        return answer


@dataclass(frozen=True)
class Scaling:
    """How maps of pixels of 0 to 1, or of values, become a file's numbers.

    They are ``round(factor * value + offset)``.

    Args:
        factors: One for each channel.
        offsets: Likewise.
        output_scale: What a step of the answers is worth.
        output_zero: The whole number that stands for an answer of 0.
    """

    factors: tuple[float, ...]
    offsets: tuple[float, ...]
    output_scale: float
    output_zero: int

    @classmethod
    def of(cls, net: Answer, given: dict[str, Any], answered: dict[str, Any]) -> "Scaling":
        """Reads it from the details of an interpreter's input and output."""
        (scale, zero), (output_scale, output_zero) = given["quantization"], answered["quantization"]
        means, deviations = net.mean.flatten().tolist(), net.std.flatten().tolist()
        factors = tuple(1 / (deviation * scale) for deviation in deviations)
        offsets = tuple(
            zero - mean / (deviation * scale)
            for mean, deviation in zip(means, deviations, strict=True)
        )
        return cls(factors, offsets, float(output_scale), int(output_zero))

    def apply(self, maps: Tensor) -> Tensor:
        """Returns maps ``(B, C, H, W)`` as int8 ``(B, H, W, C)``."""
        factors, offsets = (
            torch.tensor(numbers).view(-1, 1, 1) for numbers in (self.factors, self.offsets)
        )
        whole = (maps * factors + offsets).round().clamp(-128, 127)
        return whole.to(torch.int8).permute(0, 2, 3, 1).contiguous()


def write_litert_int8(net: Answer, calibration: Tensor, path: Path) -> None:
    """Writes the file; its scales come from training items, as `Answer` takes them."""
    converter = import_module("litert_torch")
    quantizer, recipe = (import_module(f"ai_edge_quantizer.{n}") for n in ("quantizer", "recipe"))
    body = Probabilities(fold_norms(net).net).eval()
    images = (
        ((net.front(calibration) - net.mean) / net.std).permute(0, 2, 3, 1).contiguous()
    )  # (N, H, W, C)
    floats, whole = path.with_name("floats.tflite"), path.with_name("whole.tflite")
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # they print every pass
        last = converter.to_channel_last_io(body, args=[0]).eval()
        converter.convert(last, (images[:1],)).export(str(floats))
        made = quantizer.Quantizer(str(floats))
        made.load_quantization_recipe(recipe.static_wi8_ai8())
        given = {"serving_default": [{"args_0": image.numpy()} for image in images.split(1)]}
        made.quantize(made.calibrate(given)).export_model(str(whole), overwrite=True)
    path.write_bytes(strip(whole.read_bytes()))


def strip(content: bytes) -> bytes:
    """Returns a LiteRT file without names, notes, empty buffers, and lists that stand twice."""
    schema = import_module("ai_edge_litert.schema_py_generated")
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    model.description, model.metadata, model.signatureDefs = None, [], []
    filled, places = [schema.BufferT()], {0: 0}
    for part in model.subgraphs:
        part.name = None
        for tensor in part.tensors:
            tensor.name = None
            held = model.buffers[tensor.buffer]
            if held.data is None or len(held.data) == 0:
                tensor.buffer = 0
                continue
            if tensor.buffer not in places:
                places[tensor.buffer] = len(filled)
                filled.append(held)
            tensor.buffer = places[tensor.buffer]
    model.buffers = filled
    builder = _make_sharing(import_module("flatbuffers").Builder)(len(content))
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def _make_sharing(base: Any) -> Any:
    """Returns a builder of flat buffers in which equal lists of numbers are one.

    Most lists of zero points and shapes are equal, and they are a third of a small file.
    """

    class Sharing(base):
        """Forgets a list that it has written before, and refers to the first one."""

        def __init__(self, size: int) -> None:
            super().__init__(size)
            self.known: dict[tuple[int, bytes], int] = {}
            self.before, self.refers, self.length = 0, False, 0

        def StartVector(self, size: int, count: int, alignment: int) -> Any:  # noqa: N802
            self.before, self.refers, self.length = self.Offset(), False, 4 + size * count
            return super().StartVector(size, count, alignment)

        def PrependUOffsetTRelative(self, offset: int) -> None:  # noqa: N802
            self.refers = True  # such a list holds distances, which differ by its place
            super().PrependUOffsetTRelative(offset)

        def EndVector(self, *count: int) -> Any:  # noqa: N802
            offset = super().EndVector(*count)
            if self.refers:
                return offset
            start = self.Head()
            content = bytes(self.Bytes[start : start + self.length])
            known = self.known.setdefault((self.length, content), offset)
            if known != offset:
                self.head = len(self.Bytes) - self.before
            return known

    return Sharing


def open_litert(net: Answer, path: Path) -> tuple[Any, Scaling]:
    """Returns an interpreter of a file, and the scaling of its numbers."""
    make = import_module("ai_edge_litert.interpreter").Interpreter
    interpreter = make(str(path), num_threads=1)
    interpreter.allocate_tensors()
    (given,), (answered,) = interpreter.get_input_details(), interpreter.get_output_details()
    return interpreter, Scaling.of(net, given, answered)


def ask_litert_int8(net: Answer, path: Path, pixels: Tensor) -> Answered:
    """Asks LiteRT for the probabilities of items, one at a time."""
    interpreter, scaling = open_litert(net, path)
    (given,), (answered,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(part: Tensor) -> Tensor:
        interpreter.set_tensor(given["index"], scaling.apply(net.front(part)).numpy())
        interpreter.invoke()
        whole = torch.from_numpy(interpreter.get_tensor(answered["index"]))
        return (whole.float() - scaling.output_zero) * scaling.output_scale

    return ask_batches(run, pixels, batch=1)
