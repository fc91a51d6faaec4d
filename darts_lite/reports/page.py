"""Writes sections as one HTML page, without anything that lies elsewhere."""

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from PIL import Image

from darts_lite.plots.files import render
from darts_lite.storage.paths import read_content, reading

PIXELS_PER_INCH = 84
READABLE = 640
"""Width in pixels below which a picture is not made smaller: a narrow screen scrolls it instead."""


class Picture(NamedTuple):
    """A picture as text, with its width in pixels and the least one at which it can be read."""

    source: str
    alt: str
    width: int
    least: int

    @classmethod
    def of_figure(cls, figure: Figure, alt: str, shrinks: bool = True) -> "Picture":
        """Returns a drawing as vectors; one of many small texts is better not made smaller."""
        width = round(PIXELS_PER_INCH * figure.get_figwidth())
        source = _embed(render(figure, "svg"), "svg+xml")
        return cls(source, alt, width, min(width, READABLE) if shrinks else width)

    @classmethod
    def of_file(cls, path: Path, alt: str) -> "Picture":
        """Returns a PNG file's picture; raises ValueError if it is none."""
        with reading(path):
            content = read_content(path)
        try:
            with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
                pixels, dots = picture.width, picture.info.get("dpi", (130, 130))[0]
        except OSError as error:
            raise ValueError(f"{path} is not a picture ({error})") from error
        width = round(PIXELS_PER_INCH * pixels / max(dots, 50))
        return cls(_embed(content, "png"), alt, width, min(width, READABLE))


def _embed(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first cell of each is its heading. Headings of columns are optional."""

    rows: Sequence[Sequence[str]]
    columns: Sequence[str] = ()
    caption: str = ""


@dataclass
class Section:
    """A part of a page under a heading; all of it is plain text.

    Args:
        missing: What the run has not, and how it would come.
        commands: Lines for a terminal, each with what it does.
        folded: Titles of long texts that are shown when asked for, with these.
    """

    title: str
    paragraphs: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    commands: list[tuple[str, str]] = field(default_factory=list)
    folded: list[tuple[str, str]] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """The name by which links inside the page find it."""
        return self.title.lower().replace(" ", "-")


def _make_breakable(text: str) -> Markup:
    """Returns escaped text that may be broken behind dots, slashes and underscores."""
    return Markup(re.sub(r"([./_])(?=[A-Za-z])", r"\1<wbr>", str(escape(text))))


def write_page(title: str, lead: str, sections: Sequence[Section]) -> str:
    """Returns the text of a page; everything in it is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _make_breakable
    return environment.get_template("page.html").render(title=title, lead=lead, sections=sections)
