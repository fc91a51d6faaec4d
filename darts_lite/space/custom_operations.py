"""Builds operations, and checks that custom ones map as an operation must.

The classes are other people's: what they raise or return becomes one line that says what an
operation is.
"""

from functools import partial
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from darts_lite.space.operations import OPERATIONS, Operation, find_operation

TRIED = 32  # side of the map on which a custom operation is tried


class Misfit(ValueError):
    """Raised for a custom class that is no operation."""


def build_operation(name: str, channels: int, stride: int, affine: bool) -> nn.Module:
    """Builds an operation; a custom one is tried first, and all its maps are checked later.

    One for a supernet is tried as the net that is found will have it, too.

    Raises:
        Misfit: if a custom class cannot be built, or does not map as an operation must.
        ValueError: if the name is unknown.
    """
    build = find_operation(name)
    if name in OPERATIONS:
        return build(channels, stride, affine)
    for norm in {affine, True}:
        _try_operation(build, f"{name}({channels}, {stride}, {norm})", channels, stride, norm)
    operation = build(channels, stride, affine)
    call = f"{name}({channels}, {stride}, {affine})"
    operation.register_forward_hook(partial(_check_output, call, stride))
    return operation


def _try_operation(build: Operation, call: str, channels: int, stride: int, affine: bool) -> None:
    """Builds an operation and runs it once; Misfit tells in one line what does not fit."""
    x = torch.linspace(-1, 1, 2 * channels * TRIED**2).view(2, channels, TRIED, TRIED)
    given = x.clone()
    try:
        # A run draws the same random numbers as without a trial.
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            operation = build(channels, stride, affine).eval()
            lazy = any(map(is_lazy, operation.parameters()))
            output = None if x.is_meta else operation(given)
    except Exception as error:  # whatever a class of somebody else raises
        raise Misfit(
            f"{call} fails ({shorten(f'{type(error).__name__}: {error}', 300)}); an operation is "
            "built by channels, stride and affine, and maps (B, C, H, W) to "
            "(B, C, ceil(H / stride), ceil(W / stride))"
        ) from error
    if lazy:
        raise Misfit(
            f"{call} has parameters without a size, as LazyConv2d has; give the number of channels"
        )
    if x.is_meta:  # only sizes are counted here
        return
    _check_output(call, stride, operation, (x,), output)
    if output is not None and output.dtype != x.dtype:  # in autocast others are right
        raise Misfit(f"{call} maps {x.dtype} to {output.dtype}, and must keep the type of numbers")
    if not torch.equal(given, x):
        raise Misfit(
            f"{call} changes the map that it reads, which others read as well; leave out "
            "inplace=True and the like"
        )


def _check_output(call: str, stride: int, _: nn.Module, inputs: tuple[Any, ...], y: Any) -> None:
    """Checks the type and the shape of what an operation returns."""
    batch, channels, height, width = inputs[0].shape
    wanted = (batch, channels, -(-height // stride), -(-width // stride))
    if not isinstance(y, Tensor):
        got = f"a {type(y).__name__}"
    elif tuple(y.shape) != wanted or not y.is_floating_point():
        got = f"{tuple(y.shape)} of {y.dtype}"
    else:
        return
    raise Misfit(
        f"{call}, built by channels, stride and affine, does not fit: it maps "
        f"{tuple(inputs[0].shape)} to {got}, and must map it to {wanted}"
    )
