"""A network of the user's with all choices mixed, and with the chosen parts alone."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from darts_lite.distributed.batch_norm import join_norms
from darts_lite.networks.cells.sampled import Sampled
from darts_lite.networks.own.settling import settle
from darts_lite.space.own.building import build_network
from darts_lite.space.own.choices import FIRST, AnyChoice
from darts_lite.space.own.chosen_network import ChosenNetwork
from darts_lite.space.own.masks import give_masks, mask_readers
from darts_lite.space.own.network_space import NetworkSpace
from darts_lite.space.own.network_structure import check_complete, find_structure
from darts_lite.space.own.part_costs import list_rows

Taken = list[tuple[int, Tensor | None]]


class MixedNetwork:
    """Computes a network of the user's with mixing weights for its choices.

    Args:
        space: The space; it knows the network's class and the data.
        partial_channels: Has no meaning here, and must be 1.
        auxiliary_skip: Likewise, and must be False.

    Raises:
        ValueError: if the network cannot be built, or partial channels or auxiliary skips are asked
            for.
    """

    searched_channels = None

    def __init__(
        self,
        space: NetworkSpace,
        in_channels: int,
        num_classes: int,
        partial_channels: int,
        auxiliary_skip: bool,
    ) -> None:
        if partial_channels > 1 or auxiliary_skip:
            raise ValueError(
                "a network of your own has no partial channels and no auxiliary skips; leave them "
                "out"
            )
        space = space.with_data(in_channels, num_classes)
        self.space, self.rows = space, list_rows(space.groups)
        self.skeleton: Any = join_norms(build_network(space.plan))
        self.readers = mask_readers(self.skeleton)
        self.structure = find_structure(self.skeleton)  # walking the modules is slow
        self.skips = False

    def run_with(self, executor: Any) -> None:
        """Leaves out options with the mixing weight 0 from now on, where paths are sampled."""
        self.skips = isinstance(executor, Sampled)

    def operations(self) -> dict[str, nn.Module]:
        """Returns the modules of all options, by their path in the network."""
        return {
            f"{path}.{name}": part
            for path, choice in self.skeleton.named_modules()
            if isinstance(choice, AnyChoice)
            for name, part, _ in choice.inside()
        }

    def __call__(self, images: Tensor, mixing: Mapping[str, Tensor]) -> Tensor:
        """Computes logits ``(B, classes)``."""
        structure = self.structure
        taken = dict(self._list_taken(mixing))
        masks = {
            source: mixing[self.rows[name].group][self.rows[name].place]
            for source, name in structure.widths.items()
        }
        try:
            for choice, name in structure.choices:
                choice.taken = taken[name]
            give_masks(self.readers, masks)
            logits: Tensor = self.skeleton(images)
        finally:
            for choice, _ in structure.choices:
                choice.taken = FIRST
            give_masks(self.readers, {})
        return logits

    def _list_taken(self, mixing: Mapping[str, Tensor]) -> Iterator[tuple[str, Taken]]:
        """Yields the names of all choices, each with the options that are to run."""
        for group_name, group in self.space.groups.items():
            rows = mixing[group_name]
            # Looking at the values makes a GPU wait, and is left out where all options run.
            looks = self.skips or not group.mixes or not rows.requires_grad
            values = rows.tolist() if looks else None
            for place, name in enumerate(group.rows):
                weights: Taken = [*enumerate(rows[place])]
                if values is not None:
                    weights = [one for one in weights if values[place][one[0]] != 0]
                    alone = len(weights) == 1 and values[place][weights[0][0]] == 1
                    if alone and not rows.requires_grad:
                        weights = [(weights[0][0], None)]
                yield name, weights


class OwnNet(nn.Module):
    """The chosen parts of a network of the user's, alone.

    Attributes:
        network: The user's module; its state dict is as if it was written by hand.
    """

    def __init__(self, architecture: ChosenNetwork, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.image_size, self.axes = architecture.image_size, architecture.axes
        self.in_channels = in_channels
        network = build_network(architecture.plan(in_channels, num_classes))
        check_complete(network, architecture.chosen)
        self.network = join_norms(settle(network, architecture.chosen, scale=True))

    def forward(self, images: Tensor) -> tuple[Tensor, None]:
        """Computes logits ``(B, classes)`` of images ``(B, C, H, W)``; there is no second head."""
        return self.network(images), None


def build_own(
    architecture: ChosenNetwork, in_channels: int, num_classes: int, auxiliary: bool
) -> OwnNet:
    """Builds the net that was chosen; raises ValueError if an auxiliary head is asked for."""
    if auxiliary:
        raise ValueError("a network of your own has no auxiliary head; set auxiliary_weight to 0")
    return OwnNet(architecture, in_channels, num_classes)


@torch.no_grad()
def inherit_own(architecture: ChosenNetwork, net: OwnNet, mixed: MixedNetwork) -> None:
    """Copies what was chosen out of the supernet, with the statistics of its norms.

    Raises:
        ValueError: if the network is another one.
    """
    if mixed.space.network_path != architecture.network:
        raise ValueError(
            f"the supernet is {mixed.space.network_path}, and the architecture is of "
            f"{architecture.network}"
        )
    chosen = settle(deepcopy(mixed.skeleton), architecture.chosen)
    net.network.load_state_dict(chosen.state_dict())
