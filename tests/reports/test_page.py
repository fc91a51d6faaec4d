"""A page is one file, and shows all it is given as text."""

import base64
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from page_helpers import check_whole
from run_helpers import Finished

from darts_lite.reports.page import Picture, Section, Table, write_page

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(1)>\"'&"


def test_everything_is_escaped() -> None:
    section = Section(
        HOSTILE,
        [HOSTILE],
        [HOSTILE],
        [Table([(HOSTILE, HOSTILE)], (HOSTILE, HOSTILE), HOSTILE)],
        [Picture.of_figure(Figure(), HOSTILE)],
        [(HOSTILE, HOSTILE)],
        [(HOSTILE, HOSTILE)],
    )
    page = check_whole(write_page(HOSTILE, HOSTILE, [section]))
    assert page.tags.count("img") == 1 and page.alts == [HOSTILE]
    assert page.text.count(HOSTILE) == 16


def test_long_names_may_be_broken_and_numbers_not() -> None:
    page = write_page("", "", [Section("a", tables=[Table([("a.b_c<d>/e", "26.18")])])])
    assert "a.<wbr>b_<wbr>c&lt;d&gt;/<wbr>e" in page and "26.18" in page


def test_pictures_are_in_the_page(finished: Finished, tmp_path: Path) -> None:
    worst = finished.directory / "worst.png"
    picture = Picture.of_file(worst, "worst")
    kind, _, content = picture.source.partition(",")
    assert kind == "data:image/png;base64" and base64.b64decode(content) == worst.read_bytes()
    drawn = Picture.of_figure(Figure(figsize=(30, 3)), "wide", shrinks=False)
    assert drawn.least == drawn.width > 2000 and drawn.source.startswith("data:image/svg+xml")
    (tmp_path / "worst.png").write_text("<svg onload=alert(1)>")
    with pytest.raises(ValueError, match="is not a picture"):
        Picture.of_file(tmp_path / "worst.png", "")
