"""TensorBoard's events of steps that are made again."""

import time
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from darts_lite.storage.event_files import forget_events, measure_events, read_sizes


def steps_of(directory: Path, tag: str) -> list[int]:
    events = EventAccumulator(str(directory)).Reload()
    return sorted(e.step for e in events.Scalars(tag)) if tag in events.Tags()["scalars"] else []


def write(directory: Path, tag: str, steps: range, seconds: float | None = None) -> None:
    """Writes one file, whose events are from a moment in seconds since 1970."""
    with SummaryWriter(str(directory)) as writer:
        for step in steps:
            writer.add_scalar(tag, step / 2, step, seconds)


@pytest.mark.parametrize("later", [3600.0, 0.0, -3600.0])
def test_what_will_be_made_again_is_forgotten_whatever_the_clock_says(
    later: float, tmp_path: Path
) -> None:
    now = time.time()
    write(tmp_path, "search/loss", range(10), now)
    ended = measure_events(tmp_path)
    write(tmp_path, "retraining/loss", range(4), now + later)
    saved = measure_events(tmp_path)
    write(tmp_path, "retraining/loss", range(4, 9), now + 2 * later)
    forget_events(tmp_path, saved, 5)  # the event of the last step before it came just after it
    assert steps_of(tmp_path, "search/loss") == list(range(10))
    assert steps_of(tmp_path, "retraining/loss") == list(range(5))
    write(tmp_path, "retraining/loss", range(5, 9), now + 3 * later)
    assert steps_of(tmp_path, "retraining/loss") == list(range(9))
    forget_events(tmp_path, ended, -1)
    assert steps_of(tmp_path, "search/loss") == list(range(10))
    assert steps_of(tmp_path, "retraining/loss") == []


def test_a_file_that_goes_on_behind_a_checkpoint_is_cut(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        for step in range(9):
            writer.add_scalar("loss", step / 2, step)
            writer.add_text("architecture", "genotype", step)
            if step == 3:
                writer.flush()
                saved = measure_events(tmp_path)
    before = next(tmp_path.iterdir()).read_bytes()
    forget_events(tmp_path, measure_events(tmp_path), -1)
    assert next(tmp_path.iterdir()).read_bytes() == before
    forget_events(tmp_path, saved, 5)
    assert steps_of(tmp_path, "loss") == list(range(5))
    forget_events(tmp_path, saved, -1)
    assert steps_of(tmp_path, "loss") == list(range(4))
    assert measure_events(tmp_path) == saved


def test_a_torn_end_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, "loss", range(10))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-9])
    known = measure_events(tmp_path)
    write(tmp_path, "loss", range(9, 12))
    forget_events(tmp_path, known, -1)
    assert steps_of(tmp_path, "loss") == list(range(9))


def test_other_files_stay(tmp_path: Path) -> None:
    (tmp_path / "hparams.yaml").write_text("{}")
    forget_events(tmp_path, {}, -1)
    forget_events(tmp_path / "nothing", {}, -1)
    assert [path.name for path in tmp_path.iterdir()] == ["hparams.yaml"]


def test_events_that_cannot_be_read_are_kept(tmp_path: Path) -> None:
    write(tmp_path, "loss", range(10))
    (file,) = tmp_path.iterdir()
    file.rename(tmp_path / "away")
    file.symlink_to(file.name)
    for look in (measure_events, lambda folder: forget_events(folder, {}, -1)):
        with pytest.raises(OSError, match=r"cannot read .*\(Too many levels"):
            look(tmp_path)
    assert file.is_symlink()


def test_sizes_of_a_changed_file_are_none() -> None:
    assert read_sizes({"events.out.tfevents.1": 9}) == {"events.out.tfevents.1": 9}
    changed: list[Any] = [None, [], "text", {"events.out.tfevents.1": "9"}]
    for value in changed:
        assert read_sizes(value) is None
