"""Many jobs at once, as real processes."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from darts_lite.launchers.jobs import Job, JobsFailed, run_jobs
from darts_lite.storage.run_folder import LOG

WHOLE = "open('done', 'w').close()"
ONCE_KILLED = (
    f"import os; n = os.path.exists('tried'); open('tried', 'w'); n or os.abort(); {WHOLE}"
)
SAVES = """
import signal, sys, time
def save(*_):
    open('saved', 'w').close()
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
open('began', 'w').close()
time.sleep(60)
"""


class Process:
    """A job whose words are a program."""

    def __init__(self, job: Job) -> None:
        with (job.folder / LOG).open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", *job.words], cwd=job.folder, stdout=log, stderr=log
            )

    def poll(self) -> int | None:
        return self.process.poll()

    def has_begun(self) -> bool:
        return True

    def stop(self) -> None:
        self.process.terminate()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Programs:
    """A launcher of one's own, which runs programs."""

    def count_slots(self, threads: int) -> int:
        return 2

    def start(self, job: Job) -> Process:
        return Process(job)


def jobs(folder: Path, **programs: str) -> list[Job]:
    return [Job(name, folder / name, (text,), folder, 1) for name, text in programs.items()]


def test_all_are_done_and_told_of(tmp_path: Path) -> None:
    told: list[str] = []
    run_jobs(Programs(), jobs(tmp_path, a=WHOLE, b=WHOLE, c=WHOLE), tell=told.append)
    assert all((tmp_path / name / "done").exists() for name in "abc")
    assert told[0].startswith("Jobs: 3, at most 2 at once")
    assert sorted(line.split("done: ")[1][0] for line in told[1:]) == ["a", "b", "c"]
    assert told[-1].startswith("3 of 3 jobs done")


def test_one_that_dies_is_started_again(tmp_path: Path) -> None:
    told: list[str] = []
    run_jobs(Programs(), jobs(tmp_path, a=ONCE_KILLED, b=WHOLE), tell=told.append)
    assert (tmp_path / "a" / "done").exists()
    assert sum("job a is tried again: it was killed by signal 6" in line for line in told) == 1


def test_those_that_fail_are_named_and_the_others_end(tmp_path: Path) -> None:
    wrong = "raise SystemExit('no such thing')"
    mistake = "import sys; print('error: wrong'); sys.exit(2)"
    made = jobs(tmp_path, bad=wrong, worse=mistake, good=WHOLE)
    told: list[str] = []
    with pytest.raises(JobsFailed) as caught:
        run_jobs(Programs(), made, retries=1, tell=told.append)
    assert "2 of 3 jobs have failed, the others are done: " in str(caught.value)
    assert "bad (no such thing)" in str(caught.value) and "worse (error: wrong)" in str(
        caught.value
    )
    assert (tmp_path / "good" / "done").exists()
    assert sum("is tried again" in line for line in told) == 1  # a mistake is not repeated


def test_one_that_hangs_is_ended(tmp_path: Path) -> None:
    hangs = "import time; time.sleep(60)"
    start = time.monotonic()
    with pytest.raises(JobsFailed, match=r"hangs \(it still ran after 0.02 minutes\)"):
        run_jobs(Programs(), jobs(tmp_path, hangs=hangs, good=WHOLE), retries=0, minutes=0.02)
    assert (tmp_path / "good" / "done").exists() and time.monotonic() - start < 30


def test_all_save_when_something_stops_them(tmp_path: Path) -> None:
    def stop(line: str) -> None:
        if "done: quick" in line:
            while not (tmp_path / "slow" / "began").exists():
                time.sleep(0.05)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_jobs(Programs(), jobs(tmp_path, slow=SAVES, quick=WHOLE), tell=stop)
    assert (tmp_path / "slow" / "saved").exists()


def test_a_reason_is_that_of_the_last_try(tmp_path: Path) -> None:
    """What an earlier try has printed does not explain why a later one was killed."""
    killed = "import os; print('all is well', flush=True); os.abort()"
    with pytest.raises(JobsFailed, match=r"a, b \(it was killed by signal 6"):
        run_jobs(Programs(), jobs(tmp_path, a=killed, b=killed), retries=1)


def test_a_launcher_without_room_is_refused(tmp_path: Path) -> None:
    class Full(Programs):
        def count_slots(self, threads: int) -> int:
            return 0

    with pytest.raises(ValueError, match="room for 0 jobs"):
        run_jobs(Full(), jobs(tmp_path, a=WHOLE))


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(ValueError, match="should be the folder of a job, and is a file"):
        run_jobs(Programs(), jobs(tmp_path, a=WHOLE))
