"""Names the files and folders of a run."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from darts_lite.storage.paths import list_entries

CHECKPOINTS = {"search": "last.ckpt", "retraining": "retraining-last.ckpt"}
"""Stage -> name of the file with its newest checkpoint."""
STAGES = tuple(CHECKPOINTS)
SEEDS, CONTROLS = "seeds", "controls"
"""Subfolders of a run: they hold a folder for each of several searches, and each random net."""
SUMMARY = "summary.json"
LOG = "log.txt"
"""What a job prints, in its folder."""


def _file(name: str) -> cached_property[Path]:
    return cached_property(lambda folder: folder.path / name)


@dataclass(frozen=True)
class RunFolder:
    """The paths of the files of a run, or of one search or net of several in a run.

    Args:
        path: ``<run.folder>/<run.name>/version_<n>``, or a folder inside it.
    """

    path: Path

    config = _file("config.yaml")  # the settings that the run began with
    summary = _file(SUMMARY)  # the finished stages and their results
    architecture = _file("architecture.json")  # the found architecture
    drawing = _file("architecture.png")  # a picture of it
    agreement = _file("agreement.png")  # a picture of the agreement of several searches
    worst = _file("worst.png")  # the test images that the net is most wrong about
    net = _file("net.ckpt")  # the checkpoint of the trained net
    data = _file("data.json")  # what its data are, for its jobs and to go on with it
    held_out = _file("held_out.txt")  # files of a folder of images that were kept for the test
    weights = _file("net.safetensors")  # its weights alone, for other programs

    @property
    def title(self) -> str:
        """Its name with that of the folder around it: ``mnist/version_0``."""
        place = self.path.absolute()
        return f"{place.parent.name}/{place.name}"

    def __str__(self) -> str:
        return str(self.path)

    @classmethod
    def below(cls, place: Path) -> "list[RunFolder]":
        """Returns the begun runs in and below a folder, in the order of their summaries' paths."""
        return [cls(path.parent) for path in sorted(place.rglob(SUMMARY))]

    @classmethod
    def versions(cls, place: Path) -> "list[RunFolder]":
        """Returns the folders ``version_<n>`` in a folder, the newest first."""
        named = (path for path in list_entries(place) if re.fullmatch("version_[0-9]+", path.name))
        return sorted(map(cls, named), key=lambda each: each.number, reverse=True)

    @property
    def number(self) -> int:
        """The number n of ``version_<n>``."""
        return int(self.path.name.removeprefix("version_"))

    def checkpoint(self, stage: str) -> Path:
        """Returns the file from which a stage, one of `STAGES`, can be resumed."""
        return self.path / "checkpoints" / CHECKPOINTS[stage]

    def history(self, stage: str) -> Path:
        """Returns the file of the metrics and shares after each epoch of a stage."""
        return self.path / "history" / f"{stage}.json"


def list_checkpoints(path: Path) -> list[Path]:
    """Returns the checkpoints of a stage that are there, the newest first.

    The newest one has the path `path`; older ones have a number behind its stem.
    """
    named = re.compile(rf"{re.escape(path.stem)}(-[0-9]+)?{re.escape(path.suffix)}")
    found = [entry for entry in list_entries(path.parent) if named.fullmatch(entry.name)]
    return sorted(found, key=lambda one: (len(one.name), one.name))  # -2 before -10


def find_last_checkpoint(directory: Path) -> Path | None:
    """Returns the checkpoint from which a run, or a part of one, would go on; None without one."""
    seeds, controls = (list_entries(directory / group) for group in (SEEDS, CONTROLS))
    for place in reversed([*seeds, directory, *controls]):  # in the order in which they run
        for stage in reversed(STAGES):
            if saved := list_checkpoints(RunFolder(place).checkpoint(stage)):
                return saved[0]
    return None
