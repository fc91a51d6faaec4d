"""Writes operations as plain torch code, which does not need this package.

Norms behind convolutions are folded into them before, see `darts_lite.export.folding`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from darts_lite.space.operations import FactorizedReduce, Subsample, Zero
from darts_lite.storage.components import class_path

LINE = 88  # most characters in a line of code without its indentation
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

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.even = nn.Conv2d(in_channels, out_channels // 2, 1)
        self.odd = nn.Conv2d(in_channels, out_channels - out_channels // 2, 1)

    def forward(self, x):
        x = F.pad(torch.relu(x), (0, x.shape[3] % 2, 0, x.shape[2] % 2))
        halves = self.even(x[:, :, ::2, ::2]), self.odd(x[:, :, 1::2, 1::2])
        return torch.cat(halves, dim=1)
''',
    Subsample: STRIDED.format("Subsample", "Every stride-th pixel.", PIXELS),
    Zero: STRIDED.format("Zero", "No connection.", f"torch.zeros_like({PIXELS})"),
}
"""Plain code of the modules that torch does not have."""


def write_class(
    name: str, title: str, built: Sequence[str], takes: str, flow: Sequence[str]
) -> str:
    """Returns the code of a module class: the lines of its two methods and what it takes."""
    lines = [f"class {name}(nn.Module):", f'    """{title}"""', "", "    def __init__(self):"]
    lines += [f"        {line}" for line in ("super().__init__()", *built)]
    lines += ["", f"    def forward(self, {takes}):", *(f"        {line}" for line in flow)]
    return "\n".join(lines)


def assign(name: str, module: nn.Module) -> Iterator[str]:
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
    if not is_known(module):
        raise ValueError(
            f"{class_path(type(module))} is a custom operation, whose code a standalone file "
            "cannot hold; export to another format"
        )
    match module:
        case nn.Sequential():
            return f"nn.Sequential({', '.join(map(_write_call, module))})"
        case FactorizedReduce(norm=nn.Identity()):  # its norm is in its convolutions
            sizes = module.even.in_channels, module.even.out_channels + module.odd.out_channels
            return _format_call("FactorizedReduce", sizes)
        case nn.Conv2d():
            return _format_call(
                "nn.Conv2d",
                (module.in_channels, module.out_channels, _shorten(module.kernel_size)),
                stride=(_shorten(module.stride), 1),
                padding=(_shorten(module.padding), 0),
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
                (_shorten(module.kernel_size), _shorten(module.stride)),
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


def _shorten(sides: Any) -> Any:
    """Returns one number where all sides are alike."""
    return sides[0] if isinstance(sides, tuple) and len({*sides}) == 1 else sides


def is_plain(net: nn.Module) -> bool:
    """Returns whether all of a net's operations are this package's or torch's."""
    return all(map(is_known, net.modules()))


def is_known(module: nn.Module) -> bool:
    """Returns whether a module is of a class of this package or of torch."""
    return type(module).__module__.split(".")[0] in ("torch", "darts_lite")


def _format_call(name: str, values: Sequence[object], **settings: tuple[object, object]) -> str:
    """Returns a call with all ``values`` and the ``settings`` that differ from their defaults."""
    arguments = [str(value) for value in values]
    arguments += [f"{key}={value}" for key, (value, usual) in settings.items() if value != usual]
    return f"{name}({', '.join(arguments)})"
