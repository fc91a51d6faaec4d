"""Starts jobs on a Ray cluster, or on a local Ray."""

import io
import logging
import os
import secrets
import socket
import subprocess
import tarfile
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError

from darts_lite.launchers.jobs import MISTAKE, Job
from darts_lite.launchers.local import THREADS, start_process
from darts_lite.storage.run_folder import LOG

LOST, FAILED = -9, 1
"""Exit status of a job whose node is gone, and of one that could not be started."""
PATIENCE = 30.0
"""Seconds to wait for an answer of a node before the next question."""
TRANSFER = 600.0
"""Seconds that the folder of a job that was ended may take to come back."""
REACH = 10.0
"""Seconds to wait for a cluster."""
MOST_FILES, MOST_BYTES = 10_000, 2**31
"""Limits of what a job's folder may bring back."""
SENT = ("DARTS_LITE_", "PYTHONPATH")
"""Beginnings of the names of variables that a job's environment takes from this one."""


class Runner:
    """The process of a job, on the node where Ray has put this actor.

    The job ends with the actor, as it listens to a pipe from there. If the node does not see the
    job's folder, the job runs in a copy of it.
    """

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.copy: tempfile.TemporaryDirectory[str] | None = None
        self.folder = Path()

    def start(
        self, job: Job, sign: str, content: bytes, variables: Mapping[str, str], place: str
    ) -> None:
        """Starts a job.

        Args:
            sign: Name of a file that is in the job's folder for now.
            content: An archive of the folder, for a node without it.
            variables: Some of the environment.
            place: The working directory, which is taken where it exists.
        """
        self.folder, words = job.folder, [*job.words]
        if not (self.folder / sign).exists():
            self.copy = tempfile.TemporaryDirectory(prefix="darts_lite_")
            root = Path(self.copy.name) / job.root.name
            self.folder = root / job.folder.relative_to(job.root)
            unpack(content, self.folder)
            words = [str(root) if word == str(job.root) else word for word in words]
        environment = {**os.environ, **variables, **dict.fromkeys(THREADS, str(job.threads))}
        with (self.folder / LOG).open("ab") as log:
            where = place if Path(place).is_dir() else str(self.folder)
            self.process = start_process(words, log, environment, where)

    def poll(self) -> int | None:
        """Returns the exit status; None while the job runs."""
        return None if self.process is None else self.process.poll()

    def stop(self) -> None:
        """Asks the job to save and end."""
        if self.process is not None:
            self.process.terminate()

    def collect(self) -> bytes | None:
        """Returns an archive of what the job has written, and deletes the copy of its folder.

        None if the folder itself is on this node.
        """
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()
        if self.copy is None:
            return None
        with self.copy:
            return pack(self.folder)

    def end(self) -> bytes | None:
        """Ends the job at once, and returns what `collect` does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        return self.collect()


class OnRay:
    """A job that was started on Ray."""

    def __init__(self, job: Job, actor: Any) -> None:
        self.job, self.actor = job, actor
        self.status: int | None = None
        sign = self.job.folder / f".shared-{secrets.token_hex(8)}"
        sent = {name: value for name, value in os.environ.items() if name.startswith(SENT)}
        content = pack(job.folder)
        sign.touch()  # behind the archive, which would bring it back
        self.started = actor.start.remote(job, sign.name, content, sent, os.getcwd())
        self.sign: Path | None = sign

    def poll(self) -> int | None:
        if self.status is not None:
            return self.status
        try:
            if self.sign is not None:
                if not ray.wait([self.started], timeout=0)[0]:
                    return None
                ray.get(self.started)
                self.sign.unlink()
                self.sign = None
            status = ray.get(self.actor.poll.remote(), timeout=PATIENCE)
            if status is not None:
                self._bring_back(self.actor.collect.remote())
                self.status = status
                self._leave()
        except GetTimeoutError:
            return None
        except RayTaskError as error:  # of its start, as on a full disk
            self._give_up(FAILED, error.cause)
        except RayError:
            self.status = LOST
            self._leave()
        except (ValueError, OSError, tarfile.TarError) as error:  # of what came back
            self._give_up(MISTAKE, error)
        return self.status

    def has_begun(self) -> bool:
        return self.sign is None

    def stop(self) -> None:
        if self.has_begun():
            self.actor.stop.remote()
        else:
            self.kill()  # it has nothing to save

    def kill(self) -> None:
        self.status = LOST
        try:
            if self.has_begun():
                self._bring_back(self.actor.end.remote(), TRANSFER)
        except (RayError, ValueError, OSError, tarfile.TarError) as error:
            self._tell(error)
        self._leave()

    def _bring_back(self, packed: Any, seconds: float | None = None) -> None:
        content = ray.get(packed, timeout=seconds)
        if content is not None:
            unpack(content, self.job.folder)

    def _give_up(self, status: int, error: Exception) -> None:
        self.status = status
        self._tell(error)
        self._leave()

    def _tell(self, error: Exception) -> None:
        with (self.job.folder / LOG).open("a") as log:
            log.write(f"{error}\n")

    def _leave(self) -> None:
        ray.kill(self.actor)
        if self.sign is not None:
            self.sign.unlink(missing_ok=True)


class RayCluster:
    """Starts jobs on Ray, each with so many of its CPUs as it has threads, or with a GPU as well.

    Args:
        address: Of an existing cluster, as Ray takes it; None starts one on this machine.
        gpus: None if jobs need no GPU; what is in it does not matter.
        jobs_per_gpu: Number of jobs that share a GPU.
    """

    def __init__(
        self, address: str | None = None, gpus: Sequence[str] | None = None, jobs_per_gpu: int = 1
    ) -> None:
        try:
            if address is not None:
                _reach(address)
            if not ray.is_initialized():
                ray.init(address, log_to_driver=False, logging_level=logging.WARNING)
        except (RayError, OSError, RuntimeError, ValueError) as error:
            raise ValueError(
                f"run.launcher ray: no cluster at {address!r} ({error}); start it, or leave "
                "run.address out for one on this machine"
            ) from error
        self.share = 0.0
        if gpus is not None and ray.cluster_resources().get("GPU", 0.0) > 0:
            self.share = 1 / jobs_per_gpu

    def count_slots(self, threads: int) -> int:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        slots = sum(int(node.get("CPU", 0.0) / threads) for node in nodes)
        if self.share:
            slots = min(slots, sum(int(node.get("GPU", 0.0) / self.share) for node in nodes))
        if not slots:
            warnings.warn(
                f"no node of the Ray cluster has room for a job of {threads} threads, so the jobs "
                "wait for one that has; lower run.job_threads if none will come",
                stacklevel=2,
            )
        return max(1, slots)

    def start(self, job: Job) -> OnRay:
        actor: Any = ray.remote(Runner).options(num_cpus=job.threads, num_gpus=self.share)
        return OnRay(job, actor.remote())


def _reach(address: str) -> None:
    """Raises OSError if nothing listens at an address with a port; Ray would wait for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH).close()


def pack(folder: Path) -> bytes:
    """Returns an archive of a folder's files; one that has two names stands in it twice."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for path in (folder, *sorted(folder.rglob("*"))):
            archive.inodes = {}  # type: ignore[attr-defined]  # else a second name becomes a link
            archive.add(path, arcname=str(path.relative_to(folder)), recursive=False)
    return file.getvalue()


def unpack(packed: bytes, folder: Path) -> None:
    """Writes the files of an archive into a folder, and nothing elsewhere.

    Raises:
        ValueError: if there is too much in it, or anything but files and folders inside.
    """
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        members = archive.getmembers()
        size = sum(member.size for member in members)
        if len(members) > MOST_FILES or size > MOST_BYTES:
            raise ValueError(
                f"a job's folder has {len(members):,} files of {size:,} bytes; it may bring back "
                f"at most {MOST_FILES:,} of {MOST_BYTES:,}"
            )
        if wrong := [each.name for each in members if not (each.isfile() or each.isdir())]:
            raise ValueError(f"a job's folder may hold files and folders only, not {wrong[0]!r}")
        for each in members:
            path = folder / each.name
            if not path.resolve().is_relative_to(folder.resolve()):
                raise ValueError(f"a job's folder may not write to {each.name!r}, outside of it")
            content = archive.extractfile(each)
            (path if content is None else path.parent).mkdir(parents=True, exist_ok=True)
            if content is not None:
                path.write_bytes(content.read())
