"""The group `run` of a configuration."""

from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as short
from typing import Literal

LARGEST = 1_000_000
"""Most minutes, searches, nets, steps or checkpoints that can be asked for."""


@dataclass
class RunSettings:
    """Where a run writes, when it ends, and how it is checked.

    Args:
        name: Runs are written to ``<folder>/<name>/version_<n>``.
        folder: Where all runs lie.
        max_minutes: Ends a search early; the architecture found by then is retrained all the same.
            Of several searches, each may take so long.
        imports: Modules to import first: those that define operations of your own.
        seeds: How many times to search, with the seed of ``seed_everything`` and those after it.
            What several searches agree on is retrained.
        control: ``random`` also retrains random architectures of the same space in the same way,
            and tells how many of them the found one beats.
        control_nets: How many random architectures.
        resume: ``auto`` goes on with the newest run of this name that did not come to its end, in
            its folder, from where it was; where there is none it begins a new one.
        save_every_steps: Steps between two checkpoints, beside those after every epoch.
        save_every_minutes: Minutes between two checkpoints.
        keep_checkpoints: How many checkpoints of a stage to keep.
        on_nonfinite: What follows a loss or a gradient that is infinite or no number: ``stop``, or
            ``rollback``, which goes back to the last checkpoint with half the learning rates.
        max_rollbacks: How often a stage may go back before it stops all the same.

    Raises:
        ValueError: if a number is out of range, or the name is none.
    """

    name: str = "search"
    folder: str = "logs"
    max_minutes: float | None = None
    imports: tuple[str, ...] = ()
    seeds: int = 1
    control: Literal["random"] | None = None
    control_nets: int = 5
    resume: Literal["auto"] | None = None
    save_every_steps: int | None = None
    save_every_minutes: float | None = 5.0
    keep_checkpoints: int = 2
    on_nonfinite: Literal["stop", "rollback"] = "stop"
    max_rollbacks: int = 3

    def __post_init__(self) -> None:
        if not self.folder or not is_name(self.name):
            raise ValueError(
                "run.folder must be a path, and run.name the name of a folder in it; got "
                f"{short(self.folder)} and {short(self.name)}"
            )
        for name in ("max_minutes", "save_every_minutes"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= LARGEST:
                raise ValueError(f"run.{name} must be above 0 and at most {LARGEST}, got {value}")
        whole = ("seeds", "control_nets", "save_every_steps", "keep_checkpoints", "max_rollbacks")
        for name in whole:
            value = getattr(self, name)
            if value is not None and not 1 <= value <= LARGEST:
                raise ValueError(
                    f"run.{name} must be at least 1 and at most {LARGEST}, got {value}"
                )


def is_name(text: str) -> bool:
    """Whether this is a short relative path that leads nowhere else, and can be printed."""
    if len(text) > 200 or not text.isprintable():
        return False
    return not Path(text).is_absolute() and ".." not in Path(text).parts
