"""Folds batch norms into the convolutions before them: fewer steps and weights, same answers."""

from copy import deepcopy
from typing import TypeGuard, TypeVar, cast

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from darts_lite.space.operation_code import is_known
from darts_lite.space.operations import FactorizedReduce

Folded = TypeVar("Folded", bound=nn.Module)


@torch.no_grad()
def fold_norms(net: Folded) -> Folded:
    """Returns a copy without the norms that follow a convolution, in torch's usual memory format.

    A norm behind anything else, as a pool or a sum, stays. So does what is inside of a custom
    module, which may call its parts in any order.
    """
    dtype = next(net.parameters()).dtype
    # Of a product and a sum in 64 bits only one rounding remains.
    folded = deepcopy(net).double().to(memory_format=torch.contiguous_format).eval()
    _fold_inside(folded)
    return folded.to(dtype)


def _fold_inside(module: nn.Module) -> None:
    if type(module) is nn.Sequential:
        _fold_sequence(module)
    elif type(module) is FactorizedReduce and isinstance(module.norm, nn.BatchNorm2d):
        # The norm's first channels are those of the even grid.
        norm, evens = module.norm, module.even.out_channels
        module.even, module.odd = _join(module.even, norm), _join(module.odd, norm, evens)
        module.add_module("norm", nn.Identity())
    for child in filter(is_known, module.children()):
        _fold_inside(child)


def is_plain(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Returns whether a module is a convolution that another one of torch's can stand for.

    Only what is padded with zeros can be written with others.
    """
    is_padded = isinstance(module, nn.Conv2d) and module.padding_mode == "zeros"
    return is_padded and _computes_as_usual(module)


def _computes_as_usual(module: nn.Module) -> bool:
    """Returns whether a module is of a known class, and has no hooks that change what it does."""
    return is_known(module) and not (module._forward_pre_hooks or module._forward_hooks)


def _fold_sequence(sequence: nn.Sequential) -> None:
    parts: list[nn.Module] = []
    for part in sequence:
        before = parts[-1] if parts else None
        is_norm = isinstance(part, nn.BatchNorm2d) and _computes_as_usual(part)
        if is_norm and before is not None and is_plain(before):
            parts[-1] = _join(before, cast(nn.BatchNorm2d, part))
        else:
            parts.append(part)
    del sequence[:]
    sequence.extend(parts)


def _join(convolution: nn.Conv2d, norm: nn.BatchNorm2d, first: int = 0) -> nn.Conv2d:
    """Returns a convolution and the norm of what it yields in one.

    Args:
        first: The norm's channel that belongs to the convolution's first one.
    """
    here = slice(first, first + convolution.out_channels)
    values = (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    mean, variance, scale, shift = (None if each is None else each[here] for each in values)
    assert mean is not None and variance is not None  # all norms of a net keep statistics
    weight, bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, mean, variance, norm.eps, scale, shift
    )
    joined = nn.Conv2d(  # also in the place of a depthwise one, which has no bias
        convolution.in_channels,
        convolution.out_channels,
        convolution.kernel_size,  # type: ignore[arg-type]
        convolution.stride,  # type: ignore[arg-type]
        convolution.padding,  # type: ignore[arg-type]
        convolution.dilation,  # type: ignore[arg-type]
        convolution.groups,
    )
    joined.weight, joined.bias = weight, bias
    return joined.eval()
