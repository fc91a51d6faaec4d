"""The API pages, made by the README's command."""

import subprocess
import sys
from pathlib import Path

import pytest

import darts_lite

pytestmark = pytest.mark.slow
FOLDER = Path(darts_lite.__file__).parent
MAIN = Path("darts_lite/__main__")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    rooms = sorted(str(path) for path in FOLDER.glob("[a-z]*/"))
    command = [sys.executable, "-m", "pdoc", str(FOLDER), *rooms, "-o", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Warn" not in done.stderr, done.stderr
    return folder


def test_every_module_has_a_page(pages: Path) -> None:
    found = {path.relative_to(pages).with_suffix("") for path in pages.rglob("*.html")}
    modules = [path.relative_to(FOLDER.parent).with_suffix("") for path in FOLDER.rglob("*.py")]
    assert found >= {m.parent if m.name == "__init__" else m for m in modules} - {MAIN}


def test_every_public_name_stands_on_the_first_page(pages: Path) -> None:
    page = (pages / "darts_lite.html").read_text()
    for name in darts_lite.__all__:
        assert f'id="{name}"' in page, name
