"""A small disk that is really full or really read-only, and what fills it in a run."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

NAMESPACES = (["unshare", "--user", "--map-root-user", "--mount"], ["unshare", "--mount"])
"""Of mounts that nobody else sees: as any user, or as root where that is not allowed."""
MOUNT = """
set -e
mount -t tmpfs -o "size=$2,nr_inodes=$3" tmpfs "$1"
echo ready
while read -r options; do mount -o "remount,$options" "$1"; echo done; done
"""


class SmallDisk:
    """A tmpfs in a process's own namespace, reached through that process; gone with it."""

    def __init__(self, process: subprocess.Popen[str], mounted_at: Path) -> None:
        self.process = process
        self.path = Path(f"/proc/{process.pid}/root") / mounted_at.relative_to("/")

    def remount(self, options: str) -> None:
        """Changes its options: ``ro``, or ``size=...``."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(options + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"


@contextlib.contextmanager
def small_disk(folder: Path, size: str, files: int = 1000) -> Iterator[SmallDisk]:
    """Mounts a disk of some size and number of files, or skips the test where that is impossible.

    Args:
        folder: Empty; where it is mounted.
        size: As mount takes it: ``2m``.
        files: How many files and folders fit.
    """
    said = []
    for namespace in NAMESPACES:
        try:
            process = subprocess.Popen(
                [*namespace, "sh", "-c", MOUNT, "sh", str(folder), size, str(files)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        except FileNotFoundError:
            pytest.skip("a small disk needs Linux's unshare")
        assert process.stdout is not None
        with process:
            if process.stdout.readline() == "ready\n":
                yield SmallDisk(process, folder)
                process.communicate()  # closes its input, which ends it
                return
            said.append(process.communicate()[1].strip())
    pytest.skip(f"no small disk can be mounted here, not even as root: {'; '.join(said)}")


def fill(disk: Path, leave: int = 0) -> None:
    """Writes a file ``filler`` over all the room of a disk but some bytes."""
    with (disk / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    filler = disk / "filler"
    with filler.open("r+b") as file:
        file.truncate(max(0, filler.stat().st_size - leave))


class Fills(Callback):
    """Fills a disk in a stage, before one of its steps; once, also over interruptions."""

    def __init__(self, disk: str, stage: str, step: int, leave: int = 0) -> None:
        self.disk, self.stage, self.step, self.leave = Path(disk), stage, step, leave

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        asked = type(pl_module).__name__ == self.stage and trainer.global_step == self.step
        if asked and not (self.disk / "filler").exists():
            fill(self.disk, self.leave)
