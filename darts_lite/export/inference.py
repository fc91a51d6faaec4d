"""A retrained net as others use it: pixels in, probabilities out."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from reprlib import repr as short
from typing import Any

import torch
from torch import Tensor, nn

from darts_lite.data.image_folders import LARGEST_IMAGE
from darts_lite.networks.net import Net
from darts_lite.retraining.recipe import mean_of_shifts
from darts_lite.retraining.retraining import Retraining
from darts_lite.storage.checkpoints import CHANGED, read_checkpoint, settings_of


class Answer(nn.Module):
    """Normalises pixels, asks a net, and averages over shifts where that was how it was tested.

    Args:
        net: The trained net.
        mean, std: Of the channels, of pixels in 0 to 1.
        test_shifts: See `darts_lite.Retraining`.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, net: Net, mean: Sequence[float], std: Sequence[float], test_shifts: int = 0
    ) -> None:
        super().__init__()
        self.net = net
        self.test_shifts = test_shifts
        self.register_buffer("mean", torch.tensor(list(mean)).view(-1, 1, 1))  # (C, 1, 1)
        self.register_buffer("std", torch.tensor(list(std)).view(-1, 1, 1))  # (C, 1, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels of 0 to 1, ``(B, C, H, W)`` -> probabilities ``(B, classes)``."""
        images = (pixels - self.mean) / self.std
        if self.test_shifts == 0:
            return self.net(images).softmax(dim=1)
        return mean_of_shifts(self.net, images, self.test_shifts).exp()


def load_answer(path: str | Path, trusted: Collection[str] = ()) -> tuple[Answer, dict[str, Any]]:
    """The net of a checkpoint, and what the checkpoint tells about its data.

    Args:
        path: A run's ``net.ckpt``.
        trusted: Modules of your own whose classes it may name.

    Returns:
        The net, and what `darts_lite.storage.checkpoints.describe_data` has put into the
        checkpoint.

    Raises:
        FileNotFoundError, ValueError: if the file is no checkpoint of a retraining, or of a version
            that did not keep the normalisation.
    """
    content = read_checkpoint(path)
    settings_of(path, trusted)
    if content["model"]["class_path"].rpartition(".")[2] != Retraining.__name__:
        raise ValueError(f"{path} is the checkpoint of a search; give the run's net.ckpt")
    about: dict[str, Any] = {
        name: content.get(name) for name in ("data", "data_source", "image_size", "mean", "std")
    }
    if None in about.values():
        raise ValueError(
            f"{path} does not tell the normalisation of its images; retrain with this version"
        )
    about |= {name: content.get(name) for name in ("class_names", "figure")}
    for name, value in about.items():
        if not KEPT[name](value):
            raise ValueError(f"{path}: {name} is {short(value)}; {CHANGED}")
    model = Retraining.load_from_checkpoint(path, map_location="cpu", weights_only=True)
    answer = Answer(model.net, about["mean"], about["std"], model.recipe.test_shifts)
    return answer.float().eval(), about


def _number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


KEPT: Mapping[str, Callable[[Any], bool]] = {
    "data": lambda value: (
        isinstance(value, Mapping)
        and isinstance(value.get("class_path"), str)
        and isinstance(value.get("init_args"), Mapping)
    ),
    "data_source": lambda value: isinstance(value, str),
    "image_size": lambda value: type(value) is int and 1 <= value <= LARGEST_IMAGE,
    "mean": lambda value: isinstance(value, list) and all(map(_number, value)),
    "std": lambda value: isinstance(value, list) and all(_number(x) and x > 0 for x in value),
    "class_names": lambda value: (
        value is None or isinstance(value, list) and all(isinstance(name, str) for name in value)
    ),
    "figure": lambda value: value is None or (_number(value) and 0 <= value <= 1),
}
"""What `darts_lite.storage.checkpoints.describe_data` keeps, and whether a value can be it."""
