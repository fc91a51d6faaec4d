"""What is known of a run: its summary, which also tells what a resumed run need not do again."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from darts_lite.storage.atomic_files import write_text

SUMMARY = "summary.json"


class Halted(OSError):
    """Something could not be written, and the message says from where the run can go on."""


class Record:
    """The summary of a run, or of a part of one, written after each of its stages.

    Args:
        directory: Where it is kept; what is there already is gone on with.
        writes: Whether this process writes; one of several does.
    """

    def __init__(self, directory: Path, writes: bool = True) -> None:
        self.directory, self.writes = directory, writes
        self.summary: dict[str, Any] = read_summary(directory)

    @property
    def since(self) -> float:
        """When the last stage ended, in seconds since 1970; infinite before the first."""
        return float(self.summary.get("updated", float("inf")))

    def begin(self, known: Mapping[str, Any]) -> None:
        """Writes what is known before the first stage, unless there has been one."""
        done, updated = self.summary.get("stages", []), min(self.since, time.time())
        state = {"stages": done, "finished": False, "updated": updated}
        self.summary = {**known, **self.summary, **state}
        self._write()

    def stage(
        self, name: str, run: Callable[[], Mapping[str, Any]], leaves: Path | None = None
    ) -> None:
        """Runs a stage and writes its results, unless that was done before.

        Args:
            name: Of the stage.
            run: Returns its results.
            leaves: A file that it writes; where that is gone, the stage is not done.

        Raises:
            Halted: if anything cannot be written, as on a full disk.
        """
        if name in self.summary["stages"] and (leaves is None or leaves.exists()):
            return
        with halting(self.directory):
            results = run()
            stages = list(dict.fromkeys([*self.summary["stages"], name]))
            self.summary |= {**results, "stages": stages, "updated": time.time()}
            self._write()

    def finish(self) -> None:
        """Writes that there is no more to do."""
        self.summary["finished"] = True
        self._write()

    def _write(self) -> None:
        if self.writes:
            write_text(self.directory / SUMMARY, json.dumps(self.summary, indent=2) + "\n")


@contextmanager
def halting(directory: Path) -> Iterator[None]:
    """Adds to an error of the file system what is left of a run.

    Raises:
        Halted: in one line.
    """
    try:
        yield
    except (BrokenPipeError, Halted):
        raise
    except (OSError, ValueError) as error:
        # TensorBoard's logger turns what its file says into a ValueError about the value.
        failure = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(failure, OSError):
            raise
        saved = directory.glob("**/checkpoints/*last*.ckpt")
        newest = max(saved, key=lambda path: (path.stat().st_mtime_ns, path.name), default=None)
        start = "from the start, as nothing is saved"
        if newest is not None:
            told = f"intact: {newest}" in str(failure)
            start = "from it" if told else f"from {newest}, which is intact"
        raise Halted(f"{failure}; once mended, --run.resume auto goes on {start}") from error


def read_summary(directory: Path) -> dict[str, Any]:
    """The summary in a folder; empty where there is none that can be read."""
    try:
        summary = json.loads((directory / SUMMARY).read_text())
    except (OSError, ValueError):
        return {}
    return summary if isinstance(summary, dict) else {}
