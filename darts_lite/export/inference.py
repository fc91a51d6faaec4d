"""Turns a retrained net into a function of items, pixels for one, that returns probabilities."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from reprlib import repr as short
from typing import Any

import torch
from torch import Tensor, nn

from darts_lite.data.preparation import read_preparation
from darts_lite.networks.net import Net
from darts_lite.retraining.recipe import shift_images
from darts_lite.retraining.retraining import Retraining
from darts_lite.storage.checkpoints import Checkpoint
from darts_lite.storage.foreign_settings import CHANGED


class Answer(nn.Module):
    """Makes normalised maps of items, runs a net, and averages over shifts if it was tested so.

    Args:
        net: The trained net.
        mean: Mean of each channel, of pixels in 0..1.
        std: Standard deviation of each channel.
        test_shifts: Largest shift in pixels; see `darts_lite.Retraining`.
        front: Makes maps of items, see `Preparation.front`; by default items are maps.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        net: Net,
        mean: Sequence[float],
        std: Sequence[float],
        test_shifts: int = 0,
        front: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.net = net
        self.front = nn.Identity() if front is None else front
        self.test_shifts = test_shifts
        self.register_buffer("mean", torch.tensor(list(mean)).view(-1, 1, 1))  # (C, 1, 1)
        self.register_buffer("std", torch.tensor(list(std)).view(-1, 1, 1))  # (C, 1, 1)

    def forward(self, items: Tensor) -> Tensor:
        """Computes probabilities ``(B, classes)``; of images, pixels ``(B, C, H, W)`` in 0..1."""
        images = (self.front(items) - self.mean) / self.std
        if self.test_shifts == 0:
            return self.net(images).softmax(dim=1)
        views = shift_images(images, self.test_shifts)
        # All views as one batch, so that a file holds the net once: (views * B, classes).
        shares = self.net(torch.cat(views)).softmax(dim=1)
        return shares.unflatten(0, (len(views), -1)).mean(dim=0)


def load_answer(path: str | Path, trusted: Collection[str] = ()) -> tuple[Answer, dict[str, Any]]:
    """Loads the net of a checkpoint, and what the checkpoint says about its data.

    The latter are ``model``, ``data``, ``data_source``, ``data_checksum``, ``held_out``,
    ``class_names`` and ``preparation``, a `darts_lite.Preparation`.

    Args:
        path: A run's ``net.ckpt``.
        trusted: Custom modules whose classes the checkpoint may name.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no checkpoint of a retraining, or its version kept no normalisation.
    """
    checkpoint = Checkpoint.read(path)
    groups = checkpoint.configuration(trusted)
    content = checkpoint.content
    if checkpoint.model != Retraining.__name__:
        raise ValueError(f"{path} is the checkpoint of a search; give the run's net.ckpt")
    preparation = read_preparation(checkpoint)
    if preparation is None and "preparation" in content:
        raise ValueError(
            f"{path} is a net with a task and data of its own, which tells no classes of images; "
            "load it with darts_lite.Net.from_run, and export it with torch.onnx.export"
        )
    if preparation is None or "data" not in groups:
        raise ValueError(
            f"{path} does not hold the normalisation of its images; retrain with this version"
        )
    about: dict[str, Any] = {**groups, "preparation": preparation}
    about |= {name: content.get(name) for name in (*CHECKS, "data_checksum", "held_out")}
    for name, value in about.items():
        if name in CHECKS and not CHECKS[name](value):
            raise ValueError(f"{path}: {name} is {short(value)}; {CHANGED}")
    model = checkpoint.build(Retraining)
    model.net.drop_auxiliary()
    names, classes = about["class_names"], model.net.num_classes
    if names is not None and not len(names) == len(set(names)) == classes:
        raise ValueError(
            f"{path}: class_names has {len(set(names))} different names of {classes} classes; "
            f"{CHANGED}"
        )
    shifts, front = model.recipe.test_shifts, preparation.front()
    answer = Answer(model.net, preparation.mean, preparation.std, shifts, front)
    return answer.float().eval(), about


CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "data_source": lambda value: isinstance(value, str),
    "class_names": lambda value: (
        value is None or isinstance(value, list) and all(isinstance(name, str) for name in value)
    ),
}
"""Checks of other values that `darts_lite.storage.checkpoints.describe_data` keeps, by name."""
