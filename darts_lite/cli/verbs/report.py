"""`report`: tells about a run on one HTML page, from its files."""

import argparse
from pathlib import Path

from darts_lite.reports.page import write_page
from darts_lite.reports.run_files import RunFiles
from darts_lite.reports.sections import make_sections, tell_state
from darts_lite.storage.atomic_files import make_folder, write_text

REPORT = "report.html"
ENDINGS = (".html", ".htm")


def run(options: argparse.Namespace) -> None:
    """Writes the page."""
    files = RunFiles(options.run)
    path = files.folder.path / REPORT if options.output is None else Path(options.output)
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"--output must be an .html file, got {str(path)!r}")
    make_folder(path.parent, "--output")
    write_text(path, write_page(files.folder.title, tell_state(files), make_sections(files)))
    print(path)
