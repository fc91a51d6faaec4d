"""Two published nets for MNIST with few parameters, rebuilt from their descriptions.

Their own figures were chosen on the test set: 99.03 % with 697 parameters is the best epoch of the
best of about 700 trainings, 99.10 % with 1,936 the best by a validation that is the test set. Here
they are trained with the recipe of the nets found, and tested once, after the last epoch.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from darts_lite.retraining.retraining import Retraining
from darts_lite.space.layers.chain import Block, Chain


def separable(channels: int, width: int, padding: int = 0) -> nn.Sequential:
    """Builds a depthwise convolution of 3x3 and one of 1x1 with biases, without a norm."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=padding, groups=channels, bias=False),
        nn.Conv2d(channels, width, 1),
    )


class Net697(nn.Module):
    """Five convolutions without norms (JoshWarn/Parameter-Efficient-MNIST)."""

    def __init__(self) -> None:
        super().__init__()
        widths = (6, 5, 9, 10, 8)
        leaky = nn.LeakyReLU(0.2)
        layers: list[nn.Module] = [nn.Conv2d(1, 6, 3, padding=1), leaky, nn.MaxPool2d(2)]
        for place, (channels, width) in enumerate(zip(widths, widths[1:], strict=False)):
            layers += [separable(channels, width), leaky]
            layers += [nn.Dropout(0.05)] if place < 3 else []
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Linear(8, 10)

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 1, 28, 28)`` -> logits ``(B, 10)``."""
        return self.classifier(self.layers(images).mean(dim=(2, 3)))


class ScaledNorm(nn.Module):
    """Normalises each image over all of its numbers, with one scale and one shift."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.LayerNorm(1)

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape ``(B, ...)``."""
        return F.layer_norm(x, x.shape[1:]) * self.scale.weight + self.scale.bias


class Net1936(nn.Module):
    """A separable convolution that is passed three times (ruslangrimov/mnist-minimal-model)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(
            *(nn.Conv2d(1, 8, 3), nn.ReLU(), ScaledNorm(), nn.MaxPool2d(2), nn.Dropout(0.1)),
            *(separable(8, 26), nn.ReLU(), ScaledNorm(), nn.Dropout(0.1)),
        )
        self.shared = separable(26, 26, padding=1)
        self.norms = nn.ModuleList(ScaledNorm() for _ in range(3))
        self.dropout = nn.Dropout(0.1)
        self.hidden = nn.Sequential(nn.Linear(26, 16), nn.ReLU(), ScaledNorm(), nn.Dropout(0.1))
        self.classifier = nn.Linear(16, 10)

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 1, 28, 28)`` -> logits ``(B, 10)``."""
        x = self.first(images)
        for norm in self.norms:
            x = self.dropout(norm(self.shared(x).relu()))
        return self.classifier(self.hidden(x.mean(dim=(2, 3))))


class Published(NamedTuple):
    """A published net, with its own figures."""

    build: type[nn.Module]
    parameters: int
    multiply_adds: int
    test_accuracy: float


PUBLISHED: Mapping[str, Published] = {
    "697 parameters": Published(Net697, 697, 80_576, 0.9903),
    "1,936 parameters": Published(Net1936, 1936, 413_458, 0.9910),
}


class PublishedTraining(Retraining):
    """Trains a published net with the recipe of a searched one."""

    def __init__(self, net: nn.Module, **recipe: Any) -> None:
        super().__init__(Chain(3, 2, 2, (Block(3, 2),)), 1, 10, **recipe)
        made: Any = Plain(net)
        self.net = made


class Plain(nn.Module):
    """A net with what the training of a searched one asks for."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        """``(B, C, H, W)`` -> logits ``(B, classes)``."""
        return self.net(images)

    def forward_auxiliary(self, images: Tensor) -> tuple[Tensor, None]:
        """Returns the logits, and those of no auxiliary head."""
        return self.net(images), None

    def set_drop_path(self, rate: float) -> None:
        """There is nothing to drop."""
