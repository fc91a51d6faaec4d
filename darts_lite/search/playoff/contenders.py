"""A net in a play-off: it is trained, and judged on images that it is not trained on."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from darts_lite.distributed.ranks import average
from darts_lite.networks.net import Net
from darts_lite.space.protocol import AnyArchitecture


class Contender(nn.Module):
    """The net of an architecture, with what it has reached.

    Args:
        architecture: What was chosen.
        origin: Who proposed it.
        in_channels: Number of channels of an image.
        num_classes: Number of classes.

    Attributes:
        running: Whether it is trained in the present heat.
        heard: Sum and number of the losses on held-out images in its present heat ``(2,)``.
    """

    heard: Tensor

    def __init__(
        self, architecture: AnyArchitecture, origin: str, in_channels: int, num_classes: int
    ) -> None:
        super().__init__()
        self.architecture, self.origin, self.running = architecture, origin, False
        self.net = Net(architecture, in_channels, num_classes)
        self.net.to(memory_format=torch.channels_last)
        self.register_buffer("heard", torch.zeros(2))

    @property
    def value(self) -> float:
        """The mean loss of the last heat, negated: larger is better; -inf before any, or if NaN."""
        total, count = self.heard.tolist()
        return -total / count if count and math.isfinite(total) else -math.inf

    def enter(self) -> None:
        """Begins a heat."""
        self.running = True
        self.heard.zero_()

    def weights(self) -> list[nn.Parameter]:
        """Returns the parameters of the net."""
        return list(self.net.parameters())

    def describe(self) -> dict[str, Any]:
        """Returns what is known beside the weights, as plain values."""
        about = {"origin": self.origin, "running": self.running}
        return {"architecture": self.architecture.to_dict(), **about}

    def hear(self, images: Tensor, labels: Tensor, loss: nn.Module) -> None:
        """Adds the loss on held-out images to what it is judged by.

        Norms use the batch, as those of all processes do only where gradients are recorded.
        """
        (value,) = average(loss(self.net(images), labels).detach())
        self.heard += torch.stack([value, torch.ones_like(value)])
