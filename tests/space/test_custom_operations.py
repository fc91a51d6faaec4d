"""Candidates of users: what does not fit is told in one line, when a net is built."""

from typing import Any

import pytest
import torch
from run_helpers import one_line
from torch import Tensor, nn

from darts_lite.networks.net import Net
from darts_lite.networks.supernet import Supernet
from darts_lite.space.cells.architecture import Architecture
from darts_lite.space.cells.search_space import SearchSpace
from darts_lite.space.cells.skeleton_settings import SkeletonSettings
from darts_lite.space.custom_operations import build_operation

HERE = __name__


class Shifted(nn.Module):
    """An operation as it must be."""

    def __init__(self, channels: int, stride: int, affine: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels, affine=affine)

    def forward(self, x: Tensor) -> Any:
        return self.norm(self.convolution(x))


class NoStride(Shifted):
    def __init__(self, channels: int, stride: int, affine: bool) -> None:
        super().__init__(channels, 1, affine)


class TwoArguments(nn.Module):
    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()


class NoArguments(nn.Module):
    def __init__(self) -> None:
        super().__init__()


class KeywordsOnly(nn.Module):
    def __init__(self, *, channels: int, stride: int, affine: bool) -> None:
        super().__init__()


class Unfinished(nn.Module):
    def __init__(self, channels: int, stride: int, affine: bool) -> None:
        self.convolution = nn.Conv2d(channels, channels, 3, stride)


class Wider(Shifted):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x).repeat(1, 2, 1, 1)


class Cropped(Shifted):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x)[:, :, 1:]


class Pair(Shifted):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x), x


class Mask(Shifted):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x) > 0


class InPlace(Shifted):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x.relu_())


class Raising(Shifted):
    def forward(self, x: Tensor) -> Any:
        raise RuntimeError("this was\nnot thought of")


class OnlyInTheNet(Shifted):
    def __init__(self, channels: int, stride: int, affine: bool) -> None:
        super().__init__(channels, stride, affine)
        if affine:
            raise KeyError("scale")


class Halved(Shifted):
    """Right for even sides only, as plain pools are."""

    def forward(self, x: Tensor) -> Any:
        if self.convolution.stride == (1, 1):
            return super().forward(x)
        return nn.functional.max_pool2d(x, 2)


def plain_function(channels: int, stride: int, affine: bool) -> nn.Module:
    return Shifted(channels, stride, affine)


arrow = lambda channels, stride, affine: nn.Identity()  # noqa: E731


class Double(Shifted):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).double()


class Lazy(Shifted):
    def __init__(self, channels: int, stride: int, affine: bool) -> None:
        super().__init__(channels, stride, affine)
        self.conv = nn.LazyConv2d(channels, 3, stride, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.conv(x))


class NoModule:
    pass


WRONG = [
    (NoStride, "(4, 2, False), built by channels, stride and affine", "maps (2, 4, 32, 32) to"),
    (NoStride, "(2, 4, 32, 32) of torch.float32, and must map it to (2, 4, 16, 16)"),
    (TwoArguments, "(4, 2, False) fails (TypeError: ", "built by channels, stride and affine"),
    (NoArguments, "(4, 2, False) fails (TypeError: "),
    (KeywordsOnly, "(4, 2, False) fails (TypeError: "),
    (Unfinished, "fails (AttributeError: cannot assign module before Module.__init__() call)"),
    (Wider, "to (2, 8, 16, 16) of torch.float32, and must map it to (2, 4, 16, 16)"),
    (Cropped, "to (2, 4, 15, 16) of torch.float32, and must"),
    (Pair, "to a tuple, and must map it to (2, 4, 16, 16)"),
    (Mask, "to (2, 4, 16, 16) of torch.bool"),
    (InPlace, "changes the map that it reads"),
    (Raising, "fails (RuntimeError: this was not thought of)"),
    (Double, "maps torch.float32 to torch.float64, and must keep the type of numbers"),
    (Lazy, "has parameters without a size, as LazyConv2d has"),
    (OnlyInTheNet, "(4, 2, True) fails (KeyError: 'scale')"),
]


@pytest.mark.parametrize(("kind", "told"), [(kind, told) for kind, *told in WRONG])
def test_a_class_that_is_no_operation_is_told(kind: type, told: list[str]) -> None:
    with pytest.raises(ValueError) as error:
        build_operation(f"{HERE}.{kind.__name__}", 4, 2, False)
    one_line(error, f"{HERE}.{kind.__name__}", *told)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("plain_function", "which is a function; choose from"),
        ("arrow", "which is a function"),
        ("NoModule", "which is a class"),
        ("WRONG", "which is a list"),
        ("Absent", "unknown operation"),
    ],
)
def test_what_is_no_module_is_told(name: str, told: str) -> None:
    with pytest.raises(ValueError) as error:
        build_operation(f"{HERE}.{name}", 4, 1, True)
    one_line(error, told, "name a subclass of torch.nn.Module")


@pytest.mark.parametrize("name", ["Dropout", "Linear", "Embedding", "Module", "Bilinear", "LSTM"])
def test_modules_of_torch_are_rarely_operations(name: str) -> None:
    with pytest.raises(ValueError) as error:
        build_operation(f"torch.nn.{name}", 4, 1, True)
    one_line(error, f"torch.nn.{name}(4, 1, True)", "built by channels, stride and affine")


def test_supernets_and_nets_are_not_built_with_one() -> None:
    name = f"{HERE}.NoStride"
    with pytest.raises(ValueError, match="must map it to"):
        Supernet(SearchSpace(("skip_connect", name), channels=4, cells=2, reductions=(1,)), 1, 10)
    skeleton = SkeletonSettings(4, 2, (1,))
    cell = (((name, 0), ("none", 1)),)
    with pytest.raises(ValueError, match="must map it to"):
        Net(Architecture({"normal": cell, "reduce": cell}, skeleton=skeleton), 1, 10)


def test_a_right_one_is_built_as_if_it_was_not_tried() -> None:
    torch.manual_seed(0)
    wanted = Shifted(4, 2, False).state_dict()
    torch.manual_seed(0)
    built = build_operation(f"{HERE}.Shifted", 4, 2, False)
    assert built.training and built.state_dict().keys() == wanted.keys()
    assert all(torch.equal(value, wanted[name]) for name, value in built.state_dict().items())


def test_sides_that_were_not_tried_are_checked_when_they_come() -> None:
    built = build_operation(f"{HERE}.Halved", 4, 2, False)
    assert built(torch.ones(1, 4, 8, 8)).shape == (1, 4, 4, 4)
    with pytest.raises(ValueError) as error:
        built(torch.ones(1, 4, 7, 7))
    one_line(error, f"{HERE}.Halved(4, 2, False)", "must map it to (1, 4, 4, 4)")
