"""The discrete network of an architecture: what remains after the search."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from darts_lite.networks.kinds import build_architecture, find_kind
from darts_lite.networks.supernet import Supernet
from darts_lite.space.protocol import AnyArchitecture
from darts_lite.storage.checkpoints import LOADING_ERRORS, Checkpoint
from darts_lite.storage.foreign_settings import CHANGED
from darts_lite.storage.run_folder import RunFolder
from darts_lite.training.drop_path import DropPath


class Net(nn.Module):
    """The network of an architecture, of any kind of space.

    Args:
        architecture: What was chosen, and the frame.
        in_channels: Channels of the images.
        num_classes: Number of classes.
        auxiliary: Whether to add DARTS' auxiliary head, used in training only.

    Raises:
        ValueError: if an operation is unknown, or an auxiliary head has no reducing cell.
    """

    def __init__(
        self,
        architecture: AnyArchitecture,
        in_channels: int,
        num_classes: int,
        auxiliary: bool = False,
    ) -> None:
        super().__init__()
        build = find_kind(architecture).build_net
        self.skeleton: Any = build(architecture, in_channels, num_classes, auxiliary)
        self.architecture = architecture
        self.num_classes = num_classes

    @classmethod
    def from_run(cls, path: str | Path) -> "Net":
        """Loads a run's trained net, for normalised images; `darts_lite.load_answer` takes pixels.

        Args:
            path: The run's folder, or its ``net.ckpt``.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if the file cannot be read as a net.
        """
        file = RunFolder(Path(path)).net if Path(path).is_dir() else Path(path)
        checkpoint = Checkpoint.read(file)
        settings = checkpoint.settings
        weights = {
            name.removeprefix("net."): value
            for name, value in checkpoint.weights.items()
            if name.startswith("net.") and "auxiliary_head" not in name
        }
        if "architecture" not in settings or not weights:
            raise ValueError(f"{file} is the checkpoint of a search; give the run's net.ckpt")
        architecture = build_architecture(settings["architecture"])
        try:
            net = cls(architecture, settings["in_channels"], settings["num_classes"])
            net.load_state_dict(weights)
        except LOADING_ERRORS as error:
            raise ValueError(f"{file} does not fit its own architecture; {CHANGED}") from error
        return net.to(memory_format=torch.channels_last).eval()

    def forward(self, images: Tensor) -> Tensor:
        """Maps images ``(B, C, H, W)`` to logits ``(B, classes)``."""
        return self.skeleton(images)[0]

    def forward_auxiliary(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns the logits, and in training those of the auxiliary head if there is one."""
        return self.skeleton(images)

    def set_drop_path(self, rate: float) -> None:
        """Sets the probability of `DropPath` on all edges; ValueError if the net has none."""
        paths = [module for module in self.modules() if isinstance(module, DropPath)]
        if rate > 0 and not paths:
            raise ValueError(
                "drop_path drops edges of cells, and this net has none; set drop_path to 0"
            )
        for path in paths:
            path.rate = rate

    def inherit(self, supernet: Supernet) -> None:
        """Copies the trained weights of what was kept.

        A supernet's norms have no scale and shift; here they keep 1 and 0, so the operations stay
        the same functions. Their running statistics saw mixed inputs: recalibrate them.

        Raises:
            ValueError: if the net does not come from the supernet's space, or has another frame.
        """
        inherit = find_kind(self.architecture).inherit
        inherit(self.architecture, self.skeleton, supernet.mixed)
