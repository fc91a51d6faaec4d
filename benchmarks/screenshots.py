"""TensorBoard's pages of a run and of several, as a headless Chromium shows them.

    python benchmarks/screenshots.py --logdir logs/mnist --output benchmarks
    python benchmarks/screenshots.py --logdir logs/compared --output benchmarks --pages hparams

Results: the pictures in README.md.
"""

import argparse
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PAGES = {
    "scalars": ("scalars&_smoothingWeight=0&tagFilter=search%7Calphas", (1300, 1000)),
    "images": ("images", (1300, 1290)),
    "text": ("text", (1300, 620)),
    "hparams": ("hparams", (1500, 520)),
}
"""What follows the address, and the window's width and height."""
PATIENCE = 60.0
"""Seconds until TensorBoard answers."""
SETTLED = 30_000
"""Milliseconds of a page's own time before its picture is taken."""


@contextmanager
def tensorboard(logdir: Path) -> Iterator[str]:
    """The address of a TensorBoard that shows a folder.

    Raises:
        TimeoutError: if it does not answer.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", f"--logdir={logdir}", f"--port={port}"]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    address, end = f"http://localhost:{port}/", time.monotonic() + PATIENCE
    try:
        while not answers(f"{address}data/runs"):
            if time.monotonic() > end:
                raise TimeoutError(f"TensorBoard does not answer at {address}")
            time.sleep(1)
        yield address
    finally:
        server.terminate()
        server.wait()


def answers(address: str) -> bool:
    """Whether there is anything but an empty list at an address."""
    try:
        with urllib.request.urlopen(address) as reply:
            return len(reply.read()) > len("[]\n")
    except urllib.error.URLError:
        return False


def main(arguments: Sequence[str] | None = None) -> None:
    """Takes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--logdir", type=Path, required=True, help="as TensorBoard takes it")
    parser.add_argument("--output", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--pages", nargs="+", choices=PAGES, default=list(PAGES))
    parser.add_argument("--browser", default="chromium", help="command of a Chromium")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    with tensorboard(options.logdir) as address:
        for page in options.pages:
            place, (width, height) = PAGES[page]
            path = options.output / f"tensorboard_{page}.png"
            subprocess.run(
                [
                    *(options.browser, "--headless=new", "--no-sandbox", "--disable-gpu"),
                    *("--hide-scrollbars", f"--window-size={width},{height}"),
                    *(f"--virtual-time-budget={SETTLED}", f"--screenshot={path.resolve()}"),
                    f"{address}?darkMode=false#{place}",
                ],
                check=True,
                stderr=subprocess.DEVNULL,
            )
            print(path)


if __name__ == "__main__":
    main()
