"""Reads what a retraining takes from a search: its architecture, its weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from darts_lite.networks.supernet import Supernet
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.exploration.exploration import Exploration
from darts_lite.space.architecture import Architecture
from darts_lite.storage.checkpoints import read_checkpoint


def resolve_architecture(value: Architecture | Mapping[str, Any] | str | Path) -> Architecture:
    """As `Architecture.of`, and also the path of a search checkpoint.

    Raises:
        ValueError: if the content is not valid, or the checkpoint holds no architecture.
        FileNotFoundError: if it is no name and no file.
    """
    if isinstance(value, str | Path) and Path(value).suffix == ".ckpt":
        return architecture_in(read_checkpoint(value), value)
    return Architecture.of(value)


def architecture_in(content: Mapping[str, Any], path: str | Path) -> Architecture:
    """The architecture that a checkpoint holds.

    Args:
        content: Of the checkpoint.
        path: Where it was read.

    Raises:
        ValueError: if there is none.
    """
    held = content.get("architecture") or content["model"]["init_args"].get("architecture")
    try:
        return Architecture.from_dict(held)  # a name in a file that somebody sent leads nowhere
    except ValueError as error:
        raise ValueError(f"{path} holds no architecture: {error}") from error


def _supernet_of(value: Architecture | Mapping[str, Any] | str | Path) -> Supernet:
    if not isinstance(value, str | Path) or "architecture" not in (
        read_checkpoint(value) if Path(value).suffix == ".ckpt" else {}
    ):
        raise ValueError(
            "inherit needs the path of a search checkpoint (checkpoints/last.ckpt of its run) as "
            f"architecture, got {str(value)[:80]!r}; or set inherit to false"
        )
    known: dict[str, Any] = {"map_location": "cpu", "weights_only": True}
    if read_checkpoint(value)["model"]["class_path"].endswith(Exploration.__name__):
        return Exploration.load_from_checkpoint(value, **known).supernet
    # Parts of a user's own classes are not needed for the weights, and could not be built here.
    without = {"relaxation": None, "derivation": None}
    return ArchitectureSearch.load_from_checkpoint(value, **known, **without).supernet
