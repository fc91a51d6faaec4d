"""Downloading by torchvision, for a network that may be absent, silent or break down half-way."""

import queue
import socket
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any


def fetch(torchvision: Callable[..., Any], root: Path) -> None:
    """Let a torchvision data set unpack the archives in ``root``, or download what is missing."""
    for train in (True, False):
        torchvision(root=str(root), train=train, download=True)


def download(
    torchvision: Callable[..., Any], urls: tuple[str, ...], root: Path, seconds: float
) -> str | None:
    """Download a torchvision data set into ``root``, if one of ``urls`` answers in ``seconds``.

    Returns None, or in a few words why it was not possible. A download that has begun may take
    longer, but one that stalls is given up.
    """
    deadline = time.monotonic() + seconds
    url = _first_answer(urls, seconds)
    if url is None:
        return "no network"
    # torchvision would first wait for the mirrors that did not answer
    mirrors = [m for m in getattr(torchvision, "mirrors", ()) if url.startswith(m)]
    source: Any = torchvision
    if mirrors:
        source = type(source.__name__, (source,), {"mirrors": mirrors})
    previous = socket.getdefaulttimeout()
    # torchvision tries a stalled URL a second time
    socket.setdefaulttimeout(max(1.0, (deadline - time.monotonic()) / 2))
    try:
        root.mkdir(parents=True, exist_ok=True)
        # an interrupted download must not leave half a data set that the next run trips over
        with tempfile.TemporaryDirectory(dir=root, prefix="download-") as folder:
            fetch(source, Path(folder))
            for path in [path for path in Path(folder).rglob("*") if path.is_file()]:
                target = root / path.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
    except (OSError, RuntimeError, HTTPException) as error:
        return f"the download failed: {' '.join(str(error).split()) or type(error).__name__}"
    finally:
        socket.setdefaulttimeout(previous)
    return None


def _first_answer(urls: tuple[str, ...], seconds: float) -> str | None:
    """The first of ``urls`` to answer within ``seconds``, or None."""
    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def probe(url: str) -> None:
        try:
            with urllib.request.urlopen(url, timeout=seconds) as response:
                response.read(1)
        except (OSError, HTTPException, ValueError):
            answers.put(None)
        else:
            answers.put(url)

    deadline = time.monotonic() + seconds
    for url in urls:
        # a name lookup ignores every timeout: such a thread is left behind, never joined
        threading.Thread(target=probe, args=(url,), daemon=True).start()
    try:
        for _ in urls:
            if answer := answers.get(timeout=max(0.0, deadline - time.monotonic())):
                return answer
    except queue.Empty:
        pass
    return None
