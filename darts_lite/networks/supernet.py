"""The supernet: all architectures of a space at once, mixed by weights that come from outside."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from darts_lite.networks.cells.mixed import Executor
from darts_lite.networks.kinds import find_kind
from darts_lite.space.protocol import Space


class Supernet(nn.Module):
    """All architectures of a space of any kind at once, with the architecture parameters.

    Args:
        space: The search space.
        in_channels: Channels of the images.
        num_classes: Number of classes.
        executor: Decides how cells are computed; `darts_lite.Folded` is the fast way.
        edge_weights: Whether rows have their own parameters, see `edge_alphas`.
        partial_channels: See `darts_lite.networks.cells.mixed.MixedCells`.
        auxiliary_skip: See there.

    Attributes:
        alphas: Group -> parameters ``(rows, options)``, drawn as 1e-3 * N(0, 1).
        edge_alphas: Group -> parameters ``(rows,)``, drawn likewise; empty without `edge_weights`.
        mixed: What `darts_lite.networks.kinds.Kind.mix` built; it computes the supernet.

    Raises:
        ValueError: if the space has no supernet with these settings.
    """

    def __init__(
        self,
        space: Space,
        in_channels: int,
        num_classes: int,
        executor: Executor | None = None,
        partial_channels: int = 1,
        edge_weights: bool = False,
        auxiliary_skip: bool = False,
    ) -> None:
        super().__init__()
        self.space = space
        self.in_channels = in_channels
        self.partial_channels = partial_channels
        self.auxiliary_skip = auxiliary_skip
        mix = find_kind(space).mix
        self.mixed = mix(space, in_channels, num_classes, partial_channels, auxiliary_skip)
        self.skeleton: Any = self.mixed.skeleton
        self._weights = list(self.skeleton.parameters())  # walking the modules is slow
        groups = space.groups
        if edge_weights and all(max(group.sets) == 1 for group in groups.values()):
            raise ValueError(
                "edge_weights weigh the edges of a node, and each choice of this space stands "
                "alone; set edge_weights to false"
            )
        self.alphas = nn.ParameterDict()  # in the order of the groups
        self.edge_alphas = nn.ParameterDict()
        for name, group in groups.items():
            self.alphas[name] = nn.Parameter(1e-3 * torch.randn(group.shape))
        for name, group in groups.items() if edge_weights else ():
            self.edge_alphas[name] = nn.Parameter(1e-3 * torch.randn(len(group.rows)))
        if executor is not None:
            self.run_with(executor)

    def run_with(self, executor: Executor) -> None:
        """Makes an executor compute the cells from now on."""
        self.mixed.run_with(executor)

    def forward(self, images: Tensor, mixing: Mapping[str, Tensor]) -> Tensor:
        """Computes logits ``(B, classes)`` with mixing weights ``(rows, options)`` per group.

        Columns behind those of the options are the auxiliary skip and the channels that pass.
        """
        return self.mixed(images, mixing)

    def weights(self) -> list[nn.Parameter]:
        """Returns all parameters but the alphas."""
        return self._weights
