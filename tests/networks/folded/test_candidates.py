"""Which operations have a folded form."""

import pytest
from torch import nn

from darts_lite.networks.folded.candidates import (
    Dense,
    Pointwise,
    ShiftedPointwise,
    build_chain,
    fold,
    is_chain,
    is_weightless,
)
from darts_lite.space.operations import OPERATIONS, FactorizedReduce, depthwise_separable

FORMS = {
    "max_pool_3x3": ("weightless", "weightless"),
    "avg_pool_3x3": ("weightless", "weightless"),
    "skip_connect": ("weightless", ShiftedPointwise),
    "sep_conv_3x3": ("chain", "chain"),
    "sep_conv_5x5": ("chain", "chain"),
    "dil_conv_3x3": ("chain", "chain"),
    "dil_conv_5x5": ("chain", "chain"),
    "dw_conv_3x3": ("chain", "chain"),
    "dw_conv_5x5": ("chain", "chain"),
    "conv_1x1": (Pointwise, Pointwise),
    "conv_3x3": (Dense, Dense),
}


def form_of(module: nn.Module) -> object:
    if is_chain(module):
        return "chain"
    if is_weightless(module):
        return "weightless"
    form = fold([module], 0)
    return form if form is None else type(form)


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - {"none"}))
def test_every_operation_of_the_package_folds(name: str) -> None:
    found = tuple(form_of(OPERATIONS[name](8, stride, False)) for stride in (1, 2))
    assert found == FORMS[name]


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4, affine=False)),
        nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 1, bias=False), nn.BatchNorm2d(4)),
        nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.BatchNorm2d(4)),
        nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.BatchNorm2d(4, affine=False, momentum=0.5)),
        nn.Sequential(nn.ELU(), nn.Conv2d(4, 4, 1, bias=False), nn.BatchNorm2d(4, affine=False)),
        nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.BatchNorm2d(4, affine=False, eps=0.1)),
        nn.Sequential(
            *depthwise_separable(4, 3, 1, 1, affine=False),
            *depthwise_separable(4, 3, 2, 1, affine=False),
        ),
        FactorizedReduce(4, 4, affine=True),
        depthwise_separable(4, 3, 1, 1, affine=True),
    ],
)
def test_what_is_only_alike_does_not(module: nn.Module) -> None:
    assert form_of(module) is None


def test_a_dilation_equal_to_the_stride_is_none_on_fewer_pixels() -> None:
    edges = [OPERATIONS["dil_conv_5x5"](4, 2, False)]
    (stage,) = build_chain(edges)  # type: ignore[arg-type]
    assert (stage.step, stage.stride, stage.dilation) == (2, 1, 1)
