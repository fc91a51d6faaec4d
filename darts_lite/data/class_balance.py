"""How evenly items are spread over their classes, and what follows from it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from torch import Tensor

FEW = 20  # training images of a class below which it is learnt by chance
UNEVEN = 3  # how many times as many images the largest class may have as the smallest


def balance(counts: Tensor) -> Tensor:
    """Returns weights of classes, inverse to their numbers of items, ``(classes,)`` both.

    Their mean over all items is 1, so that losses keep their size. Raises ValueError if a class
    has no item.
    """
    if bool((counts == 0).any()):
        raise ValueError("class_weights needs training items of every class; add some")
    return counts.sum() / (len(counts) * counts.double())


def doubt_counts(
    names: Sequence[str], counts: Sequence[int], weighted: bool, called: str
) -> Iterator[str]:
    """Yields what to beware of with so many training items of each class, and what to do.

    Args:
        names: Of the classes.
        counts: Of their training items.
        weighted: Whether the training weighs classes.
        called: What items are called.
    """
    few = [f"{name} ({count})" for name, count in zip(names, counts, strict=True) if count < FEW]
    if few:
        yield (
            f"there are fewer than {FEW} training {called} of {list_names(few)}: what a net learns "
            f"of so few is chance; add {called}, and trust their recall only as far as there are "
            f"test {called} of them"
        )
    (least, rare), *_, (most, common) = sorted(zip(counts, names, strict=True))
    if most > UNEVEN * least:
        advice = (
            "rare ones count for more in training"
            if weighted
            else "set retraining.class_weights to balanced (of a PlayOff model.class_weights as "
            f"well), or add {called}"
        )
        yield (
            f"classes are uneven, {most:,} training {called} of {common} and {least:,} of {rare}: "
            f"{advice}, and look at the balanced accuracy"
        )


def list_names(names: Sequence[str]) -> str:
    """Returns the first names in words."""
    return ", ".join(names[:9]) + " ..." * (len(names) > 9)


def name_classes(names: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """Returns the names of all classes; labels are the names of those that have none."""
    return tuple(map(str, range(count)) if names is None else names)


def count_recalls(
    answered: Iterable[tuple[str, str]], names: Sequence[str]
) -> dict[str, float | None]:
    """Returns each class' share of right answers; None for a class without items.

    Args:
        answered: Of each item its class and the answer.
        names: Of all classes.
    """
    asked: dict[str, list[bool]] = {name: [] for name in names}
    for name, answer in answered:
        asked[name].append(name == answer)
    return {name: sum(hits) / len(hits) if hits else None for name, hits in asked.items()}


def compute_balanced_accuracy(recalls: Mapping[str, float | None]) -> float | None:
    """Returns the mean recall of the classes that have any items; None if none has."""
    known = [recall for recall in recalls.values() if recall is not None]
    return sum(known) / len(known) if known else None


def describe_recalls(recalls: Mapping[str, float | None], most: int = 12) -> str:
    """Returns each class' recall in words, or the smallest ones of many classes."""
    known = [(name, recall) for name, recall in recalls.items() if recall is not None]
    shown = known if len(known) <= most else sorted(known, key=lambda each: each[1])[:most]
    told = ", ".join(f"{name} {100 * recall:.1f} %" for name, recall in shown)
    return told if shown is known else f"{told} (the smallest of {len(known)})"
