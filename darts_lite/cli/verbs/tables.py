"""Writes tables as comma-separated values."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path

FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a cell begins with that a spreadsheet may compute, and so run."""


def format_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Returns a table as comma-separated lines; spreadsheets take all of its cells for text."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([make_harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def make_harmless(cell: object) -> object:
    """Returns a cell that no spreadsheet takes for a formula.

    A path ``=1.png`` becomes ``./=1.png``, which is the same file; of other texts that are no
    numbers ``=1`` becomes ``'=1``, as OWASP advises. Numbers stay as they are.
    """
    text = str(cell)
    if not isinstance(cell, str | Path) or not text.lstrip(" ").startswith(FORMULAS):
        return cell
    if isinstance(cell, Path):
        return f"./{text}"
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return cell
