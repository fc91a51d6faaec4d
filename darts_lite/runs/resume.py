"""Finding an interrupted run, and what of its records to keep when it goes on."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.summary.writer.record_writer import RecordWriter

from darts_lite.search.executors import AUTO, EXECUTORS
from darts_lite.storage.atomic_files import remove_parts, written_whole
from darts_lite.storage.checkpoints import flat, read_checkpoint
from darts_lite.storage.components import with_public_paths
from darts_lite.storage.run_record import Record, read_summary
from darts_lite.training.checkpointing import saved_state

SAVED: Mapping[str, Any] = {
    "random": dict,
    "batches": dict,
    "seconds": float | int,
    "time": float | int,
    "metrics": dict,
    "results": dict | None,
}
"""See `darts_lite.training.checkpointing.Saving.state_dict`."""
EVENTS = "events.out.tfevents.*"
LOCK = ".lock"
PASSING = (
    *("run.save_every_steps", "run.save_every_minutes", "run.keep_checkpoints"),
    *("run.on_nonfinite", "run.max_rollbacks"),
)
"""Settings that may change when a run goes on: they tell nothing of what it computes."""
EXECUTOR = "model.init_args.executor"


def unfinished_run(runs: Path) -> Path | None:
    """The newest ``version_<n>`` in a folder of runs that did not come to its end."""
    versions = sorted(
        (path for path in runs.glob("version_*") if path.name.removeprefix("version_").isdigit()),
        key=lambda path: int(path.name.removeprefix("version_")),
    )
    for directory in reversed(versions):
        if (directory / "config.yaml").is_file() and not read_summary(directory).get("finished"):
            return directory
    return None


@contextmanager
def claimed(directory: Path, new: bool) -> Iterator[None]:
    """Keeps other runs out of a run's folder, until the end of this process at the latest.

    What a killed process left of files that it was about to write is deleted first.

    Args:
        directory: Of the run.
        new: Whether it begins, and its folder is to be made.

    Raises:
        ValueError: if another run is at it.
    """
    try:
        directory.mkdir(parents=True, exist_ok=not new)
    except FileExistsError:
        raise ValueError(
            f"another run has begun {directory} at this very moment; start this one again"
        ) from None
    lock = FileLock(directory / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"the run in {directory} is still going on in another process; wait for its end, or "
            "stop it first"
        ) from None
    with lock:
        remove_parts(directory)
        yield


def check_data(summary: Mapping[str, Any], checksum: int, source: str) -> None:
    """Compares images with those that a run began with.

    Args:
        summary: Of the run.
        checksum: Of the images.
        source: Where they come from.

    Raises:
        ValueError: if they differ.
    """
    if summary.get("data_checksum", checksum) != checksum:
        raise ValueError(
            f"the run began with other images ({summary.get('data_source')}; now: {source}); set "
            "data.root or DARTS_LITE_DATA to those, or run.resume to null for a new run"
        )


def version_of(directory: Path) -> int:
    """The number in a run's name."""
    return int(directory.name.removeprefix("version_"))


def settings_of_run(directory: Path) -> Mapping[str, Any]:
    """Returns what a run's ``config.yaml`` holds.

    Raises:
        ValueError: if it is damaged.
    """
    path = directory / "config.yaml"
    try:
        settings = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}); set run.resume to null") from error
    if not isinstance(settings, Mapping):
        raise ValueError(f"{path} holds no settings; set run.resume to null for a new run")
    return with_public_paths(settings)


def take_chosen(directory: Path, config: Any) -> None:
    """Puts into a configuration what the run that goes on has chosen where it was left open."""
    then = dict(flat(settings_of_run(directory)))
    chosen = then.get(EXECUTOR, AUTO)
    if chosen in (None, *EXECUTORS) and config.get(EXECUTOR, chosen) in (None, AUTO):
        config[EXECUTOR] = chosen


def check_same(directory: Path, config: str) -> None:
    """Compares a configuration with that of the run which is to go on.

    Raises:
        ValueError: if they differ, naming the settings.
    """
    then = dict(flat(settings_of_run(directory)))
    now = dict(flat(yaml.safe_load(config)))
    names = [n for n in sorted(then | now) if then.get(n) != now.get(n) and n not in PASSING]
    if names:
        changes = ", ".join(f"{n}: {then.get(n)!r} then, {now.get(n)!r} now" for n in names[:3])
        more = f", and {len(names) - 3} more" if len(names) > 3 else ""
        raise ValueError(
            f"{directory} cannot go on with other settings ({changes}{more}); give those of its "
            "config.yaml, or set run.resume to null for a new run"
        )


def newest_checkpoint(path: Path) -> Path | None:
    """A stage's checkpoint, or the one before where that cannot be read."""
    candidates = [path, *sorted(path.parent.glob(f"{path.stem}-[0-9]*{path.suffix}"))]
    existing = [candidate for candidate in candidates if candidate.is_file()]
    for candidate in existing:
        try:
            check_state(candidate, saved_state(read_checkpoint(candidate)))
        except ValueError as error:
            print(f"Warning: {error}")
        else:
            return candidate
    if existing:
        print("Warning: none of these can be gone on with, so the stage begins once more")
    return None


def check_state(path: Path, state: Mapping[str, Any]) -> None:
    """Whether a run can go on with what a checkpoint tells beside the weights.

    Raises:
        ValueError: if something is missing or of another kind.
    """
    wrong = [name for name, kind in SAVED.items() if not isinstance(state.get(name), kind)]
    if state and wrong:
        raise ValueError(f"{path} cannot be gone on with: its {wrong} are missing or were changed")


def resume_point(path: Path, record: Record) -> Path | None:
    """The checkpoint from which a stage goes on, once what was written after it is dropped.

    Args:
        path: Of the stage's newest checkpoint.
        record: Of the run, which knows when the stage before ended.
    """
    found = newest_checkpoint(path)
    if not record.writes:
        return found
    if found is None:
        forget_events(path.parent.parent, record.since, -1)
    else:
        drop_after(found, record.since)
    return found


def drop_after(checkpoint: Path, since: float = math.inf) -> None:
    """Drops from a run's records what will be made again from a checkpoint on.

    Args:
        checkpoint: Of one of the run's stages.
        since: When it was written, should it not say so itself.
    """
    content = read_checkpoint(checkpoint)
    time, step = saved_state(content).get("time", since), int(content["global_step"])
    forget_events(checkpoint.parent.parent, time, step)


def forget_events(directory: Path, after: float, step: int) -> None:
    """Drops what TensorBoard's files of a folder say of steps that will be made again.

    Args:
        directory: Of the files.
        after: Seconds since 1970; what was written before stays.
        step: What tells about steps before this one, counted from 0, stays as well.
    """
    files = sorted(directory.glob(EVENTS))
    events = [event for file in files for event in LegacyEventFileLoader(str(file)).Load()]
    kept = [e for e in events if e.wall_time <= after or e.step < step and e.HasField("summary")]
    if len(kept) == len(events):
        return
    with written_whole(files[0]) as whole:
        writer = RecordWriter(whole)
        for event in kept:
            writer.write(event.SerializeToString())
    for file in files[1:]:
        file.unlink()
