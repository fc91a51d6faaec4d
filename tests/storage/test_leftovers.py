"""What killed processes leave goes with the next call."""

import multiprocessing
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import forked
import pytest
from run_helpers import Finished

from darts_lite.cli.main import main
from darts_lite.storage.atomic_files import write_text
from darts_lite.storage.leftovers import name_own, remove_left, work_in_folder


def find_ended_process() -> int:
    """The number of a process that has ended."""
    process = multiprocessing.get_context("fork").Process(target=int)
    process.start()
    process.join()
    assert process.pid is not None
    return process.pid


def test_a_folder_is_gone_at_the_end_and_so_are_those_of_ended_processes(tmp_path: Path) -> None:
    left = tmp_path / f".export-{platform.node()}-{find_ended_process()}.abc"
    (left / "below").mkdir(parents=True)
    others = [
        tmp_path / f".export-{platform.node()}-{os.getppid()}.abc",  # still running
        tmp_path / ".export-another_machine-1.abc",
        tmp_path / f".other-{platform.node()}-{find_ended_process()}.abc",
    ]
    for other in others:
        other.mkdir()
    with work_in_folder(tmp_path, ".export-") as folder:
        assert folder.parent == tmp_path and not left.exists()
        (folder / "file").write_text("")
    assert {*tmp_path.iterdir()} == {*others}


def test_a_file_that_was_half_written_goes_when_it_is_written_again(tmp_path: Path) -> None:
    begun = f".text.{platform.node()}-"
    half, running = (
        tmp_path / f"{begun}{pid}.part" for pid in (find_ended_process(), os.getppid())
    )
    for path in (half, running):
        path.write_text("half")
    write_text(tmp_path / "text", "whole")
    assert {*tmp_path.iterdir()} == {tmp_path / "text", running}
    assert name_own(".text.") == f"{begun}{os.getpid()}."
    remove_left(tmp_path, ".text.")
    assert running.exists()


def kill_when(words: Sequence[str], place: Path, pattern: str) -> None:
    """Starts a command, and kills it once a folder like the pattern is there and has content."""
    process = forked.start(main, words, log := place / "log")
    while not any(any(folder.iterdir()) for folder in place.glob(pattern)):
        assert process.is_alive(), log.read_text()
        time.sleep(0.005)
    process.kill()
    process.join()
    assert list(place.glob(pattern))


@pytest.mark.slow
def test_a_killed_export_and_a_killed_plan_leave_nothing_for_good(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    export = ["export", str(finished.directory / "net.ckpt"), "--to", "pt2", "safetensors"]
    export += ["--output", str(tmp_path)]
    plan = ["plan", "--config", str(finished.config), *finished.data]
    for words, pattern in ((export, ".export-*"), (plan, "darts_lite-plan-*")):
        kill_when(words, tmp_path, pattern)
        main(words)
        assert not list(tmp_path.glob(pattern))
