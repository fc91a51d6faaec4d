"""The plan of a play-off: which nets are trained when, and for how long."""

from typing import Literal, NamedTuple

PARTS = (1, 1, 2)
"""Lengths of the heats of a cohort, in heats; half of the nets go on each time."""


class Heat(NamedTuple):
    """Steps in which some nets are trained on the same batches, and are then compared.

    Attributes:
        kind: A ``new`` cohort begins, the better half of it goes ``on``, or ``final``.
        begins: Step of the training at which it begins.
        steps: Its length.
        size: Number of nets in it.
    """

    kind: Literal["new", "on", "final"]
    begins: int
    steps: int
    size: int

    @property
    def ends(self) -> int:
        """Number of steps after which it is decided."""
        return self.begins + self.steps


def plan_heats(total: int, opening: int, cohorts: int, children: int, finalists: int) -> list[Heat]:
    """Plans a training of `total` steps.

    After the opening and the cohorts of children, the best nets of all go on, half of them each
    time and for twice as long, until one is left. The last heat takes the steps that are left over.

    Raises:
        ValueError: if there are too few steps for all heats.
    """
    whole = sum(PARTS)  # what a net has behind it when it leaves its cohort
    sizes = [finalists]
    while sizes[-1] > 3:
        sizes.append(sizes[-1] // 2)
    last = [(size, whole * 2**place) for place, size in enumerate(sizes)]
    parts = whole * (1 + cohorts) + sum(part for _, part in last)
    length = total // parts
    if not length:
        raise ValueError(
            f"the search has {total} steps, but a play-off with {cohorts} cohorts of children and "
            f"{finalists} finalists takes at least {parts}; raise trainer.max_epochs or "
            "data.search_batches_per_epoch, or lower model.cohorts or model.finalists"
        )
    heats: list[Heat] = []

    def add(kind: Literal["new", "on", "final"], part: int, size: int) -> None:
        heats.append(Heat(kind, heats[-1].ends if heats else 0, length * part, size))

    for first in (opening, *[children] * cohorts):
        for place, part in enumerate(PARTS):
            add("on" if place else "new", part, max(1, first // 2**place))
    for size, part in last:
        add("final", part, size)
    return [*heats[:-1], heats[-1]._replace(steps=total - heats[-1].begins)]
