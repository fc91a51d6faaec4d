"""Makes layers read only the channels that mixing weights leave, as if the others were cut off."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from darts_lite.space.own.widths import NORMS, Part, Source, find_sides, mask_parts, parts_of

MASK = "width_mask"
"""Attribute of a layer that holds how far each of the channels counts that it reads."""


def mask_readers(network: nn.Module) -> list[nn.Module]:
    """Makes layers that read chosen numbers of channels multiply these by a mask; returns them."""
    readers = [module for module in network.modules() if reads_width(module)]
    for module in readers:
        setattr(module, MASK, None)
        module.register_forward_pre_hook(_mask_input, with_kwargs=True)
    return readers


def give_masks(readers: Iterable[nn.Module], mixing: Mapping[Source, Tensor]) -> None:
    """Gives layers of `mask_readers` their masks; without mixing weights, none."""
    for module in readers:
        setattr(module, MASK, mask_parts(_find_read(module), mixing) if mixing else None)


def reads_width(module: nn.Module) -> bool:
    """Returns whether a layer mixes channels whose number is chosen.

    Norms and depthwise convolutions mix none: what they do to channels that no layer reads changes
    nothing.
    """
    return any(part.source is not None for part in _find_read(module))


def _find_read(module: nn.Module) -> tuple[Part, ...]:
    """Returns the parts of what a layer reads and mixes; none for all other modules.

    A depthwise convolution mixes no channels either, and would count them twice.
    """
    sides = find_sides(module)
    if sides is None or isinstance(module, NORMS):
        return ()
    read = getattr(module, sides[0])
    return () if getattr(module, "groups", 1) == read else parts_of(read)


def _mask_input(
    module: Any, inputs: tuple[Tensor, ...], settings: dict[str, Any]
) -> tuple[tuple[Tensor, ...], dict[str, Any]] | None:
    """Multiplies the channels of ``(B, C, ...)``, or ``(..., C)`` of a linear layer."""
    mask: Tensor | None = getattr(module, MASK)
    if mask is None:
        return None
    first = inputs[0] if inputs else settings["input"]
    mask = mask.to(first.dtype)
    if not isinstance(module, nn.Linear):
        mask = mask.view(-1, *[1] * (first.dim() - 2))
    return (first * mask, *inputs[1:]), {k: v for k, v in settings.items() if k != "input"}
