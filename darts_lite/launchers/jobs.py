"""Runs many jobs, as many at once as there is room for, until each is done or has failed."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from darts_lite.storage.run_folder import LOG

PAUSE = 0.1
"""Seconds between two looks at running jobs."""
MISTAKE = 2
"""Exit status of a command that was given something wrong; trying again would not help."""
PATIENCE = 120.0
"""Seconds that jobs have to save and end, when they are asked to stop."""


class Job(NamedTuple):
    """A command that runs in a process of its own, and goes on where it was when it runs again.

    Attributes:
        name: What it is called in progress lines.
        folder: All that it writes, with its output in `LOG`.
        words: Arguments of the Python interpreter.
        root: A folder around its own one, which its words name.
        threads: Number of threads that it may use.
    """

    name: str
    folder: Path
    words: Sequence[str]
    root: Path
    threads: int

    @property
    def output(self) -> str:
        """All that it has printed, in every try."""
        log = self.folder / LOG
        return log.read_text(errors="replace") if log.exists() else ""


class Running(Protocol):
    """A job that was started."""

    def poll(self) -> int | None:
        """Returns its exit status; None while it runs, or waits for a place."""
        ...

    def has_begun(self) -> bool:
        """Returns False while it waits for a place."""
        ...

    def stop(self) -> None:
        """Asks it to save and end."""
        ...

    def kill(self) -> None:
        """Ends it at once."""
        ...


class Launcher(Protocol):
    """Starts jobs somewhere."""

    def count_slots(self, threads: int) -> int:
        """Returns how many jobs of so many threads may run at once, at least 1."""
        ...

    def start(self, job: Job) -> Running:
        """Starts a job."""
        ...


class JobsFailed(ValueError):
    """Raised when some jobs have failed, after all others have ended."""


@dataclass
class _Try:
    """A job with the tries that it has left."""

    job: Job
    left: int
    since: float = field(default_factory=time.monotonic)
    running: Running | None = None
    printed: int = 0  # characters of the output before this try
    late: bool = False  # whether it took too long

    def explain(self, status: int, minutes: float | None) -> str:
        """Returns in words why this try has failed."""
        if self.late:
            return f"it still ran after {minutes:g} minutes"
        if status < 0:
            return f"it was killed by signal {-status}, or its machine is gone"
        lines = self.job.output[self.printed :].split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return said or f"status {status}, without a word"


def run_jobs(
    launcher: Launcher,
    jobs: Iterable[Job],
    retries: int = 2,
    minutes: float | None = None,
    at_once: int | None = None,
    tell: Callable[[str], None] = print,
) -> None:
    """Runs all jobs; one that dies is started again, others go on.

    An exception, such as that of a signal, stops all that run, which save before they end.

    Args:
        launcher: Where.
        retries: How often a job that dies is started again.
        minutes: Time after which a job that still runs counts as dead.
        at_once: Number of jobs at once; None leaves it to the launcher.
        tell: Takes lines about the progress.

    Raises:
        JobsFailed: at the end, with the names of the jobs that have failed, and why.
        ValueError: if the launcher has no room for a job.
    """
    waiting = deque(_Try(job, 1 + retries) for job in jobs)
    total, failed, done = len(waiting), dict[str, list[str]](), 0
    if not waiting:
        return
    slots = at_once or launcher.count_slots(max(each.job.threads for each in waiting))
    if slots < 1:
        raise ValueError(f"the launcher has room for {slots} jobs; it must have room for one")
    running: list[_Try] = []
    tell(f"Jobs: {total}, at most {min(slots, total)} at once; each writes {LOG} in its folder")
    try:
        while waiting or running:
            while waiting and len(running) < slots:
                running.append(_begin(launcher, waiting.popleft()))
            time.sleep(PAUSE)
            for each in [*running]:
                status = _look(each, minutes)
                if status is None:
                    continue
                running.remove(each)
                if status == 0:
                    done += 1
                    seconds = time.monotonic() - each.since
                    tell(f"{done} of {total} jobs done: {each.job.name} ({seconds:.0f} s)")
                    continue
                why = each.explain(status, minutes)
                if each.left and status != MISTAKE:
                    tell(f"Warning: job {each.job.name} is tried again: {why}")
                    waiting.append(each)
                else:
                    failed.setdefault(why, []).append(each.job.name)
                    tell(f"Warning: job {each.job.name} has failed: {why}")
    except BaseException:
        _stop_all([each.running for each in running if each.running is not None])
        raise
    if failed:
        raise JobsFailed(_describe_failures(failed, total))


def _describe_failures(failed: Mapping[str, Sequence[str]], total: int) -> str:
    """Returns in words which jobs of all have failed, by the reason that some may share."""
    count = sum(map(len, failed.values()))
    others = ", the others are done" * (count < total)
    reasons = "; ".join(f"{', '.join(names)} ({why})" for why, names in failed.items())
    return (
        f"{count} of {total} jobs have failed{others}: {reasons}; once mended, the same command "
        "with --run.resume auto tries these again"
    )


def _begin(launcher: Launcher, given: _Try) -> _Try:
    try:
        given.job.folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise ValueError(
            f"{given.job.folder} should be the folder of a job, and is a file; move it elsewhere"
        ) from None
    given.left -= 1
    given.printed, given.late = len(given.job.output), False
    given.since, given.running = time.monotonic(), launcher.start(given.job)
    return given


def _look(each: _Try, minutes: float | None) -> int | None:
    """Returns the exit status of a job; None while it runs. Kills one that runs for too long."""
    assert each.running is not None
    status = each.running.poll()
    if not each.running.has_begun():
        each.since = time.monotonic()
    if status is None and minutes is not None and time.monotonic() - each.since > 60 * minutes:
        each.running.kill()
        each.late = True
        return -9
    return status


def _stop_all(running: Sequence[Running]) -> None:
    for each in running:
        each.stop()
    end = time.monotonic() + PATIENCE
    while any(each.poll() is None for each in running) and time.monotonic() < end:
        time.sleep(PAUSE)
    for each in running:
        if each.poll() is None:
            each.kill()
