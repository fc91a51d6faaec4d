"""The kinds of search spaces: all that a kind gives, in one place.

Nothing else asks which kind a space is of. A new kind is a line in `KINDS`; its modules lie in
``space/<kind>/`` and ``networks/<kind>/``.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as short
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from darts_lite.networks.cells.code import write_cells
from darts_lite.networks.cells.discrete import build_discrete_cells, inherit_cells
from darts_lite.networks.cells.measuring import measure_cells
from darts_lite.networks.cells.mixed import MixedCells
from darts_lite.networks.layers.chain_code import write_layers
from darts_lite.networks.layers.chain_measuring import measure_layers
from darts_lite.networks.layers.chain_net import build_chain, inherit_layers, list_maps
from darts_lite.networks.layers.widest_net import MixedLayers
from darts_lite.networks.own.mixed_network import build_own, inherit_own
from darts_lite.networks.own.network_check import mix_network
from darts_lite.networks.own.network_code import write_own
from darts_lite.networks.own.network_costs import measure_own
from darts_lite.space.cells.architecture import Architecture
from darts_lite.space.cells.search_space import SearchSpace
from darts_lite.space.cost_tables import Costs, Images
from darts_lite.space.layers.chain import Chain
from darts_lite.space.layers.layer_space import LayerSpace
from darts_lite.space.own.chosen_network import ChosenNetwork
from darts_lite.space.own.network_space import NetworkSpace
from darts_lite.space.protocol import AnyArchitecture, Space, read_file
from darts_lite.storage.components import build_component


class Mixed(Protocol):
    """Computes a supernet."""

    skeleton: Any
    """The module with all weights."""

    @property
    def searched_channels(self) -> int | None:
        """Number of searched channels of the first cells; None if there is one way to compute."""
        ...

    def run_with(self, executor: Any) -> None:
        """Makes an executor compute the cells from now on, if there are several ways."""
        ...

    def __call__(self, images: Tensor, mixing: Mapping[str, Tensor]) -> Tensor:
        """Computes logits ``(B, classes)`` with mixing weights ``(rows, options)`` per group."""
        ...

    def operations(self) -> dict[str, nn.Module]:
        """Returns the modules of all options that have one, by name."""
        ...


@dataclass(frozen=True)
class Kind:
    """Parts of a kind of space, beside the values of `darts_lite.space.protocol`.

    Args:
        space: Class of the spaces.
        architecture: Class of the architectures.
        mix: Builds a supernet from a space, channels, classes, ``partial_channels`` and
            ``auxiliary_skip``.
        build_net: Builds a net from an architecture, channels, classes, and whether it has an
            auxiliary head; it maps images to its logits and, in training, those of this head.
        inherit: Copies what an architecture keeps from a mixed net into a discrete one.
        measure: Returns a cost of all nets of a space, from its name, a function that returns the
            cost of a module for an input, the images, and a device; ``meta`` counts without
            computing. The function is None where modules do not have this cost.
        write_code: Yields the classes of a net as plain torch code, the last one being ``Net``;
            puts the modules' old and new names into a dict.
        writes_own: Whether it also writes the code of users' modules.
        list_maps: Yields the modules of a net whose results are the maps of its int8 file; None if
            these are not known.
    """

    space: type[Space]
    architecture: type[AnyArchitecture]
    mix: Callable[[Any, int, int, int, bool], Mixed]
    build_net: Callable[[Any, int, int, bool], nn.Module]
    inherit: Callable[[Any, Any, Any], None]
    measure: Callable[
        [Any, str, Callable[[nn.Module, Tensor], float] | None, Images, torch.device | str], Costs
    ]
    write_code: Callable[[Any, dict[str, str]], Iterator[str]]
    writes_own: bool = False
    list_maps: Callable[[Any], Iterator[nn.Module]] | None = None


SpaceSettings = Space | SearchSpace | type[nn.Module]
"""Type of a space in a configuration: settings without a ``class_path`` are of cells, and the class
of a network with choices stands for the space of these."""
KINDS = {
    "cells": Kind(
        SearchSpace,
        Architecture,
        MixedCells,
        build_discrete_cells,
        inherit_cells,
        measure_cells,
        write_cells,
    ),
    "layers": Kind(
        LayerSpace,
        Chain,
        MixedLayers,
        build_chain,
        inherit_layers,
        measure_layers,
        write_layers,
        list_maps=list_maps,
    ),
    "network": Kind(
        NetworkSpace,
        ChosenNetwork,
        mix_network,
        build_own,
        inherit_own,
        measure_own,
        write_own,
        writes_own=True,
    ),
}
"""The kinds by name. Architecture files of others than cells, the first, hold it as ``kind``."""


def find_kind(value: Space | AnyArchitecture) -> Kind:
    """Returns the kind of a space or an architecture."""
    for kind in KINDS.values():
        if isinstance(value, kind.space | kind.architecture):
            return kind
    raise TypeError(f"{type(value).__name__} is no space or architecture of a kind in KINDS")


def read_space(value: Space | Mapping[str, Any] | type[nn.Module]) -> Space:
    """Returns a space unchanged, or that of a network, or builds one from `Space.to_dict`."""
    if isinstance(value, Space):
        return value
    if isinstance(value, type) and issubclass(value, nn.Module):
        return NetworkSpace(value)
    if not isinstance(value, Mapping):
        raise ValueError(f"a search space must be a mapping of settings, got {short(value)}")
    if "class_path" not in value:
        return SearchSpace.from_dict(value)
    space: Space = build_component(value, [kind.space for kind in KINDS.values()])
    return space


def build_architecture(content: Any) -> AnyArchitecture:
    """Builds an architecture from plain values, as files hold them.

    Raises ValueError for all else: a file may not name another file.
    """
    if not isinstance(content, Mapping):
        raise ValueError(f"expected the content of an architecture, got {short(content)}")
    name = content.get("kind", "cells")
    if not isinstance(name, str) or name not in KINDS:
        raise ValueError(f"unknown kind {short(name)}; choose from {sorted(KINDS)}")
    try:
        return KINDS[name].architecture.from_dict(content)
    except (LookupError, TypeError, AttributeError) as error:  # of a kind that checks less
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"the content of an architecture is wrong ({short(reason)})") from error


def read_architecture(value: AnyArchitecture | Mapping[str, Any] | str | Path) -> AnyArchitecture:
    """Returns an architecture unchanged, or reads it from plain values, a name, a text or a file.

    Raises:
        FileNotFoundError: if a path or text is neither a known name nor a file.
        ValueError: if it is not an architecture.
    """
    if isinstance(value, AnyArchitecture):
        return value
    if not isinstance(value, str | Path):
        return build_architecture(value)
    for kind in KINDS.values():
        if isinstance(value, str) and (found := kind.architecture.from_text(value)) is not None:
            return found
    texts = " or ".join(filter(None, (kind.architecture.texts() for kind in KINDS.values())))
    return read_file(value, build_architecture, texts)
