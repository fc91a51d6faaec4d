"""The groups `run` and `budget` of a configuration."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from reprlib import repr as short
from typing import Any, Literal

from darts_lite.storage.paths import ADDRESS, expand

TRAINER_DEFAULTS: Mapping[str, Any] = {"devices": 1, "enable_model_summary": False}
"""Settings of the trainer whose defaults are not Lightning's."""
RULE = "darts_lite.WithinBudget"
LONGEST = 200  # characters of a name
LARGEST = 1_000_000
"""Largest number of minutes, searches, nets, steps or checkpoints that a setting allows."""
ROOT = "data.init_args.root"
CHANGEABLE = (
    "run.folder",
    "run.name",
    "trainer.default_root_dir",
    ROOT,
    "run.export",
    "run.save_every_steps",
    "run.save_every_minutes",
    "run.keep_checkpoints",
    "run.on_nonfinite",
    "run.max_rollbacks",
    "run.launcher",
    "run.address",
    "run.jobs",
    "run.jobs_per_gpu",
    "run.job_retries",
    "run.job_minutes",
)
"""Settings that do not affect what a run computes, and so may change when it is resumed.

Of images and architectures, the content decides and not the place.
"""


@dataclass
class BudgetSettings:
    """Limits on the net that a search finds; each sets one of its rule, `darts_lite.WithinBudget`.

    Args:
        parameters: Largest number of parameters.
        multiply_adds: Largest number of multiply-adds for one image.
        memory: Largest number of bytes of activations at once in int8, as ``8kB``.
        flash: Largest number of bytes of weights in int8.
        arena: Largest number of bytes that the micro interpreter needs for the int8 file.
        file: Largest number of bytes of the int8 LiteRT file.
        latency: Largest time for one image, in milliseconds.
        latency_table: File with the milliseconds of the operations.
    """

    parameters: int | None = None
    multiply_adds: int | None = None
    memory: int | str | None = None
    flash: int | str | None = None
    arena: int | str | None = None
    file: int | str | None = None
    latency: float | None = None
    latency_table: str | None = None

    def describe_rule(self, model: str, settings: Mapping[str, Any]) -> dict[str, Any] | None:
        """Returns the description of the rule that keeps to these limits; None if there are none.

        Args:
            model: Name of the class of the search.
            settings: Its settings, of which the rule's stay where nothing here replaces them.

        Raises:
            ValueError: if what is trained derives nothing, or by another rule.
        """
        asked = {name: value for name, value in asdict(self).items() if value is not None}
        if not asked:
            return None
        if "derivation" not in settings:
            limits = " and ".join(f"budget.{name}" for name in asked)
            raise ValueError(
                f"budget limits what a search derives, and {model} derives nothing; begin with a "
                f"configuration without a budget, or set {limits} to null"
            )
        rule = settings["derivation"] or {"class_path": RULE, "init_args": {}}
        if rule["class_path"].rpartition(".")[2] != RULE.rpartition(".")[2]:
            raise ValueError(
                f"budget sets the rule WithinBudget, and model.derivation is {rule['class_path']}; "
                "leave one of them out"
            )
        if "parameters" in asked:  # rather than a lower limit that belongs to another one
            asked["least_parameters"] = None
        return {"class_path": RULE, "init_args": {**rule["init_args"], **asked}}


@dataclass
class RunSettings:
    """Settings of a run: where it writes, when it ends, and how it is checked.

    Args:
        name: Runs are written to ``<folder>/<name>/version_<n>``.
        folder: Folder of all runs; ``~`` and ``$VARIABLES`` in it are expanded.
        max_minutes: Time after which a search ends early; its architecture is retrained all the
            same. Each of several searches may take this long.
        imports: Modules to import first, which define custom operations.
        seeds: Number of searches, with the seed of ``seed_everything`` and those after it. The
            consensus of several searches is retrained.
        control: Also trains rivals in the same way, and reports how many of them the found net
            beats: ``random`` ones of the same space and limits, ``uniform`` ones made by hand as
            wide as the limits allow, or with ``best_of`` as many random ones as the search's time
            allows, of which validation chooses one.
        control_nets: Number of random or uniform rivals.
        launcher: Where several searches and rivals run, each in a process of its own: ``local``,
            on this machine; ``ray``, on a Ray cluster; ``here``, one after the other in this
            process; or the path of a class. It changes no result.
        address: Of the Ray cluster; None starts one on this machine.
        job_threads: Number of threads of each of them.
        jobs: Number of them at once; None is as many as there are cores for, or GPUs.
        jobs_per_gpu: Number of them that share a GPU.
        job_retries: How often one that dies is started again, from its checkpoint.
        job_minutes: Time after which one that still runs counts as dead.
        export: Kinds of files that `export --to` writes when the run has ended; ``int8`` among them
            also writes those of onnx and litert in whole numbers of 8 bits, as `export --int8`.
        resume: ``auto`` resumes the newest unfinished run of this name in its folder, or begins a
            new run if there is none.
        save_every_steps: Steps between two checkpoints, beside those after every epoch.
        save_every_minutes: Minutes between two checkpoints.
        keep_checkpoints: Number of checkpoints of a stage to keep.
        on_nonfinite: Reaction to a loss or gradient that is NaN or infinite: ``stop``, or
            ``rollback``, which goes back to the last checkpoint with half the learning rates.
        max_rollbacks: Number of times that a stage may go back before it stops all the same.

    Raises:
        ValueError: if a number is out of range, the folder cannot be expanded, or the name is not
            a path inside it.
    """

    name: str = "search"
    folder: str = "logs"
    max_minutes: float | None = None
    imports: tuple[str, ...] = ()
    seeds: int = 1
    control: Literal["random", "uniform", "best_of"] | None = None
    control_nets: int = 5
    launcher: str = "local"
    address: str | None = None
    job_threads: int = 1
    jobs: int | None = None
    jobs_per_gpu: int = 1
    job_retries: int = 2
    job_minutes: float | None = None
    export: tuple[str, ...] = ()
    resume: Literal["auto"] | None = None
    save_every_steps: int | None = None
    save_every_minutes: float | None = 5.0
    keep_checkpoints: int = 2
    on_nonfinite: Literal["stop", "rollback"] = "stop"
    max_rollbacks: int = 3

    def __post_init__(self) -> None:
        self.folder = expand(self.folder, "run.folder")
        if len(self.name) > LONGEST or not self.name.isprintable():
            raise ValueError(
                f"run.name is {short(self.name)!a}; it must be at most {LONGEST} printable "
                "characters in UTF-8"
            )
        # TensorBoard's logger would expand what is left.
        if not self.folder or "$" in self.folder or not _is_name(self.name):
            raise ValueError(
                "run.folder must be a path, and run.name the name of a folder in it, without ~ and "
                f"$; got {short(self.folder)} and {short(self.name)}"
            )
        for name in ("max_minutes", "save_every_minutes", "job_minutes"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= LARGEST:
                raise ValueError(f"run.{name} must be above 0 and at most {LARGEST}, got {value}")
        whole = ("seeds", "control_nets", "save_every_steps", "keep_checkpoints", "max_rollbacks")
        for name in (*whole, "job_threads", "jobs", "jobs_per_gpu"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= LARGEST:
                raise ValueError(
                    f"run.{name} must be at least 1 and at most {LARGEST}, got {value}"
                )

        if not 0 <= self.job_retries <= LARGEST:
            raise ValueError(f"run.job_retries must be at least 0, got {self.job_retries}")

    @property
    def place(self) -> Path:
        """The folder that holds all runs of this name."""
        return Path(self.folder) / self.name


def _is_name(text: str) -> bool:
    """Returns whether a text is a relative path without ``..`` and what is expanded."""
    if "$" in text or text.startswith("~") or ADDRESS.search(text):
        return False
    parts = Path(text).parts
    return bool(text.strip()) and bool(parts) and not Path(text).is_absolute() and ".." not in parts
