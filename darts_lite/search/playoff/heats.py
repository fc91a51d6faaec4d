"""The plan of a play-off: which nets are trained when, and for how long."""

from typing import NamedTuple


class Heat(NamedTuple):
    """Steps in which some candidates are trained on the same batches, and are then compared.

    Args:
        kind: ``opening``, ``children`` or ``final``.
        begins: Step of the training at which it begins.
        steps: Its length.
        size: Number of candidates in it.
    """

    kind: str
    begins: int
    steps: int
    size: int

    @property
    def ends(self) -> int:
        """Step of the training before which it is decided."""
        return self.begins + self.steps


def plan_heats(total: int, length: int, opening: int, children: int, finalists: int) -> list[Heat]:
    """Plans the heats of a training of `total` steps.

    The first heat trains the `opening`, then each one as many `children`, from scratch. In the
    final heats half of the candidates go on each time, for twice as long, until one is left; they
    take what is left of the steps.

    Raises:
        ValueError: if there are too few steps for all kinds of heats.
    """
    sizes = [finalists]
    while sizes[-1] > 2:
        sizes.append(sizes[-1] // 2)
    parts = [2**place for place in range(len(sizes))]  # lengths of the final heats
    least = length * (1 + sum(parts))
    if total < least:
        raise ValueError(
            f"the search has {total} steps, and a play-off of {finalists} finalists with heats of "
            f"{length} needs {least}; raise trainer.max_epochs or data.search_batches_per_epoch, "
            "or lower heat_steps or finalists"
        )
    generations = (total - least) // length
    plan = [("opening", length, opening), *[("children", length, children)] * generations]
    plan += [("final", length * part, size) for part, size in zip(parts, sizes, strict=True)]
    heats: list[Heat] = []
    for kind, steps, size in plan:
        heats.append(Heat(kind, heats[-1].ends if heats else 0, steps, size))
    return [*heats[:-1], heats[-1]._replace(steps=total - heats[-1].begins)]
