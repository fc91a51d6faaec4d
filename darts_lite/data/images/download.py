"""Downloads by torchvision over a network that may be absent, silent or break down half-way."""

import queue
import socket
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

from darts_lite.storage.leftovers import work_in_folder


def fetch(torchvision: Callable[..., Any], root: Path) -> None:
    """Lets a torchvision data set unpack the archives in ``root``, or download what is missing."""
    for train in (True, False):
        torchvision(root=str(root), train=train, download=True)


def download(
    torchvision: Callable[..., Any], urls: tuple[str, ...], root: Path, seconds: float
) -> str | None:
    """Downloads a torchvision data set into ``root``, if one of ``urls`` answers in ``seconds``.

    A download that has begun may take longer; one that stalls is given up. Returns None, or in a
    few words why it was not possible.
    """
    deadline = time.monotonic() + seconds
    if (url := _find_answering(urls, seconds)) is None:
        return "no network"
    # Without this, torchvision would first wait for the mirrors that did not answer.
    mirrors = [m for m in getattr(torchvision, "mirrors", ()) if url.startswith(m)]
    kind: Any = torchvision
    source = type(kind.__name__, (kind,), {"mirrors": mirrors}) if mirrors else kind
    previous = socket.getdefaulttimeout()
    # Half the time each, as torchvision tries a stalled URL a second time.
    socket.setdefaulttimeout(max(1.0, (deadline - time.monotonic()) / 2))
    try:
        root.mkdir(parents=True, exist_ok=True)
        # An interrupted download must not leave half a data set, which would fail the next run.
        with work_in_folder(root, "download-") as folder:
            fetch(source, folder)
            for path in [path for path in folder.rglob("*") if path.is_file()]:
                target = root / path.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
    except (OSError, RuntimeError, HTTPException) as error:
        return f"the download failed: {' '.join(str(error).split()) or type(error).__name__}"
    finally:
        socket.setdefaulttimeout(previous)
    return None


def _find_answering(urls: tuple[str, ...], seconds: float) -> str | None:
    """Returns the first of ``urls`` to answer within ``seconds``, or None."""
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
        # A name lookup ignores every timeout, so threads are left behind and never joined.
        threading.Thread(target=probe, args=(url,), daemon=True).start()
    with suppress(queue.Empty):
        for _ in urls:
            if answer := answers.get(timeout=max(0.0, deadline - time.monotonic())):
                return answer
    return None
