"""Starts jobs as processes on the cores, or on the GPUs, of this machine."""

import os
import signal
import stat
import subprocess
import sys
import warnings
from collections.abc import Sequence
from threading import Thread
from typing import IO

from darts_lite.launchers.jobs import Job
from darts_lite.storage.run_folder import LOG

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
GPUS = "CUDA_VISIBLE_DEVICES"
JOB = "DARTS_LITE_JOB"
"""Variable that is set for jobs, so that they end with the process that started them."""


class Process:
    """A job in a process of this machine.

    The process ends when this one does, however that is, as it listens to a pipe; see
    `follow_parent`.
    """

    def __init__(self, job: Job, environment: dict[str, str]) -> None:
        self.log: IO[bytes] = (job.folder / LOG).open("ab")
        self.process = start_process(job.words, self.log, environment)

    def poll(self) -> int | None:
        status = self.process.poll()
        if status is not None:
            self._close()
        return status

    def has_begun(self) -> bool:
        return True

    def stop(self) -> None:
        self.process.terminate()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._close()

    def _close(self) -> None:
        self.log.close()
        if self.process.stdin is not None:
            self.process.stdin.close()


class Local:
    """Starts jobs on this machine: one on so many cores as it has threads, or one on each GPU.

    Args:
        gpus: Names of the GPUs of which each job takes one in turn; None or no name means the jobs
            have all devices that this process has.
        jobs_per_gpu: Number of jobs that share a GPU.
    """

    def __init__(self, gpus: Sequence[str] | None = None, jobs_per_gpu: int = 1) -> None:
        self.gpus, self.jobs_per_gpu = gpus or (), jobs_per_gpu
        self.started: list[tuple[str, Process]] = []

    def count_slots(self, threads: int) -> int:
        if self.gpus:
            return len(self.gpus) * self.jobs_per_gpu
        if threads > (cores := count_cores()):
            warnings.warn(f"a job has {threads} threads, and there are {cores} cores", stacklevel=2)
        return max(1, cores // threads)

    def start(self, job: Job) -> Process:
        environment = dict(os.environ) | dict.fromkeys(THREADS, str(job.threads))
        if not self.gpus:
            return Process(job, environment)
        self.started = [(gpu, each) for gpu, each in self.started if each.poll() is None]
        used = [gpu for gpu, _ in self.started]
        gpu = min(self.gpus, key=used.count)
        made = Process(job, environment | {GPUS: gpu})
        self.started.append((gpu, made))
        return made


def count_cores() -> int:
    """Returns how many cores this process may use; all of the machine where that is not known."""
    if hasattr(os, "sched_getaffinity"):  # on Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def start_process(
    words: Sequence[str], log: IO[bytes], environment: dict[str, str], place: str | None = None
) -> subprocess.Popen[bytes]:
    """Starts a Python program, which holds the end of a pipe from here.

    Args:
        words: Its arguments.
        log: Takes its output.
        place: Its working directory; None is that of this process.
    """
    return subprocess.Popen(
        [sys.executable, *words],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=environment | {JOB: "1"},
        cwd=place,
        start_new_session=True,  # a Ctrl-C reaches this process, which tells the job
    )


def follow_parent() -> None:
    """Lets this process, if it is a job, end with the one that started it."""
    if JOB in os.environ and stat.S_ISFIFO(os.fstat(0).st_mode):
        Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process, as by SIGTERM, when the one that started it is gone.

    Reads standard input, which is a pipe from there, until it is closed.
    """
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
