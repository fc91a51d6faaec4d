"""Makes a network with choices the network that was chosen: its parts alone, as written by hand."""

import math
from collections.abc import Iterator, Mapping

import torch
from torch import nn

from darts_lite.space.own.choices import AnyChoice, InputChoice, Joined
from darts_lite.space.own.network_structure import find_structure
from darts_lite.space.own.widths import NORMS, Source, Width, find_sides, parts_of, place_kept


def settle(network: nn.Module, chosen: Mapping[str, str], scale: bool = False) -> nn.Module:
    """Replaces the choices in a network by what was chosen, and returns it.

    Args:
        chosen: Name of a choice -> name of its option.
        scale: Whether weights of layers that read fewer channels grow by the root of the quotient,
            as weights drawn for fewer channels are larger. The weights of a supernet are not to.
    """
    structure = find_structure(network)
    widths = {
        source: int(chosen.get(name, source.options[0]))
        for source, name in structure.widths.items()
    }
    for module in network.modules():
        _cut(module, widths, scale)
    return _replace(network, dict(structure.choices), chosen, {})


def _replace(
    module: nn.Module,
    names: Mapping[AnyChoice, str],
    chosen: Mapping[str, str],
    known: dict[nn.Module, nn.Module],
) -> nn.Module:
    """Returns what stands in the place of a module: what was chosen, or itself.

    `known` holds what stands in the place of modules so far, since one may stand at several places.
    """
    if module not in known:
        known[module] = _find_part(module, names, chosen, known)
    return known[module]


def _find_part(
    module: nn.Module,
    names: Mapping[AnyChoice, str],
    chosen: Mapping[str, str],
    known: dict[nn.Module, nn.Module],
) -> nn.Module:
    if isinstance(module, InputChoice) and module.paths_by_input is not None:
        paths: list[AnyChoice] = [*module.paths_by_input]
        kept = [place for place, path in enumerate(paths) if names[path] in chosen]
        module = Joined(kept, module.join, [paths[place] for place in kept])
    elif isinstance(module, AnyChoice):
        option = chosen.get(names[module], module.options[0])
        return _replace(module.pick(option), names, chosen, known)
    for name, child in [*module._modules.items()]:  # with those that stand there twice
        if child is not None and (other := _replace(child, names, chosen, known)) is not child:
            setattr(module, name, other)
    return module


@torch.no_grad()
def _cut(module: nn.Module, widths: Mapping[Source, int], scale: bool) -> None:
    """Cuts a layer to the channels that were chosen; leaves a module without widths as it is."""
    held = [name for name, value in vars(module).items() if isinstance(value, Width)]
    if not held:
        return
    if (sides := find_sides(module)) is not None:
        entering, leaving = (parts_of(getattr(module, name)) for name in sides)
        inside, outside = place_kept(entering, widths), place_kept(leaving, widths)
        depthwise = getattr(module, "groups", 1) != 1
        for name, tensor in [
            *_list_own(module),
        ]:
            if name != "num_batches_tracked" and tensor.dim():
                cut = tensor[outside.to(tensor.device)]
                if name == "weight" and not isinstance(module, NORMS) and not depthwise:
                    cut = cut[:, inside.to(tensor.device)]
                    if scale and len(inside) < tensor.shape[1]:
                        cut = cut * math.sqrt(tensor.shape[1] / len(inside))
                _put(module, name, cut)
    for name in held:
        kept = place_kept(parts_of(getattr(module, name)), widths)
        setattr(module, name, len(kept))


def _list_own(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yields the tensors of a module without those of modules inside."""
    yield from module.named_parameters(recurse=False)
    yield from module.named_buffers(recurse=False)


def _put(module: nn.Module, name: str, value: torch.Tensor) -> None:
    """Puts a smaller tensor into the place of a parameter or a buffer."""
    if isinstance(old := getattr(module, name), nn.Parameter):
        setattr(module, name, nn.Parameter(value.clone(), requires_grad=old.requires_grad))
    else:
        setattr(module, name, value.clone())
