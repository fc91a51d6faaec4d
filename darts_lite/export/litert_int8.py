"""Writes a net as LiteRT file in whole numbers of 8 bits, as small as an interpreter needs it.

The file takes normalised maps in int8, one at a time, channels last: what turns pixels, or values
of a signal, into such numbers is one multiplication and one addition, see `Scaling`. It gives
logits: the largest one names the class, for which no device needs a softmax. It holds no names, no
copies of maps that another order of weights spares, and nothing else that an interpreter can do
without, since on a small device each byte counts.
"""

import math
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from darts_lite.export.folding import fold_norms, is_plain
from darts_lite.export.inference import Answer
from darts_lite.export.runtimes import Answered, ask_batches
from darts_lite.space.litert_padding import grows

NEEDS = ("litert_torch", "ai_edge_quantizer", "ai_edge_litert")
"""Modules of the extra ``device``."""
SMALL = 1 << 16
"""Most bytes of weights whose biases get no scales of their own. The fast kernels of phones ask for
them, and interpreters of small devices do not."""
IDENTIFIER = b"TFL3"
"""What a LiteRT file has behind its first four bytes."""


@dataclass(frozen=True)
class Scaling:
    """How maps of pixels of 0 to 1, or of values, become a file's numbers.

    They are ``round(factor * value + offset)``.

    Args:
        factors: One for each channel.
        offsets: Likewise.
        output_scale: What a step of the logits is worth.
        output_zero: The whole number that stands for a logit of 0.
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

    def read(self, answers: Tensor) -> Tensor:
        """Returns the probabilities ``(B, classes)`` of answers in whole numbers."""
        return ((answers.float() - self.output_zero) * self.output_scale).softmax(dim=1)


def write_litert_int8(net: Answer, calibration: Tensor, path: Path) -> None:
    """Writes the file; its scales come from training items, as `Answer` takes them."""
    maps = (net.front(calibration) - net.mean) / net.std
    quantize(spare_padding(fold_norms(net).net.eval(), maps[:1]), maps, path)


def quantize(module: nn.Module, maps: Tensor, path: Path) -> None:
    """Writes a module of maps ``(N, C, H, W)`` as a file; the maps set the scales."""
    converter = import_module("litert_torch")
    names = ("quantizer", "calibrator", "recipe", "recipe_manager")
    quantizer, calibrator, recipe, managing = (
        import_module(f"ai_edge_quantizer.{name}") for name in names
    )
    wanted, manager = recipe.static_wi8_ai8(), managing.RecipeManager()
    manager.load_quantization_recipe(wanted)
    outputs = [0] if module(maps[:1]).dim() == maps.dim() else None
    maps = maps.permute(0, 2, 3, 1).contiguous()  # (N, H, W, C)
    floats, whole = path.with_name("floats.tflite"), path.with_name("whole.tflite")
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # they print every pass
        last = converter.to_channel_last_io(module, args=[0], outputs=outputs).eval()
        converter.convert(last, (maps[:1],)).export(str(floats))
        given = {"serving_default": [{"args_0": one.numpy()} for one in maps.split(1)]}
        seen = calibrator.Calibrator(str(floats), num_threads=1, qsv_update_func=widen_range)
        seen.calibrate(given, manager)
        made = quantizer.Quantizer(str(floats), wanted).quantize(seen.get_model_qsvs())
        made.export_model(str(whole), overwrite=True)
    path.write_bytes(strip(whole.read_bytes()))


def widen_range(known: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Returns the range of a map from that of all images before and that of one more.

    The quantiser's own way, a moving average of each image's extremes, cuts off what is above: of
    two nets for 4 KiB that cost 0.2 points, see docs/benchmarks/devices.md.
    """
    low, high = min(known["min"], new["min"]), max(known["max"], new["max"])
    return {**new, "min": low, "max": high}


@torch.no_grad()
def spare_padding(net: nn.Module, image: Tensor) -> nn.Module:
    """Enlarges kernels with zeros where that spares a copy of a map; see `grows`.

    Changes the net, and not what it computes: a layer that is asked more than once, perhaps about
    maps of other sides, stays, and so do all in a net whose code reads their weights itself.
    `image` is one that the net takes, ``(1, C, H, W)``.
    """
    asked: set[str] = set()
    grown: dict[str, nn.Conv2d] = {}

    def note(name: str, module: nn.Conv2d, given: tuple[Tensor, ...]) -> None:
        (kernel, width), (stride, _), side = module.kernel_size, module.stride, given[0].shape[-1]
        usual = kernel == width and module.dilation == (1, 1) and given[0].shape[-2] == side
        usual = usual and module.padding == (kernel // 2,) * 2
        if name in asked:
            grown.pop(name, None)
        elif usual and grows(side, kernel, stride, module.weight[..., 0, 0].numel()):
            channels = module.in_channels, module.out_channels
            grown[name] = nn.Conv2d(
                *channels, kernel + 1, stride, kernel // 2, groups=module.groups
            )
            grown[name].weight.copy_(pad(module.weight, (0, 1, 0, 1)))
            grown[name].bias = module.bias
        asked.add(name)

    hooks = [
        module.register_forward_pre_hook(partial(note, name))
        for name, module in net.named_modules()
        if is_plain(module)
    ]
    wanted = net(image)
    for hook in hooks:
        hook.remove()
    usual = {name: net.get_submodule(name) for name in grown}
    for name, module in grown.items():
        net.set_submodule(name, module)
    try:
        is_same = torch.allclose(net(image), wanted, rtol=1e-3, atol=1e-4)
    except RuntimeError:  # of shapes that no longer fit
        is_same = False
    if not is_same:
        for name, before in usual.items():
            net.set_submodule(name, before)
    return net


def trim(model: Any) -> None:
    """Takes out of a LiteRT model what an interpreter does not need: see `strip`."""
    schema = import_module("ai_edge_litert.schema_py_generated")
    model.description = model.metadata = model.metadataBuffer = model.signatureDefs = None
    (part,) = model.subgraphs
    part.name = None
    _join_linear(model, part)
    _drop_unused(model, part)
    size = sum(len(held.data) for held in model.buffers if held.data is not None)
    for tensor in part.tensors:
        tensor.name, tensor.hasRank = None, False  # its shape tells the rank
        if tensor.type == schema.TensorType.INT32 and size <= SMALL:
            tensor.quantization = None  # that of a bias follows from its weights and map
    for code in model.operatorCodes:  # which stands in two places, for readers of before
        if code.deprecatedBuiltinCode == code.builtinCode:
            code.builtinCode = 0


def _join_linear(model: Any, part: Any) -> None:
    """Makes linear layers read maps as they lie, channels last, and sorts their weights so."""
    schema = import_module("ai_edge_litert.schema_py_generated")
    kinds, made = schema.BuiltinOperator, {one.outputs[0]: one for one in part.operators}
    read = [part.tensors[number].buffer for one in part.operators for number in _list_inputs(one)]

    def before(step: Any, kind: int) -> Any:
        """Returns the operation that makes what another one reads, if it is of a kind."""
        found = made.get(step.inputs[0])
        return (
            found if found and model.operatorCodes[found.opcodeIndex].builtinCode == kind else None
        )

    for step in part.operators:
        if model.operatorCodes[step.opcodeIndex].builtinCode != kinds.FULLY_CONNECTED:
            continue
        if (reshape := before(step, kinds.RESHAPE)) is None:
            continue
        source, weights = reshape.inputs[0], part.tensors[step.inputs[1]]
        if list(weights.shape[1:]) != [math.prod(part.tensors[source].shape[1:])]:
            continue  # it reads places or channels of the map one after the other, not all at once
        if (transpose := before(reshape, kinds.TRANSPOSE)) is not None:
            source, order = transpose.inputs[0], transpose.inputs[1]
            shared = read.count(weights.buffer) > 1  # another layer reads them as they are
            if shared or list(_read(model, part, order).view("<i4")) != [0, 3, 1, 2]:
                continue
            _, height, width, channels = part.tensors[source].shape
            held = _read(model, part, step.inputs[1]).reshape(-1, channels, height, width)
            model.buffers[weights.buffer].data = held.transpose(0, 2, 3, 1).flatten()
        step.inputs, step.builtinOptions.keepNumDims = [source, *step.inputs[1:]], False


def _read(model: Any, part: Any, number: int) -> Any:
    """Returns the bytes of a constant tensor."""
    return model.buffers[part.tensors[number].buffer].data


def _list_inputs(step: Any) -> list[int]:
    """Returns the tensors that an operation reads; -1 stands for one that it does without."""
    return [number for number in step.inputs if number >= 0]


def _drop_unused(model: Any, part: Any) -> None:
    """Drops operations whose results nobody reads, then tensors, buffers and codes likewise."""
    read = {*part.outputs, *(number for one in part.operators for number in _list_inputs(one))}
    while unread := [one for one in part.operators if not read & {*one.outputs}]:
        part.operators = [one for one in part.operators if one not in unread]
        read = {*part.outputs, *(number for one in part.operators for number in _list_inputs(one))}
    kept = sorted(read | {*part.inputs})
    places = {-1: -1} | {number: place for place, number in enumerate(kept)}
    part.tensors = [part.tensors[number] for number in kept]
    lists = [(part, "inputs"), (part, "outputs")]
    lists += [(one, name) for one in part.operators for name in ("inputs", "outputs")]
    for holder, name in lists:
        setattr(holder, name, [places[number] for number in getattr(holder, name)])
    codes = sorted({one.opcodeIndex for one in part.operators})
    model.operatorCodes = [model.operatorCodes[code] for code in codes]
    for one in part.operators:
        one.opcodeIndex = codes.index(one.opcodeIndex)
    filled = [type(model.buffers[0])()]
    buffers = {0: 0}
    for tensor in part.tensors:
        held = model.buffers[tensor.buffer]
        if held.data is None or len(held.data) == 0:
            tensor.buffer = 0
            continue
        if tensor.buffer not in buffers:
            buffers[tensor.buffer] = len(filled)
            filled.append(held)
        tensor.buffer = buffers[tensor.buffer]
    model.buffers = filled


def strip(content: bytes) -> bytes:
    """Returns a LiteRT file without names, notes, empty buffers, and lists that stand twice."""
    schema = import_module("ai_edge_litert.schema_py_generated")
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    trim(model)
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
        return scaling.read(torch.from_numpy(interpreter.get_tensor(answered["index"])))

    return ask_batches(run, pixels, batch=1)
