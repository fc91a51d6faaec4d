"""The group `run` of a configuration."""

from dataclasses import dataclass
from typing import Literal


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

    Raises:
        ValueError: if a number is out of range.
    """

    name: str = "search"
    folder: str = "logs"
    max_minutes: float | None = None
    imports: tuple[str, ...] = ()
    seeds: int = 1
    control: Literal["random"] | None = None
    control_nets: int = 5

    def __post_init__(self) -> None:
        if self.max_minutes is not None and self.max_minutes <= 0:
            raise ValueError(f"run.max_minutes must be above 0, got {self.max_minutes}")
        for name in ("seeds", "control_nets"):
            if getattr(self, name) < 1:
                raise ValueError(f"run.{name} must be at least 1, got {getattr(self, name)}")
