"""Writes a trained net as one file of plain torch code, which does not need this package.

The file holds the calls that build the net's modules, cell by cell, then the weights as text. Nets
with custom operations are refused, as their code is not known here.
"""

import base64
import io
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from darts_lite.networks.net import DiscreteCell, Net
from darts_lite.networks.skeleton import CellsBetweenBlocks, ResidualReduction, TwoInputs
from darts_lite.space.operations import FactorizedReduce, Subsample, Zero
from darts_lite.storage.components import class_path

LINE = 88  # most characters in a line of weights, or of code without its indentation
SIGNATURE = "Made by darts_lite, and needs nothing but torch."  # in every such file's docstring
STRIDED = '''
class {}(nn.Module):
    """{}"""

    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return {}
'''
PIXELS = "x[:, :, :: self.stride, :: self.stride]"
HELPERS = {
    FactorizedReduce: '''
class FactorizedReduce(nn.Module):
    """Halves a map by two 1x1 convolutions on grids that are shifted by one pixel."""

    def __init__(self, in_channels, out_channels, affine=True):
        super().__init__()
        self.even = nn.Conv2d(in_channels, out_channels // 2, 1, bias=False)
        self.odd = nn.Conv2d(in_channels, out_channels - out_channels // 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, affine=affine)

    def forward(self, x):
        x = F.pad(torch.relu(x), (0, x.shape[3] % 2, 0, x.shape[2] % 2))
        halves = self.even(x[:, :, ::2, ::2]), self.odd(x[:, :, 1::2, 1::2])
        return self.norm(torch.cat(halves, dim=1))
''',
    Subsample: STRIDED.format("Subsample", "Every stride-th pixel.", PIXELS),
    Zero: STRIDED.format("Zero", "No connection.", f"torch.zeros_like({PIXELS})"),
}
"""Plain code of the modules that torch does not have."""


def generate_code(
    net: Net,
    about: str,
    mean: Sequence[float],
    std: Sequence[float],
    image_size: int,
    test_shifts: int = 0,
) -> str:
    """Returns the text of a Python file that holds a net, its weights and its normalisation.

    The file's ``load()`` returns a module that maps pixels in 0..1, ``(B, C, H, W)``, to
    probabilities ``(B, classes)``.

    Args:
        about: First line of the file's docstring.
        image_size: Side of the training images in pixels.
        test_shifts: Largest shift in pixels; see `darts_lite.Retraining`.

    Raises:
        ValueError: if an operation is neither this package's nor torch's.
    """
    renamed: dict[str, str] = {}
    cells = [_write_cell(index, cell, renamed) for index, cell in enumerate(net.skeleton.cells)]
    body = _write_net(net, renamed)
    used = {type(module) for module in net.modules()}
    helpers = [text for kind, text in HELPERS.items() if kind in used]
    answer = _write_answer(mean, std, test_shifts)
    side = f"{image_size:d}"
    # Part of a docstring: no data set's name may end it and become code.
    about = "".join(x if x.isprintable() and x not in '"\\' else "_" for x in about)
    head = f'''"""{about}

    net = load()
    probabilities = net(images)  # pixels of 0 to 1, (B, {len(mean)}, {side}, {side})

{SIGNATURE}
"""

import base64
import io

import torch
from torch import nn
from torch.nn import functional as F
'''
    parts = [head, *helpers, *cells, body, answer, _write_weights(net, renamed)]
    return "\n\n".join(part.strip("\n") + "\n" for part in parts)


def _write_cell(index: int, cell: DiscreteCell, renamed: dict[str, str]) -> str:
    """Returns the class of a cell; puts its modules' old and new names into ``renamed``."""
    old, new = f"skeleton.cells.{index}", f"cell{index}"
    two = isinstance(cell.inputs, TwoInputs)
    inputs = ["before_last", "last"] if two else ["last"]
    built: list[str] = []
    flow: list[str] = [] if two else ["s0 = last"]
    for state, name in enumerate(inputs if two else []):
        built += _assign(name, getattr(cell.inputs, name))
        renamed[f"{old}.inputs.{name}"] = f"{new}.{name}"
        flow.append(f"s{state} = self.{name}({name})")
    nodes: Any = cell.nodes
    for node, module in enumerate(nodes):
        terms = []
        for edge in module.adding:
            operation, (kept, source) = module.operations[edge], module.kept[edge]
            name = f"s{node + len(inputs)}_from_s{source}"
            # Several edges from one state are distinguished by their numbers.
            if sum(other == source for _, other in module.kept) > 1:
                name += f"_{edge}"
            if isinstance(operation, nn.Identity):
                terms.append(f"s{source}")
                continue
            built += [f"# {kept}", *_assign(name, operation)]
            renamed[f"{old}.nodes.{node}.operations.{edge}"] = f"{new}.{name}"
            terms.append(f"self.{name}(s{source})")
        flow.append(f"s{node + len(inputs)} = {' + '.join(terms)}")
    output = ", ".join(f"s{state}" for state in cell.concat)
    output = f"torch.cat([{output}], dim=1)" if len(cell.concat) > 1 else output
    flow.append(f"return {output}")
    title = f"Cell {index}: {cell.kind}."
    return _write_class(f"Cell{index}", title, built, ", ".join(inputs), flow)


def _write_net(net: Net, renamed: dict[str, str]) -> str:
    """Returns the class of the net; puts its modules' old and new names into ``renamed``."""
    frame = net.skeleton
    built = [*_assign("stem", frame.stem)]
    renamed["skeleton.stem"] = "stem"
    flow = ["x = self.stem(images)"]
    one_input = isinstance(frame, CellsBetweenBlocks)
    if not one_input:
        flow.append("before_last = last = x")
    for index in range(len(frame.cells)):
        if one_input and str(index) in frame.reductions:
            block, old = frame.reductions[str(index)], f"skeleton.reductions.{index}"
            residual = isinstance(block, ResidualReduction)
            parts = dict(block.named_children()) if residual else {"reduction": block}
            for part, module in parts.items():
                built += _assign(f"{part}{index}", module)
                renamed[f"{old}.{part}" if residual else old] = f"{part}{index}"
            flow.append("x = " + " + ".join(f"self.{part}{index}(x)" for part in parts))
        built.append(f"self.cell{index} = Cell{index}()")
        if one_input:
            flow.append(f"x = self.cell{index}(x)")
        else:
            flow.append(f"before_last, last = last, self.cell{index}(before_last, last)")
    if one_input:
        built += _assign("norm", frame.norm)
        renamed["skeleton.norm"] = "norm"
        flow.append("x = torch.relu(self.norm(x))")
    else:
        flow.append("x = last")
    built += _assign("classifier", frame.classifier)
    renamed["skeleton.classifier"] = "classifier"
    flow.append("return self.classifier(x.mean(dim=(2, 3)))")
    title = "The network: normalised images -> logits."
    return _write_class("Net", title, built, "images", flow)


def _write_class(
    name: str, title: str, built: Sequence[str], takes: str, flow: Sequence[str]
) -> str:
    lines = [f"class {name}(nn.Module):", f'    """{title}"""', "", "    def __init__(self):"]
    lines += [f"        {line}" for line in ("super().__init__()", *built)]
    lines += ["", f"    def forward(self, {takes}):", *(f"        {line}" for line in flow)]
    return "\n".join(lines)


def _assign(name: str, module: nn.Module) -> Iterator[str]:
    """Returns the lines that make a module an attribute."""
    return _wrap(f"self.{name} = ", module, "")


def _wrap(start: str, module: nn.Module, end: str) -> Iterator[str]:
    """Yields one line, or a long `nn.Sequential` with each of its parts on a separate line."""
    line = f"{start}{_write_call(module)}{end}"
    if len(line) <= LINE or not isinstance(module, nn.Sequential):
        yield line
        return
    indent = " " * (len(start) - len(start.lstrip()))
    yield f"{start}nn.Sequential("
    for part in module:
        yield from _wrap(f"{indent}    ", part, ",")
    yield f"{indent}){end}"


def _write_call(module: nn.Module) -> str:
    """Returns the call that builds a module; raises ValueError if the module is not known."""
    if not _is_known(module):
        raise ValueError(
            f"{class_path(type(module))} is a custom operation, whose code a standalone file "
            "cannot hold; export to another format"
        )
    match module:
        case nn.Sequential():
            return f"nn.Sequential({', '.join(map(_write_call, module))})"
        case FactorizedReduce():
            sizes = module.even.in_channels, module.norm.num_features
            return _format_call("FactorizedReduce", sizes, affine=(module.norm.affine, True))
        case nn.Conv2d():
            return _format_call(
                "nn.Conv2d",
                (module.in_channels, module.out_channels, module.kernel_size[0]),
                stride=(module.stride[0], 1),
                padding=(module.padding[0], 0),
                dilation=(module.dilation[0], 1),
                groups=(module.groups, 1),
                bias=(module.bias is not None, True),
            )
        case nn.BatchNorm2d():
            return _format_call(
                "nn.BatchNorm2d", (module.num_features,), affine=(module.affine, True)
            )
        case nn.MaxPool2d():
            window = module.kernel_size, module.stride
            return _format_call("nn.MaxPool2d", window, padding=(module.padding, 0))
        case nn.AvgPool2d():
            return _format_call(
                "nn.AvgPool2d",
                (module.kernel_size, module.stride),
                padding=(module.padding, 0),
                ceil_mode=(module.ceil_mode, False),
                count_include_pad=(module.count_include_pad, True),
            )
        case nn.Linear():
            return _format_call("nn.Linear", (module.in_features, module.out_features))
        case nn.ReLU() | nn.Identity():
            return f"nn.{type(module).__name__}()"
        case Subsample():
            return _format_call(type(module).__name__, (module.stride,))
    raise ValueError(
        f"{type(module).__qualname__} cannot be written as plain code; export to another format"
    )


def is_plain(net: Net) -> bool:
    """Returns whether all of a net's operations are this package's or torch's."""
    return all(map(_is_known, net.modules()))


def _is_known(module: nn.Module) -> bool:
    return type(module).__module__.split(".")[0] in ("torch", "darts_lite")


def _format_call(name: str, values: Sequence[object], **settings: tuple[object, object]) -> str:
    """Returns a call with all ``values`` and the ``settings`` that differ from their defaults."""
    arguments = [str(value) for value in values]
    arguments += [f"{key}={value}" for key, (value, usual) in settings.items() if value != usual]
    return f"{name}({', '.join(arguments)})"


def _write_answer(mean: Sequence[float], std: Sequence[float], shifts: int) -> str:
    mean_of_shifts = f"""
        padded = F.pad(images, ({shifts},) * 4, mode="replicate")
        height, width = images.shape[2:]
        offsets = (0, {shifts}, {2 * shifts})
        views = [padded[:, :, y : y + height, x : x + width] for y in offsets for x in offsets]
        return torch.stack([self.net(view).softmax(dim=1) for view in views]).mean(dim=0)"""
    alone = "\n        return self.net(images).softmax(dim=1)"
    title = "the mean over nine shifts of the images" if shifts else "of the network"
    return f'''
class Answer(nn.Module):
    """Pixels from 0 to 1 -> probabilities, {title}."""

    def __init__(self):
        super().__init__()
        self.net = Net()
        mean, std = {list(map(float, mean))}, {list(map(float, std))}
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, pixels):
        images = (pixels - self.mean) / self.std{mean_of_shifts if shifts else alone}


def load():
    """The trained network, ready to answer."""
    answer = Answer()
    content = io.BytesIO(base64.b64decode(WEIGHTS))
    answer.net.load_state_dict(torch.load(content, weights_only=True))
    return answer.eval()
'''


def _write_weights(net: Net, renamed: dict[str, str]) -> str:
    """Returns the weights as base64 text, under their names in the file."""
    state = {}
    for name, value in net.state_dict().items():
        for old, new in renamed.items():
            if name.startswith(f"{old}."):
                plain = value.detach().cpu().clone(memory_format=torch.contiguous_format)
                state[new + name.removeprefix(old)] = plain
    content = io.BytesIO()
    torch.save(state, content)
    whole = base64.b64encode(content.getvalue()).decode()
    text = "\n".join(whole[start : start + LINE] for start in range(0, len(whole), LINE))
    return f'WEIGHTS = """\n{text}\n"""\n'
