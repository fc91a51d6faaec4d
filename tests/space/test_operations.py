"""The candidate operations and stems."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from darts_lite.space.operations import (
    OPERATIONS,
    STEMS,
    FactorizedReduce,
    apply_after_relu,
    begins_with_relu,
    find_operation,
    is_operation_name,
)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(8, 8), (7, 7), (5, 6), (1, 1)])
def test_every_operation_keeps_channels_and_halves_any_size(
    name: str, stride: int, size: tuple[int, int]
) -> None:
    operation = OPERATIONS[name](6, stride, False)
    out = operation(torch.randn(2, 6, *size))
    assert out.shape == (2, 6, -(-size[0] // stride), -(-size[1] // stride))


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - {"none", "skip_connect"}))
def test_every_mixed_candidate_ends_in_a_norm_without_scale(name: str) -> None:
    last = list(OPERATIONS[name](4, 1, False).modules())[-1]
    assert isinstance(last, nn.BatchNorm2d)
    assert not last.affine


def test_none_is_zero_and_skip_is_the_identity() -> None:
    x = torch.randn(2, 3, 5, 5)
    assert OPERATIONS["none"](3, 1, False)(x).abs().sum() == 0
    assert torch.equal(OPERATIONS["skip_connect"](3, 1, False)(x), x)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sep_conv_3x3", 2 * (9 * 16 + 16 * 16)),
        ("sep_conv_5x5", 2 * (25 * 16 + 16 * 16)),
        ("dil_conv_3x3", 9 * 16 + 16 * 16),
        ("dw_conv_5x5", 25 * 16 + 16 * 16),
        ("conv_3x3", 9 * 16 * 16),
        ("max_pool_3x3", 0),
    ],
)
def test_parameter_counts(name: str, expected: int) -> None:
    operation = OPERATIONS[name](16, 1, False)
    assert sum(p.numel() for p in operation.parameters()) == expected


def test_dilated_convolutions_reach_further() -> None:
    x = torch.zeros(1, 1, 9, 9, requires_grad=True)
    depthwise = list(OPERATIONS["dil_conv_3x3"](1, 1, False).children())[1]
    depthwise(x)[0, 0, 4, 4].backward()
    assert x.grad is not None
    rows = x.grad[0, 0].abs().sum(dim=1).nonzero().flatten().tolist()
    assert rows == [2, 4, 6]


def test_factorized_reduce_splits_odd_channels() -> None:
    assert FactorizedReduce(3, 5, True)(torch.randn(1, 3, 7, 7)).shape == (1, 5, 4, 4)


@pytest.mark.parametrize("size", [(6, 8), (5, 7)])
def test_factorized_reduce_has_the_gradients_of_its_two_grids(size: tuple[int, int]) -> None:
    reduce = FactorizedReduce(3, 4, True).double()
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)

    def by_slices(x: Tensor) -> Tensor:
        x = nn.functional.pad(x.relu(), (0, size[1] % 2, 0, size[0] % 2))
        even, odd = x[:, :, ::2, ::2], x[:, :, 1:, 1:][:, :, ::2, ::2]
        return reduce.norm(torch.cat([reduce.even(even), reduce.odd(odd)], dim=1))

    for _ in range(2):  # also where the channels of a pixel lie side by side
        slope = torch.randn_like(by_slices(x))
        direction = torch.randn_like(x)
        known = []
        for function in (reduce, by_slices):
            (first,) = torch.autograd.grad(function(x), x, slope, create_graph=True)
            known.append(torch.stack([first, *torch.autograd.grad(first, x, direction)]))
        assert torch.allclose(known[0], known[1], rtol=1e-12, atol=1e-14)
        x = x.detach().contiguous(memory_format=torch.channels_last).requires_grad_()


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("stride", [1, 2])
def test_operations_may_share_a_relu(name: str, stride: int) -> None:
    operation = OPERATIONS[name](4, stride, True)
    x = torch.randn(2, 4, 6, 6)
    convolves = "conv" in name or (name == "skip_connect" and stride == 2)
    assert begins_with_relu(operation) == convolves
    if convolves:
        assert torch.equal(apply_after_relu(operation, x.relu()), operation(x))


@pytest.mark.parametrize("name", STEMS)
def test_stems_tell_their_channels(name: str) -> None:
    stem, channels = STEMS[name](1, 4)
    assert stem(torch.randn(1, 1, 9, 9)).shape[1] == channels


def test_an_unknown_operation_is_named_with_the_choice() -> None:
    with pytest.raises(ValueError, match="unknown operation 'sep_conv_9x9'; choose from") as error:
        find_operation("sep_conv_9x9")
    assert "\n" not in str(error.value)


def test_a_name_imports_nothing_and_calls_only_module_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_candidates.py").write_text(
        "from torch import nn\n"
        "class Same(nn.Module):\n"
        "    def __init__(self, channels, stride, affine): super().__init__()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="run.imports"):
        find_operation("my_candidates.Same")
    assert "my_candidates" not in sys.modules
    importlib.import_module("my_candidates")
    assert isinstance(find_operation("my_candidates.Same")(1, 1, False), nn.Module)
    monkeypatch.delitem(sys.modules, "my_candidates")
    for name in ("os.system", "os.dup2", "torch.load", "os.path.join", "sys.modules"):
        with pytest.raises(ValueError, match="unknown operation"):
            find_operation(name)


def test_names_of_operations() -> None:
    good = ("conv_3x3", "my_ops.Blur", "a.b.C")
    assert all(is_operation_name(name) for name in good)
    assert not any(is_operation_name(name) for name in ("conv_9x9", "a..b", ".a", "", "a b.c", 3))


CHILD = """
import torch
from darts_lite import ArchitectureSearch, SearchSpace
from darts_lite.space.operations import OPERATIONS
for channels in range(1, 8):
    for nodes in (1, 2):
        space = SearchSpace(tuple(OPERATIONS), nodes, channels=channels, cells=3)
        search = ArchitectureSearch(space)
        images = torch.randn(64, 1, 28, 28)
        search.supernet(images, search.mixture.sample(0.0)).sum().backward()
"""


@pytest.mark.slow
def test_few_channels_do_not_corrupt_memory() -> None:
    subprocess.run([sys.executable, "-c", CHILD], check=True)
