"""The group `run` of a configuration."""

from dataclasses import dataclass


@dataclass
class RunSettings:
    """Where a run writes and when it ends.

    Args:
        name: Runs are written to ``<folder>/<name>/version_<n>``.
        folder: Where all runs lie.
        max_minutes: Ends a search early; the architecture found by then is retrained all the same.
        imports: Modules to import first: those that define operations of your own.
    """

    name: str = "search"
    folder: str = "logs"
    max_minutes: float | None = None
    imports: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.max_minutes is not None and self.max_minutes <= 0:
            raise ValueError(f"run.max_minutes must be above 0, got {self.max_minutes}")
