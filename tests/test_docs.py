"""The site of the documentation, made by the README's command."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import darts_lite

pytestmark = pytest.mark.slow
ROOT = Path(darts_lite.__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_module_stands_in_the_reference(site: Path) -> None:
    pages = "".join(path.read_text() for path in site.glob("reference/*.html"))
    for path in (ROOT / "darts_lite").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if len(parts) > 2 and not parts[-1].startswith("__"):
            assert f'id="{".".join(parts)}"' in pages, path


def test_every_public_name_stands_in_the_reference(site: Path) -> None:
    page = (site / "reference" / "index.html").read_text()
    for name in darts_lite.__all__:
        assert f'id="darts_lite.{name}"' in page, name


def test_pages_ask_for_nothing_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text()
        assert 'src="http' not in text and '<link rel="stylesheet" href="http' not in text, path


def test_a_browser_follows_links_without_a_server(site: Path) -> None:
    links = re.findall(r'href="([^"#:?]+)["#?]', (site / "index.html").read_text())
    assert "guide/install.html" in links
    for link in links:
        assert (site / link).is_file(), link
