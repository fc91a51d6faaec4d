"""The parts of a run that are jobs of their own: each of several searches, and each rival."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch

from darts_lite.launchers.jobs import Job, JobsFailed, Launcher, run_jobs
from darts_lite.launchers.known import make_launcher
from darts_lite.launchers.local import GPUS
from darts_lite.runs.run_data import RunData
from darts_lite.runs.settings import RunSettings
from darts_lite.storage.atomic_files import write_text
from darts_lite.storage.run_folder import RunFolder
from darts_lite.storage.run_record import read_summary

VERB = "part"
"""The verb of the command line that runs a part."""
UNDONE = (
    "the launcher says that the jobs {} are done, and their folders hold no finished run; it must "
    "run each job's words with this Python and tell its exit status"
)


class Part(NamedTuple):
    """A part of a run.

    Attributes:
        run: Folder of the run.
        group: ``seeds`` or ``controls``.
        name: Name of its folder in that of the group: the seed, or the number of the rival.
    """

    run: RunFolder
    group: str
    name: str

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.run.path / self.group / self.name)

    @property
    def is_finished(self) -> bool:
        return bool(read_summary(self.folder).get("finished"))


def choose_launcher(run: RunSettings, accelerator: str) -> Launcher | None:
    """Returns the launcher of a run; None if it runs its parts itself. See `make_launcher`.

    Args:
        accelerator: That of the trainer's settings.

    Raises:
        ValueError: if there is no such launcher, or jobs cannot be given the folder of the run.
    """
    gpus = list_gpus() if accelerator in ("auto", "gpu", "cuda") else None
    launcher = make_launcher(run.launcher, run.address, gpus, run.jobs_per_gpu)
    if launcher is not None and "$" in str(place := run.place.absolute()):
        raise ValueError(
            f"jobs cannot write to {place}, as its path has a $; start the run in a folder without "
            "one, or set run.launcher to here"
        )
    return launcher


def launch_parts(
    run: RunSettings,
    parts: Sequence[Part],
    config: Callable[[], str],
    data: RunData,
    launcher: Launcher | None,
) -> None:
    """Runs those parts that are not finished as jobs, unless this process is to run them itself.

    Args:
        config: Returns the configuration of the run as text; a job reads it from its folder.
        data: What a job must find, as its folder tells it; it fails if it finds other data.

    Raises:
        JobsFailed: if some have failed, or have nothing to show; the others have ended.
    """
    left = [part for part in parts if not part.is_finished]
    if launcher is None or not left:
        return
    jobs = []
    for part in left:
        part.folder.path.mkdir(parents=True, exist_ok=True)
        write_text(part.folder.config, config())
        data.write(part.folder)
        root, name = part.run.path.absolute(), f"{part.group}/{part.name}"
        words = ("-m", "darts_lite", VERB, str(root), part.group, part.name)
        jobs.append(Job(name, root / part.group / part.name, words, root, run.job_threads))
    run_jobs(launcher, jobs, run.job_retries, run.job_minutes, run.jobs, _tell)
    if undone := [part.name for part in left if not part.is_finished]:
        raise JobsFailed(UNDONE.format(", ".join(undone)))


def _tell(line: str) -> None:
    print(line, flush=True)


def list_gpus() -> list[str]:
    """Returns the names by which a process can ask for one of the GPUs of this one."""
    count = torch.cuda.device_count()
    visible = [name for name in os.environ.get(GPUS, "").split(",") if name]
    return visible[:count] if len(visible) >= count else [str(place) for place in range(count)]


@contextmanager
def limit_threads(count: int) -> Iterator[None]:
    """Computes with so many threads, as jobs do, so that results do not depend on the launcher."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
