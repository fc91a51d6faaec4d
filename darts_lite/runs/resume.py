"""Chooses the run and the checkpoint to resume from, and removes what will be written again."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from darts_lite.data.images.augmentation import Augmentation
from darts_lite.data.images.datasets import DATASETS
from darts_lite.data.images.image_folders import is_folder
from darts_lite.data.split_data import SplitData
from darts_lite.networks.kinds import read_architecture
from darts_lite.plots.run_history import read_history
from darts_lite.runs.settings import CHANGEABLE, RunSettings
from darts_lite.search.executors import AUTO, EXECUTORS
from darts_lite.space.protocol import AnyArchitecture
from darts_lite.storage.atomic_files import check_writable, remove_parts
from darts_lite.storage.checkpoints import Checkpoint
from darts_lite.storage.components import flatten, with_public_paths
from darts_lite.storage.event_files import forget_events, read_sizes
from darts_lite.storage.paths import is_there, read_content, reading
from darts_lite.storage.run_folder import (
    STAGES,
    RunFolder,
    find_last_checkpoint,
    list_checkpoints,
)
from darts_lite.storage.run_record import RunRecord, read_summary
from darts_lite.training.checkpointing import read_saved_state

SAVED: Mapping[str, Any] = {
    "random": dict,
    "batches": dict,
    "seconds": float | int,
    "metrics": dict,
    "results": dict | None,
    "events": dict | None,
}
"""Entries of `darts_lite.training.checkpointing.StageCheckpoint.state_dict`, with their types."""
DATASET = "data.init_args.dataset"
ARCHITECTURE, EXECUTOR = "model.init_args.architecture", "model.init_args.executor"
IMAGE_SIZE = "data.init_args.image_size"
CHOICES = (EXECUTOR, IMAGE_SIZE)
"""Settings that a run may choose itself."""


def choose_run(config: Any, format_config: Callable[[], str]) -> RunFolder | None:
    """Returns the run that `fit` resumes, or None to begin a new one.

    A run with other settings that has not trained yet is left for a new one.

    Args:
        config: The whole configuration; it takes the executor of the run.
        format_config: Returns it as text, to be compared with that of the run.

    Raises:
        ValueError: if no run can be resumed, or another configuration made it.
    """
    last, runs = config.ckpt_path == "last", RunSettings(**config.run.as_dict()).place
    check_writable(runs)
    found = find_unfinished_run(runs) if last or config.run.resume is not None else None
    if found is None and last:
        raise ValueError(f"no unfinished run in {runs}; leave --ckpt_path out to begin a new one")
    if found is None:
        return None
    if isinstance(config.seed_everything, bool):
        raise ValueError("a run can be resumed only with a number as seed_everything")
    config.ckpt_path = None
    check_checkpoints(found)
    before = {name: config.get(name) for name in CHOICES if name in config}
    take_choices(found, config)
    try:
        check_same_settings(found, format_config())
    except ValueError:
        if last or find_last_checkpoint(found.path) is not None:
            raise
        print(f"Begins anew: {found} has other settings, and has trained nothing", flush=True)
        for name, value in before.items():
            config[name] = value
        return None
    return found


def check_checkpoints(folder: RunFolder) -> None:
    """Raises OSError if a run has trained for epochs, and none of its checkpoints is there."""
    if find_last_checkpoint(folder.path) is not None:
        return
    # A training records its start, then each epoch, behind which it saves.
    epochs = max(len(read_history(folder.history(stage)).moments) - 1 for stage in STAGES)
    if epochs > 1 or read_summary(folder).get("stages"):
        raise OSError(
            f"the run in {folder} has trained, and its checkpoints are gone; put the folder "
            "checkpoints back, or set run.resume to null for a new run"
        )


def find_unfinished_run(runs: Path) -> RunFolder | None:
    """Returns the newest ``version_<n>`` in a folder of runs that has not finished."""
    for folder in RunFolder.versions(runs):
        if is_there(folder.config) and not read_summary(folder).get("finished"):
            return folder
    return None


@contextmanager
def claim(folder: RunFolder, new: bool, patience: float = 0.0) -> Iterator[None]:
    """Keeps other runs out of a run's folder, until the end of this process at the latest.

    Deletes the partly written files of a killed process first. The folder of a `new` run must not
    exist yet. Another process has `patience` seconds to leave it.
    """
    try:
        folder.path.mkdir(parents=True, exist_ok=not new)
    except FileExistsError:
        if not folder.path.is_dir():
            raise ValueError(
                f"{folder} should become the folder of this run, and is a file; move it elsewhere"
            ) from None
        raise ValueError(
            f"another run has begun {folder} at this very moment; start this one again"
        ) from None
    lock = FileLock(folder.path / ".lock", timeout=patience)
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


def check_training(checkpoint: Checkpoint) -> None:
    """Raises ValueError if no training can go on from a checkpoint of another run."""
    if "optimizer_states" not in checkpoint.content:
        raise ValueError(
            f"{checkpoint.path} holds a net, and not the state of its training; give the run's "
            "checkpoints/retraining-last.ckpt"
        )


def check_architecture(folder: RunFolder, architecture: AnyArchitecture) -> None:
    """Checks that an architecture is the one that a run, which only retrains, began with."""
    if is_there(folder.architecture) and read_architecture(folder.architecture) != architecture:
        raise ValueError(
            f"the run began with another architecture, that of {folder.architecture}; set "
            "model.architecture to it, or run.resume to null for a new run"
        )


def read_settings(folder: RunFolder) -> Mapping[str, Any]:
    """Returns the settings in a run's ``config.yaml``."""
    path = folder.config
    with reading(path):
        content = read_content(path)
    try:
        settings = yaml.safe_load(content.decode())
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


def tell_image_size(config: Any, data: SplitData) -> None:
    """Sets the side of images in folders, if the configuration leaves it open."""
    if config.get(IMAGE_SIZE, 0) is None and is_folder(str(data.hparams.get("dataset"))):
        config[IMAGE_SIZE] = data.image_size


def check_same_settings(folder: RunFolder, config: str) -> None:
    """Checks that a configuration is that of the run to resume, but for places and `CHANGEABLE`."""
    # Runs of earlier versions lack some settings, and did what is the default now.
    off = Augmentation().describe()
    data = {"init_args": {"augmentation": off, "search_augmentation": off}}
    run = json.loads(json.dumps(asdict(RunSettings())))
    trained = {"init_args": {"quantize": False}}
    usual = dict(flatten({"run": run, "data": data, "model": trained, "retraining": trained}))
    then = usual | dict(flatten(read_settings(folder)))
    now = usual | dict(flatten(with_public_paths(yaml.safe_load(config))))
    changed = [name for name in sorted(then | now) if then.get(name) != now.get(name)]
    names = [name for name in changed if name not in CHANGEABLE and not _has_moved(name, then, now)]
    if names:
        changes = ", ".join(f"{n}: {then.get(n)!r} then, {now.get(n)!r} now" for n in names[:3])
        more = f", and {len(names) - 3} more" if len(names) > 3 else ""
        raise ValueError(
            f"{folder} cannot go on with other settings ({changes}{more}); give those of its "
            "config.yaml, or another run.name for a new run or sweep"
        )


def _has_moved(name: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Returns whether a setting names a place whose content is checked later, or of a logger."""
    before, after = str(then.get(name)), str(now.get(name))
    if name == DATASET:
        return before not in DATASETS and (is_folder(after) or os.path.isfile(after))
    inherits = any(settings.get("model.init_args.inherit") for settings in (then, now))
    is_file = name == ARCHITECTURE and not inherits and os.path.isfile(after)
    return is_file or name.startswith("trainer.logger")


def read_newest_checkpoint(path: Path) -> Checkpoint | None:
    """Returns a stage's newest checkpoint that is intact; None if there is none.

    Args:
        path: That of the newest one; see `list_checkpoints`.

    Raises:
        OSError: if one cannot be read: it may be intact, and would be written over.
    """
    existing = list_checkpoints(path)
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
        drop_after(found)
    elif record.writes and record.events is not None:
        forget_events(record.folder.path, record.events, -1)
    return found


def drop_after(checkpoint: Checkpoint) -> None:
    """Drops TensorBoard's events of steps that a run will repeat from a checkpoint on.

    All stay behind the end of a stage, and behind checkpoints of earlier versions, which do not
    tell what had been written.
    """
    state = read_saved_state(checkpoint.content)
    known = read_sizes(state.get("events"))
    if known is not None and not state["results"]:
        folder = checkpoint.path.parent.parent
        forget_events(folder, known, int(checkpoint.content["global_step"]))
