"""The words and numbers in drawings, in few characters."""

from darts_lite.space.maps import make_shape
from darts_lite.storage.run_record import ACCURACY, Score

LONGEST_NAME = 16  # characters


def shorten_name(operation: str) -> str:
    """Returns the name of an operation, cut to the room in a drawing."""
    name = operation.rpartition(".")[2]
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."


def shorten_number(number: int) -> str:
    """Returns a number in few characters, exactly below a million: ``12,345``, ``1.23 M``."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6)):
        if number >= size:
            return f"{number / size:,.2f} {unit}"
    return f"{number:,}"


def cut(text: str, most: int) -> str:
    """Returns the beginning of a text, of at most so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


def tell_score(score: Score, value: float) -> str:
    """Returns how good a net is in the words of a title."""
    if score == ACCURACY:
        return f"{score.tell(value)} right in the test"
    return f"{score.name} {score.tell(value)} in the test"


def format_map(channels: int, side: int, axes: int = 2) -> str:
    """Returns the shape of a map: ``32 x 14 x 14``, or ``32 x 1 x 14`` of a signal."""
    return " x ".join(map(str, (channels, *make_shape(side, axes))))
