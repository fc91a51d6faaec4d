"""Finding an interrupted run, and what of its records to keep when it goes on."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.summary.writer.record_writer import RecordWriter

from darts_lite.checkpoints import read_checkpoint
from darts_lite.files import remove_parts, written_whole
from darts_lite.records import Record, read_summary
from darts_lite.saving import saved_state

EVENTS = "events.out.tfevents.*"
PASSING = ("ckpt_path", "run.resume")
"""Settings that say how a run goes on, not what it is."""


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


def version_of(directory: Path) -> int:
    """The number in a run's name."""
    return int(directory.name.removeprefix("version_"))


def check_same(directory: Path, config: str) -> None:
    """Compares a configuration with that of the run which is to go on.

    Raises:
        ValueError: if they differ, naming the settings.
    """
    then = dict(_flat(yaml.safe_load((directory / "config.yaml").read_text()) or {}))
    now = dict(_flat(yaml.safe_load(config)))
    names = [n for n in sorted(then | now) if then.get(n) != now.get(n) and n not in PASSING]
    if names:
        changes = ", ".join(f"{n}: {then.get(n)!r} then, {now.get(n)!r} now" for n in names[:3])
        more = f", and {len(names) - 3} more" if len(names) > 3 else ""
        raise ValueError(
            f"{directory} cannot go on with other settings ({changes}{more}); give those of its "
            "config.yaml, or set run.resume to null for a new run"
        )


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, entry in value.items():
        if isinstance(entry, Mapping) and entry:
            yield from _flat(entry, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", entry


def newest_checkpoint(path: Path) -> Path | None:
    """A stage's checkpoint, or the one before where that cannot be read."""
    candidates = [path, *sorted(path.parent.glob(f"{path.stem}-[0-9]*{path.suffix}"))]
    existing = [candidate for candidate in candidates if candidate.is_file()]
    for candidate in existing:
        try:
            read_checkpoint(candidate)
        except ValueError as error:
            print(f"Warning: {error}")
        else:
            return candidate
    return None


def resume_point(path: Path, record: Record) -> Path | None:
    """The checkpoint from which a stage goes on, once what was written after it is dropped.

    Args:
        path: Of the stage's newest checkpoint.
        record: Of the run, which knows when the stage before ended.
    """
    found = newest_checkpoint(path)
    if not record.writes:
        return found
    remove_parts(path.parent)
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
