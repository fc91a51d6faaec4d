"""What is handed on as a package is whole."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILD = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"


@pytest.mark.slow
def test_the_source_package_holds_what_its_tests_need(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    needed = [
        path
        for folder in ("darts_lite", "tests", "benchmarks", "configs", "docs")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    needed += [ROOT / name for name in ("mkdocs.yml", "README.md", "LICENSE", ".ci/run")]
    assert not sorted({str(path.relative_to(ROOT)) for path in needed} - held)
