"""The discrete network of an architecture: what remains after the search."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from darts_lite.networks.hub import download, upload
from darts_lite.networks.kinds import build_architecture, find_kind
from darts_lite.networks.supernet import Supernet
from darts_lite.space.protocol import AnyArchitecture
from darts_lite.storage.atomic_files import write_text
from darts_lite.storage.checkpoints import LOADING_ERRORS, Checkpoint
from darts_lite.storage.foreign_settings import CHANGED
from darts_lite.storage.run_folder import RunFolder
from darts_lite.storage.weight_files import NUMBERS, read_weights, write_weights
from darts_lite.training.drop_path import DropPath

TRAINING_ONLY = "skeleton.auxiliary_head."  # prefix of weights that a net needs in training only
SHARED = ("model.safetensors", "net.safetensors")
"""Names of the weights in a folder that is handed on: the Hub's, and that of runs and exports."""


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
        self.in_channels, self.num_classes = in_channels, num_classes

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

    def count_parameters(self) -> int:
        """Counts the parameters, without those of the head that it needs in training only."""
        named = self.named_parameters()
        return sum(kept.numel() for name, kept in named if not name.startswith(TRAINING_ONLY))

    def drop_auxiliary(self) -> None:
        """Removes the head that the net needs in training only, if there is one."""
        if getattr(self.skeleton, "auxiliary_head", None) is not None:
            self.skeleton.auxiliary_head = None

    @classmethod
    def from_pretrained(cls, place: str | Path, revision: str | None = None) -> "Net":
        """Loads a net that was handed on, for normalised images.

        Args:
            place: A folder of `save_pretrained` or ``export``, or the name of a repository of
                Hugging Face's Hub, ``user/name``, for which the extra ``hub`` is needed.
            revision: Branch, tag or commit of the repository; None takes the newest one.

        Raises:
            FileNotFoundError: if there are no weights.
            ValueError: if the repository cannot be fetched, or the file be read as a net.
        """
        folder = Path(place) if Path(place).is_dir() else download(str(place), revision)
        found = next((folder / name for name in SHARED if (folder / name).is_file()), None)
        return load_weights(found or folder / SHARED[0])[0]

    def save_pretrained(self, folder: str | Path, about: Mapping[str, Any] | None = None) -> None:
        """Writes ``model.safetensors`` and ``config.json``, in the form of Hugging Face's Hub.

        Args:
            about: More facts for both files, as plain values: what an export tells.
        """
        facts = {**self._settings(), **(about or {})}
        save_weights(self, Path(folder) / SHARED[0], facts)
        write_text(Path(folder) / "config.json", json.dumps(facts, indent=2) + "\n")

    def push_to_hub(
        self, repository: str, about: Mapping[str, Any] | None = None, private: bool | None = None
    ) -> str:
        """Puts what `save_pretrained` writes on Hugging Face's Hub; returns the commit's address.

        Args:
            repository: Its name, ``user/name``; it is made if absent.
            private: Whether a new one is private; None leaves that to the account.

        Raises:
            ValueError: if the extra ``hub`` is not installed, or the Hub refuses.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, about)
            return upload(Path(folder), repository, private)

    def _settings(self) -> dict[str, Any]:
        """Returns the values, all plain, from which a net can be built again."""
        numbers = {name: getattr(self, name) for name in NUMBERS}
        return {"architecture": self.architecture.to_dict(), **numbers}

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


def save_weights(net: Net, path: str | Path, about: Mapping[str, Any]) -> None:
    """Writes weights and running statistics, with what is needed to build the net again.

    ``about`` holds other facts for the file's metadata, as plain values.
    """
    state = net.state_dict()
    kept = {name: value for name, value in state.items() if not name.startswith(TRAINING_ONLY)}
    write_weights(path, kept, {**net._settings(), **about})


def load_weights(path: str | Path) -> tuple[Net, dict[str, Any]]:
    """Returns the net in a file of `save_weights`, ready for use, and what the file says about it.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, written by another program, or does not fit its architecture.
    """
    tensors, about = read_weights(path)
    try:
        architecture = build_architecture(about["architecture"])
        with torch.random.fork_rng([]):  # loading draws nothing
            net = Net(architecture, *(about[name] for name in NUMBERS))
        net.load_state_dict(tensors, assign=True)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"the weights in {path} do not fit its architecture: {reason}") from None
    return net.eval().to(memory_format=torch.channels_last), about
