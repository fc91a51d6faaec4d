"""Downloads: they end in the root, and a network that fails is given up with a reason."""

import contextlib
import functools
import gzip
import hashlib
import http.server
import shutil
import socket
import threading
from pathlib import Path

import pytest
import torch
from run_helpers import Proxy, mnist_contents, one_line, use_proxy
from torchvision.datasets import KMNIST

from darts_lite.data.images import datasets
from darts_lite.data.images.datasets import DATASETS, load
from darts_lite.data.images.download import download

URLS = DATASETS["KMNIST"].urls


@pytest.mark.usefixtures("offline")
def test_without_a_network_the_root_is_not_even_made(tmp_path: Path) -> None:
    assert download(KMNIST, URLS, tmp_path / "data", seconds=5) == "no network"
    assert not (tmp_path / "data").exists()


def test_a_wrong_answer_is_a_failed_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from a network that sends its own page for every address."""
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
    with contextlib.closing(Proxy(page)) as proxy:
        use_proxy(monkeypatch, proxy.address)
        reason = download(KMNIST, URLS, tmp_path, seconds=5)
    assert reason is not None and reason.startswith("the download failed: ")
    assert "\n" not in reason
    assert list(tmp_path.iterdir()) == []


def test_a_silent_network_is_not_waited_for(tmp_path: Path, silent: Proxy) -> None:
    with pytest.raises(FileNotFoundError, match="no network"):
        load("KMNIST", tmp_path, download_seconds=1)
    assert silent.connections


def test_a_download_that_stalls_leaves_nothing_behind(tmp_path: Path, stalling: Proxy) -> None:
    before = socket.getdefaulttimeout()
    for _ in range(2):
        with pytest.raises(FileNotFoundError) as error:
            load("KMNIST", tmp_path, download_seconds=1)
        one_line(error, "the download failed")
    assert socket.getdefaulttimeout() == before
    assert list(tmp_path.iterdir()) == []


def test_a_download_ends_in_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a real server on this machine, through torchvision's own code."""
    site, spec, resources = tmp_path / "site", DATASETS["KMNIST"], []
    site.mkdir()
    for file, content in zip(spec.files, mnist_contents(), strict=True):
        packed = gzip.compress(content)
        (site / f"{Path(file).name}.gz").write_bytes(packed)
        resources.append((f"{Path(file).name}.gz", hashlib.md5(packed).hexdigest()))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        mirror = f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr(KMNIST, "mirrors", ["http://127.0.0.1:9/", mirror])
        monkeypatch.setattr(KMNIST, "resources", resources)
        ours = datasets.replace(spec, urls=tuple(m + resources[0][0] for m in KMNIST.mirrors))
        monkeypatch.setattr(datasets, "DATASETS", {**DATASETS, "KMNIST": ours})
        try:
            loaded = load("KMNIST", tmp_path / "data")
        finally:
            server.shutdown()
            thread.join()
    assert loaded.source == "torchvision download"
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["KMNIST"]
    shutil.rmtree(site)
    again = load("KMNIST", tmp_path / "data")
    assert again.source == "local files"
    assert torch.equal(again.train_items, loaded.train_items)
