"""Real digits for all tests, without a data folder, and networks that do not work."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from run_helpers import Exported, Finished, OwnImages, Proxy, use_proxy, write_digits

from darts_lite.data.images.image_data import ImageData

gc.disable()  # what is imported stays; see `pytest_collection_finish`
# The tests' tensors are tiny: a second thread only waits, and long where the machine is shared.
os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that tests start
torch.set_num_threads(1)
LONGEST = ("test_readme", "test_benchmark_gpu", "test_sweep", "test_parts", "test_strategy")
"""Modules of tests that take minutes, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first, so that of several processes none is left alone with one at the end."""
    long = [item for item in items if item.get_closest_marker("slow")][::-1]
    places = {name: place for place, name in enumerate(LONGEST)}
    long.sort(key=lambda item: places.get(item.path.stem, len(places)))
    items[:] = long + [item for item in items if item not in long]


def pytest_collection_finish() -> None:
    """Looks for garbage among what tests make alone, and less often: an eighth of their time."""
    gc.freeze()
    gc.set_threshold(10_000)
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keeps where the tests' data lie out of the cache of whoever runs them."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def digits_root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data folder in MNIST's layout: 4,000 and 1,000 of the real digits of the package."""
    folder = tmp_path_factory.mktemp("digits")
    by_class = torch.arange(5000).view(10, 500)
    # digits in turn: 0 to 9, 0 to 9, ...
    write_digits(folder, by_class[:, :400].t().flatten(), by_class[:, 400:].t().flatten())
    return str(folder)


@pytest.fixture
def found_digits(digits_root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real digits are in the data folder of whoever names none."""
    monkeypatch.setenv("DARTS_LITE_DATA", digits_root)


@pytest.fixture
def digits(digits_root: str) -> ImageData:
    """The real digits as a data module."""
    return ImageData(root=digits_root, search_batch_size=32)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, digits_root: str) -> Finished:
    """A complete run, to be looked at only."""
    return Finished(tmp_path_factory.mktemp("finished"), digits_root)


@pytest.fixture(scope="session")
def own_images(tmp_path_factory: pytest.TempPathFactory) -> OwnImages:
    """A complete run on a folder of images, to be looked at only."""
    return OwnImages(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="session")
def exported(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Files of a complete run for other programs, to be looked at only."""
    return Exported(finished, tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="session")
def configs() -> Path:
    """The folder of the presets."""
    return Path(__file__).parents[1] / "configs"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every connection is refused."""
    use_proxy(monkeypatch, "http://127.0.0.1:9")


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A network in which connections open and nothing ever comes back."""
    proxy = Proxy(b"")
    use_proxy(monkeypatch, proxy.address)
    yield proxy
    proxy.close()


@pytest.fixture
def stalling(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A network that answers, sends a little, and stops."""
    proxy = Proxy(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nabc")
    use_proxy(monkeypatch, proxy.address)
    yield proxy
    proxy.close()
