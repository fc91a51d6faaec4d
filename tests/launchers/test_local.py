"""Jobs as processes of this machine."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from darts_lite.launchers.jobs import Job, run_jobs
from darts_lite.launchers.local import GPUS, JOB, Local
from darts_lite.storage.run_folder import LOG

VERSION = ("-m", "darts_lite", "--version")


def test_a_job_runs_the_command_line(tmp_path: Path) -> None:
    launcher = Local()
    run_jobs(launcher, [Job("version", tmp_path, VERSION, tmp_path, 1)], tell=lambda _: None)
    assert "darts_lite " in (tmp_path / LOG).read_text()
    with pytest.warns(UserWarning, match="a job has 1000000 threads, and there are"):
        assert launcher.count_slots(10**6) == 1
    assert launcher.count_slots(1) == len(os.sched_getaffinity(0))


def test_gpus_are_shared_out(tmp_path: Path) -> None:
    launcher = Local(["4", "7"], 2)
    assert launcher.count_slots(1) == 4
    seen = []
    started = [launcher.start(Job("", tmp_path, VERSION, tmp_path, 1)) for _ in range(4)]
    for each in started:
        words = Path(f"/proc/{each.process.pid}/environ").read_bytes().decode().split("\0")
        seen += [word.partition("=")[2] for word in words if word.startswith(f"{GPUS}=")]
        each.kill()
    assert sorted(seen) == ["4", "4", "7", "7"]


def test_a_job_ends_with_the_process_that_began_it() -> None:
    program = (
        "import time; from darts_lite.launchers.local import follow_parent; "
        "follow_parent(); print(1, flush=True); time.sleep(60)"
    )
    job = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, JOB: "1"},
    )
    assert job.stdin is not None and job.stdout is not None
    job.stdout.readline()
    job.stdin.close()  # as when the other process is killed
    start = time.monotonic()
    assert job.wait(timeout=30) == -15
    job.stdout.close()
    assert time.monotonic() - start < 10
