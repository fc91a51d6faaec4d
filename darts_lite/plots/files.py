"""Writes drawings to files."""

import io
from pathlib import Path

from matplotlib.figure import Figure

from darts_lite.storage.atomic_files import write_whole

ENDINGS = (".png", ".svg")


def check_ending(path: str | Path) -> None:
    """Raises ValueError if drawings cannot be written to files of this kind."""
    if Path(path).suffix.lower() not in ENDINGS:
        raise ValueError(f"a drawing must be a .png or .svg file, got {str(path)!r}")


def save(figure: Figure, path: str | Path) -> None:
    """Writes a PNG or SVG file, by the ending of `path`; see `check_ending` and `write_whole`."""
    check_ending(path)
    with write_whole(path) as file:
        file.write(render(figure, Path(path).suffix[1:].lower()))


def render(figure: Figure, kind: str = "png", dpi: float | None = None) -> bytes:
    """Returns the content of a file with a figure on white; the kind is ``png`` or ``svg``."""
    content = io.BytesIO()
    figure.savefig(content, format=kind, facecolor="white", dpi=dpi or figure.dpi)
    return content.getvalue()
