"""Chooses the run and the checkpoint to resume from, and removes what will be written again."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.summary.writer.record_writer import RecordWriter

from darts_lite.data.image_data import ImageData
from darts_lite.data.image_folders import is_folder
from darts_lite.search.executors import AUTO, EXECUTORS
from darts_lite.storage.atomic_files import check_writable, remove_parts, write_whole
from darts_lite.storage.checkpoints import Checkpoint, flatten
from darts_lite.storage.components import with_public_paths
from darts_lite.storage.run_folder import RunFolder
from darts_lite.storage.run_record import RunRecord, read_summary
from darts_lite.training.checkpointing import read_saved_state

SAVED: Mapping[str, Any] = {
    "random": dict,
    "batches": dict,
    "seconds": float | int,
    "time": float | int,
    "metrics": dict,
    "results": dict | None,
}
"""Entries of `darts_lite.training.checkpointing.StageCheckpoint.state_dict`, with their types."""
CHANGEABLE = (
    "run.save_every_steps",
    "run.save_every_minutes",
    "run.keep_checkpoints",
    "run.on_nonfinite",
    "run.max_rollbacks",
)
"""Settings that may change when a run is resumed: they do not affect what it computes."""
EXECUTOR, IMAGE_SIZE = "model.init_args.executor", "data.init_args.image_size"


def choose_run(config: Any, format_config: Callable[[], str]) -> RunFolder | None:
    """Returns the run that `fit` resumes, or None to begin a new one.

    Args:
        config: The whole configuration; it takes the executor of the run.
        format_config: Returns it as text, to be compared with that of the run.

    Raises:
        ValueError: if no run can be resumed, or another configuration made it.
    """
    last, runs = config.ckpt_path == "last", Path(config.run.folder) / config.run.name
    check_writable(runs)
    found = find_unfinished_run(runs) if last or config.run.resume is not None else None
    if found is None and last:
        raise ValueError(f"no unfinished run in {runs}; leave --ckpt_path out to begin a new one")
    if found is None:
        return None
    if isinstance(config.seed_everything, bool):
        raise ValueError("a run can be resumed only with a number as seed_everything")
    config.ckpt_path = None
    take_choices(found, config)
    check_same_settings(found, format_config())
    return found


def find_unfinished_run(runs: Path) -> RunFolder | None:
    """Returns the newest ``version_<n>`` in a folder of runs that has not finished."""
    named = (path for path in runs.glob("version_*") if path.name.split("_", 1)[1].isdigit())
    for folder in sorted(map(RunFolder, named), key=lambda each: each.number, reverse=True):
        if folder.config.is_file() and not read_summary(folder).get("finished"):
            return folder
    return None


@contextmanager
def claim(folder: RunFolder, new: bool) -> Iterator[None]:
    """Keeps other runs out of a run's folder, until the end of this process at the latest.

    Deletes the partly written files of a killed process first. The folder of a `new` run must not
    exist yet.
    """
    try:
        folder.path.mkdir(parents=True, exist_ok=not new)
    except FileExistsError:
        raise ValueError(
            f"another run has begun {folder} at this very moment; start this one again"
        ) from None
    lock = FileLock(folder.path / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"the run in {folder} is still going on in another process; wait for its end, or "
            "stop it first"
        ) from None
    with lock:
        remove_parts(folder.path)
        yield


def check_data(summary: Mapping[str, Any], checksum: int, source: str) -> None:
    """Checks that the images, with a checksum and a source, are those that a run began with."""
    if summary.get("data_checksum", checksum) != checksum:
        raise ValueError(
            f"the run began with other images ({summary.get('data_source')}; now: {source}); set "
            "data.root or DARTS_LITE_DATA to those, or run.resume to null for a new run"
        )


def read_settings(folder: RunFolder) -> Mapping[str, Any]:
    """Returns the settings in a run's ``config.yaml``."""
    path = folder.config
    try:
        settings = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}); set run.resume to null") from error
    if not isinstance(settings, Mapping):
        raise ValueError(f"{path} holds no settings; set run.resume to null for a new run")
    return with_public_paths(settings)


def take_choices(folder: RunFolder, config: Any) -> None:
    """Sets what the resumed run has chosen, where the configuration leaves it open."""
    then = dict(flatten(read_settings(folder)))
    chosen = then.get(EXECUTOR, AUTO)
    if chosen in (None, *EXECUTORS) and config.get(EXECUTOR, chosen) in (None, AUTO):
        config[EXECUTOR] = chosen
    if config.get(IMAGE_SIZE, 0) is None:
        config[IMAGE_SIZE] = then.get(IMAGE_SIZE)


def tell_image_size(config: Any, data: ImageData) -> None:
    """Sets the side of images in folders, if the configuration leaves it open."""
    if config.get(IMAGE_SIZE, 0) is None and is_folder(str(data.hparams.get("dataset"))):
        config[IMAGE_SIZE] = data.image_size


def check_same_settings(folder: RunFolder, config: str) -> None:
    """Checks that a configuration is that of the run to resume, but for `CHANGEABLE`."""
    then = dict(flatten(read_settings(folder)))
    now = dict(flatten(with_public_paths(yaml.safe_load(config))))
    names = [n for n in sorted(then | now) if then.get(n) != now.get(n) and n not in CHANGEABLE]
    if names:
        changes = ", ".join(f"{n}: {then.get(n)!r} then, {now.get(n)!r} now" for n in names[:3])
        more = f", and {len(names) - 3} more" if len(names) > 3 else ""
        raise ValueError(
            f"{folder} cannot go on with other settings ({changes}{more}); give those of its "
            "config.yaml, or set run.resume to null for a new run"
        )


def read_newest_checkpoint(path: Path) -> Checkpoint | None:
    """Returns a stage's newest checkpoint that is intact; None if there is none.

    The newest one has the path `path`; older ones have a number behind its stem.
    """
    older = path.parent.glob(f"{path.stem}-[0-9]*{path.suffix}")
    by_number = sorted(older, key=lambda one: (len(one.name), one.name))  # -2 before -10
    existing = [candidate for candidate in (path, *by_number) if candidate.is_file()]
    for candidate in existing:
        try:
            checkpoint = Checkpoint.read(candidate)
            check_state(candidate, read_saved_state(checkpoint.content))
        except ValueError as error:
            print(f"Warning: {error}")
        else:
            return checkpoint
    if existing:
        print("Warning: no checkpoint of this stage is intact, so the stage starts again")
    return None


def check_state(path: Path, state: Mapping[str, Any]) -> None:
    """Checks the state that `StageCheckpoint` has put into a checkpoint; an empty state passes."""
    wrong = [name for name, kind in SAVED.items() if not isinstance(state.get(name), kind)]
    if state and wrong:
        raise ValueError(f"{path} cannot be resumed: its {wrong} are missing or were changed")


def find_resume_point(stage: str, record: RunRecord) -> Checkpoint | None:
    """Returns the checkpoint from which to resume a stage, and drops the events after it."""
    found = read_newest_checkpoint(record.folder.checkpoint(stage))
    if record.writes and found is not None:
        drop_after(found, record.since)
    elif record.writes:
        forget_events(record.folder.path, record.since, -1)
    return found


def drop_after(checkpoint: Checkpoint, since: float = math.inf) -> None:
    """Drops TensorBoard's events of steps that a run will repeat from a checkpoint on.

    Args:
        since: Time of the checkpoint in seconds since 1970, if its content has none.
    """
    content = checkpoint.content
    time, step = read_saved_state(content).get("time", since), int(content["global_step"])
    forget_events(checkpoint.path.parent.parent, time, step)


def forget_events(directory: Path, after: float, step: int) -> None:
    """Drops TensorBoard's events of steps that a run will repeat.

    Args:
        after: Time in seconds since 1970; events up to then stay.
        step: Events with values of steps before this one, counted from 0, stay as well.
    """
    files = sorted(directory.glob("events.out.tfevents.*"))
    events = [event for file in files for event in LegacyEventFileLoader(str(file)).Load()]
    events.sort(key=lambda event: event.wall_time)  # names end in numbers: 10 comes before 9
    kept = [e for e in events if e.wall_time <= after or e.step < step and e.HasField("summary")]
    if len(kept) == len(events):
        return
    with write_whole(files[0]) as whole:
        writer = RecordWriter(whole)
        for event in kept:
            writer.write(event.SerializeToString())
    for file in files[1:]:
        file.unlink()
