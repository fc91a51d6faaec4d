"""A trained net as one file of plain torch code, which needs this package no more.

The modules of the net are printed as the calls that build them, cell by cell; the weights follow as
text. What a user's own operation does is not known here, so such a net is refused.
"""

import base64
import io
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from darts_lite.networks.net import Cell, Net
from darts_lite.networks.skeleton import CellsBetweenBlocks, ResidualReduction, TwoInputs
from darts_lite.space.operations import FactorizedReduce, Subsample, Zero
from darts_lite.storage.components import class_path

LINE = 88
"""Letters in a line of the weights, or of the code behind its indentation."""
SIGNATURE = "Made by darts_lite, and needs nothing but torch."
"""What every such file says of itself."""
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
    Subsample: '''
class Subsample(nn.Module):
    """Every stride-th pixel."""

    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return x[:, :, :: self.stride, :: self.stride]
''',
    Zero: '''
class Zero(nn.Module):
    """No connection."""

    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return torch.zeros_like(x[:, :, :: self.stride, :: self.stride])
''',
}
"""Plain code of the modules that torch does not have."""


def ejected(
    net: Net,
    about: str,
    mean: Sequence[float],
    std: Sequence[float],
    image_size: int,
    test_shifts: int = 0,
) -> str:
    """The text of a Python file that holds a net, its weights and its normalisation.

    ``load()`` of the file returns a module that maps pixels of 0 to 1, ``(B, C, H, W)``, to
    probabilities ``(B, classes)``.

    Args:
        net: As it is after its training.
        about: What the file says of itself.
        mean, std: Of the channels.
        image_size: Of the images it was trained on, in pixels.
        test_shifts: See `darts_lite.Retraining`.

    Raises:
        ValueError: if an operation is not one of this package or of torch.
    """
    renamed: dict[str, str] = {}
    cells = [_cell(index, cell, renamed) for index, cell in enumerate(net.skeleton.cells)]
    body = _net(net, renamed)
    used = {type(module) for module in net.modules()}
    helpers = [text for kind, text in HELPERS.items() if kind in used]
    answer = _answer(mean, std, test_shifts)
    weights = _weights(net, renamed)
    side = f"{image_size:d}"
    # The text of a docstring, whatever is in a data set's name: nothing of it may become code.
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
    parts = [head, *helpers, *cells, body, answer, weights]
    return "\n\n".join(part.strip("\n") + "\n" for part in parts)


def _cell(index: int, cell: Cell, renamed: dict[str, str]) -> str:
    """A class for one cell, its states and edges by name."""
    old, new = f"skeleton.cells.{index}", f"cell{index}"
    two = isinstance(cell.inputs, TwoInputs)
    inputs = ["before_last", "last"] if two else ["last"]
    built: list[str] = []
    flow: list[str] = []
    if two:
        for state, name in enumerate(inputs):
            built += _built(name, getattr(cell.inputs, name))
            renamed[f"{old}.inputs.{name}"] = f"{new}.{name}"
            flow.append(f"s{state} = self.{name}({name})")
    else:
        flow.append("s0 = last")
    nodes: Any = cell.nodes
    for node, module in enumerate(nodes):
        terms = []
        for edge in module.adding:
            operation, (kept, source) = module.operations[edge], module.kept[edge]
            name = f"s{node + len(inputs)}_from_s{source}"
            if sum(other == source for _, other in module.kept) > 1:
                name += f"_{edge}"
            if isinstance(operation, nn.Identity):
                terms.append(f"s{source}")
                continue
            built += [f"# {kept}", *_built(name, operation)]
            renamed[f"{old}.nodes.{node}.operations.{edge}"] = f"{new}.{name}"
            terms.append(f"self.{name}(s{source})")
        flow.append(f"s{node + len(inputs)} = {' + '.join(terms)}")
    output = ", ".join(f"s{state}" for state in cell.concat)
    flow.append(
        f"return torch.cat([{output}], dim=1)" if len(cell.concat) > 1 else f"return {output}"
    )
    return _class(f"Cell{index}", f"Cell {index}: {cell.kind}.", built, ", ".join(inputs), flow)


def _net(net: Net, renamed: dict[str, str]) -> str:
    frame = net.skeleton
    built = [*_built("stem", frame.stem)]
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
                built += _built(f"{part}{index}", module)
                renamed[f"{old}.{part}" if residual else old] = f"{part}{index}"
            flow.append("x = " + " + ".join(f"self.{part}{index}(x)" for part in parts))
        built.append(f"self.cell{index} = Cell{index}()")
        if one_input:
            flow.append(f"x = self.cell{index}(x)")
        else:
            flow.append(f"before_last, last = last, self.cell{index}(before_last, last)")
    if one_input:
        built += _built("norm", frame.norm)
        renamed["skeleton.norm"] = "norm"
        flow.append("x = torch.relu(self.norm(x))")
    else:
        flow.append("x = last")
    built += _built("classifier", frame.classifier)
    renamed["skeleton.classifier"] = "classifier"
    flow.append("return self.classifier(x.mean(dim=(2, 3)))")
    told = "The network: normalised images -> logits."
    return _class("Net", told, built, "images", flow)


def _class(name: str, told: str, built: Sequence[str], takes: str, flow: Sequence[str]) -> str:
    lines = [f"class {name}(nn.Module):", f'    """{told}"""', "", "    def __init__(self):"]
    lines += [f"        {line}" for line in ("super().__init__()", *built)]
    lines += ["", f"    def forward(self, {takes}):", *(f"        {line}" for line in flow)]
    return "\n".join(lines)


def _built(name: str, module: nn.Module) -> Iterator[str]:
    """The lines that make a module an attribute."""
    return _broken(f"self.{name} = ", module, "")


def _broken(start: str, module: nn.Module, end: str) -> Iterator[str]:
    """A line, or a sequence with each of its parts on a line of its own."""
    line = f"{start}{expression(module)}{end}"
    if len(line) <= LINE or not isinstance(module, nn.Sequential):
        yield line
        return
    indent = " " * (len(start) - len(start.lstrip()))
    yield f"{start}nn.Sequential("
    for part in module:
        yield from _broken(f"{indent}    ", part, ",")
    yield f"{indent}){end}"


def expression(module: nn.Module) -> str:
    """The call that builds a module.

    Raises:
        ValueError: if it is neither torch's nor this package's.
    """
    if not _known(module):
        raise ValueError(
            f"{class_path(type(module))} is an operation of your own, "
            "whose code a standalone file does not know; export to another format"
        )
    match module:
        case nn.Sequential():
            return f"nn.Sequential({', '.join(map(expression, module))})"
        case FactorizedReduce():
            sizes = module.even.in_channels, module.norm.num_features
            return _call("FactorizedReduce", sizes, affine=(module.norm.affine, True))
        case nn.Conv2d():
            return _call(
                "nn.Conv2d",
                (module.in_channels, module.out_channels, module.kernel_size[0]),
                stride=(module.stride[0], 1),
                padding=(module.padding[0], 0),
                dilation=(module.dilation[0], 1),
                groups=(module.groups, 1),
                bias=(module.bias is not None, True),
            )
        case nn.BatchNorm2d():
            return _call("nn.BatchNorm2d", (module.num_features,), affine=(module.affine, True))
        case nn.MaxPool2d():
            window = module.kernel_size, module.stride
            return _call("nn.MaxPool2d", window, padding=(module.padding, 0))
        case nn.AvgPool2d():
            return _call(
                "nn.AvgPool2d",
                (module.kernel_size, module.stride),
                padding=(module.padding, 0),
                ceil_mode=(module.ceil_mode, False),
                count_include_pad=(module.count_include_pad, True),
            )
        case nn.Linear():
            return _call("nn.Linear", (module.in_features, module.out_features))
        case nn.ReLU() | nn.Identity():
            return f"nn.{type(module).__name__}()"
        case Subsample():
            return _call(type(module).__name__, (module.stride,))
    raise ValueError(
        f"{type(module).__qualname__} cannot be written as plain code; export to another format"
    )


def is_plain(net: Net) -> bool:
    """Whether all of a net's operations are of this package or of torch."""
    return all(map(_known, net.modules()))


def _known(module: nn.Module) -> bool:
    return type(module).__module__.split(".")[0] in ("torch", "darts_lite")


def _call(name: str, values: Sequence[object], **settings: tuple[object, object]) -> str:
    """A call with the settings that differ from what is usual."""
    told = [str(value) for value in values]
    told += [f"{key}={value}" for key, (value, usual) in settings.items() if value != usual]
    return f"{name}({', '.join(told)})"


def _answer(mean: Sequence[float], std: Sequence[float], shifts: int) -> str:
    mean_of_shifts = f"""
        padded = F.pad(images, ({shifts},) * 4, mode="replicate")
        height, width = images.shape[2:]
        offsets = (0, {shifts}, {2 * shifts})
        views = [padded[:, :, y : y + height, x : x + width] for y in offsets for x in offsets]
        return torch.stack([self.net(view).softmax(dim=1) for view in views]).mean(dim=0)"""
    alone = "\n        return self.net(images).softmax(dim=1)"
    told = "the mean over nine shifts of the images" if shifts else "of the network"
    return f'''
class Answer(nn.Module):
    """Pixels from 0 to 1 -> probabilities, {told}."""

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


def _weights(net: Net, renamed: dict[str, str]) -> str:
    """The weights as text, by the names of the file."""
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
