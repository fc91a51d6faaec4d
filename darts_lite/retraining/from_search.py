"""Reads an architecture and a supernet's weights from a search, for a retraining."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darts_lite.networks.kinds import build_architecture, read_architecture
from darts_lite.networks.supernet import Supernet
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.exploration.exploration import Exploration
from darts_lite.search.playoff.play_off import PlayOff
from darts_lite.space.protocol import AnyArchitecture
from darts_lite.storage.checkpoints import Checkpoint

NO_SUPERNET = (
    "a PlayOff trains no supernet, so there are no weights to inherit; set inherit to false"
)


@dataclass(frozen=True)
class FoundArchitecture:
    """An architecture, and the checkpoint of its search if it comes from one."""

    architecture: AnyArchitecture
    checkpoint: Checkpoint | None = None

    @classmethod
    def of(cls, value: AnyArchitecture | Mapping[str, Any] | str | Path) -> "FoundArchitecture":
        """Accepts all that `read_architecture` accepts, and the path of a search checkpoint."""
        if not isinstance(value, str | Path) or Path(value).suffix != ".ckpt":
            return cls(read_architecture(value))
        checkpoint = Checkpoint.read(value)
        return cls(architecture_in(checkpoint), checkpoint)

    def supernet(self) -> Supernet:
        """Returns the supernet of the search checkpoint, with its trained weights."""
        if self.checkpoint is None or "architecture" not in self.checkpoint.content:
            raise ValueError(
                "inherit needs the path of a search checkpoint (checkpoints/last.ckpt of its run) "
                "as architecture; or set inherit to false"
            )
        if self.checkpoint.model == PlayOff.__name__:
            raise ValueError(NO_SUPERNET)
        if self.checkpoint.model == Exploration.__name__:
            return self.checkpoint.build(Exploration).supernet
        # The weights do not need custom relaxations and rules, which could not be built here.
        return self.checkpoint.build(ArchitectureSearch, relaxation=None, derivation=None).supernet


def architecture_in(checkpoint: Checkpoint) -> AnyArchitecture:
    """Returns the architecture that a checkpoint holds; raises ValueError if there is none."""
    held: Any = checkpoint.content.get("architecture") or checkpoint.settings.get("architecture")
    try:
        return build_architecture(held)
    except ValueError as error:
        raise ValueError(f"{checkpoint.path} holds no architecture: {error}") from error
