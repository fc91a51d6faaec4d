"""`fit --sweep`: runs `fit` with several overlays and seeds, and compares what they found.

Each overlay with each seed is a run of its own, with the settings that a shell loop over both would
give, in ``<run.folder>/<run.name>/sweep/<overlay>/<seed>/``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from lightning.fabric.utilities.seed import max_seed_value

from darts_lite.cli.front.arguments import SWEEP
from darts_lite.cli.front.errors import guard
from darts_lite.cli.front.stacking import expand_presets
from darts_lite.cli.lightning_cli import DartsCLI
from darts_lite.cli.verbs.compare import print_view, view_groups, view_runs, write_hyperparameters
from darts_lite.cli.verbs.run_groups import Group
from darts_lite.data.split_data import SplitData
from darts_lite.launchers.jobs import Job, JobsFailed, run_jobs
from darts_lite.launchers.local import Local
from darts_lite.runs.parts import UNDONE, choose_launcher
from darts_lite.runs.presets import FLAGS
from darts_lite.runs.repeats import check_repeats
from darts_lite.runs.resume import check_same_settings, take_choices
from darts_lite.runs.run_data import check_data
from darts_lite.runs.settings import RunSettings
from darts_lite.storage.run_folder import RunFolder
from darts_lite.storage.run_record import read_summary
from darts_lite.training.signals import stoppable

FOLDER, COMPARED = "sweep", "compared"
"""Names of the folder of a sweep, and of the folder in it that TensorBoard shows."""
SHARED = (
    *("seed_everything", "run.seeds", "run.folder", "run.name", "run.launcher", "run.address"),
    *("run.jobs", "run.jobs_per_gpu", "run.job_retries", "run.job_minutes", "trainer.accelerator"),
)
"""The settings that are of a sweep as a whole."""


class Parsed(DartsCLI):
    """The settings of a `fit`, checked, of which nothing is built."""

    def instantiate_classes(self) -> None:
        pass

    def _run_subcommand(self, subcommand: str) -> None:
        pass

    @property
    def run(self) -> RunSettings:
        return RunSettings(**self.config["fit"]["run"].as_dict())

    @cached_property
    def built(self) -> Any:
        """Model and data, built of the settings."""
        return self._parser("fit").instantiate_classes(self.config["fit"])

    @cached_property
    def data(self) -> SplitData:
        """The data as they are now, set up."""
        data: SplitData = self.built.data
        data.setup("fit")
        return data

    @property
    def shared(self) -> dict[str, Any]:
        """The settings that are of a sweep as a whole."""
        settings = self.config["fit"]
        return {name: settings.get(name) for name in SHARED}

    def check_made(self, folder: RunFolder) -> None:
        """Raises a ValueError if a run was made with other settings."""
        take_choices(folder, self.config["fit"])
        check_same_settings(folder, self._format_config())


class Variant(NamedTuple):
    """A run of a sweep.

    Attributes:
        overlay: Name of its overlay.
        seed: Its seed.
        root: Folder of the sweep.
        words: Arguments of the sweep's `fit`, with this overlay.
    """

    overlay: str
    seed: int
    root: Path
    words: Sequence[str]

    @property
    def folder(self) -> Path:
        """The folder of the run's versions."""
        return self.root / self.overlay / str(self.seed)

    @property
    def arguments(self) -> list[str]:
        """All arguments of the command that makes the run."""
        own = {
            "--seed_everything": self.seed,
            "--run.seeds": 1,
            "--run.folder": self.root,
            "--run.name": f"{self.overlay}/{self.seed}",
            "--run.launcher": "here",  # what is inside of a job is no further job
            "--run.resume": "auto",
        }
        return ["fit", *self.words, *(str(word) for pair in own.items() for word in pair)]

    @property
    def made(self) -> RunFolder | None:
        """The newest finished run; None if it is still to be made."""
        found = RunFolder.versions(self.folder)
        return next((each for each in found if read_summary(each).get("finished")), None)


def main(arguments: Sequence[str]) -> None:
    """Runs a sweep with the arguments behind the verb."""
    guard(lambda: sweep(arguments[1:]))


def sweep(arguments: Sequence[str]) -> None:
    """Makes the runs of a sweep that are missing, and shows all of them as one table.

    Raises:
        ValueError: if arguments cannot be used together, or runs were made with other ones.
        JobsFailed: if some runs have failed; the others have ended.
    """
    overlays, words = take_overlays(arguments)
    # Its own name is no run's; each of the variants goes on by itself.
    parsed = {
        overlay: Parsed(["fit", *add_overlay(words, overlay), "--run.resume", "null"])
        for overlay in overlays
    }
    first = parsed[overlays[0]]
    seeds, run = list_seeds(parsed), first.run
    root = (run.place / FOLDER).absolute()
    variants, jobs = [], []
    for overlay, plain in parsed.items():
        check_buildable(plain)  # what is wrong with one is told before any begins
        for seed in seeds:
            each = Variant(Path(overlay).stem, seed, root, add_overlay(words, overlay))
            variants.append(each)
            own = Parsed(each.arguments)
            if (made := each.made) is not None:
                own.check_made(made)
                check_data(read_summary(made), plain.data)
                continue
            name, command = f"{each.overlay}/{seed}", ["-m", "darts_lite", *each.arguments]
            jobs.append(Job(name, each.folder, command, root, plain.run.job_threads))
    print(f"Sweep:     {root}: {len(variants)} runs, {len(jobs)} of them to be made", flush=True)
    launcher = choose_launcher(run, str(first.config["fit"]["trainer"]["accelerator"]))
    at_once = 1 if launcher is None else run.jobs
    with stoppable("; what has been trained is kept, and the same command goes on"):
        run_jobs(launcher or Local(), jobs, run.job_retries, run.job_minutes, at_once)
    if undone := [f"{each.overlay}/{each.seed}" for each in variants if each.made is None]:
        raise JobsFailed(UNDONE.format(", ".join(undone)))
    show(variants, root / COMPARED)


def list_seeds(parsed: Mapping[str, Parsed]) -> range:
    """Returns the seeds of a sweep; raises ValueError if its overlays do not agree on them."""
    first, *others = parsed.values()
    for other in others:
        for name, value in first.shared.items():
            if other.shared[name] != value:
                raise ValueError(
                    f"{SWEEP} has one {name} for all, and overlays set it to {value!r} and "
                    f"{other.shared[name]!r}; set it behind --config"
                )
    seed, count = first.config["fit"]["seed_everything"], first.run.seeds
    if isinstance(seed, bool):
        raise ValueError(f"{SWEEP} counts on from seed_everything; set it to a number")
    if seed + count - 1 > max_seed_value:
        raise ValueError(
            f"seed_everything is {seed}, and run.seeds {count} counts on above {max_seed_value}, "
            f"the largest seed; set seed_everything to at most {max_seed_value - count + 1}"
        )
    return range(seed, seed + count)


def check_buildable(parsed: Parsed) -> None:
    """Raises ValueError if nothing can be built of settings, or they cannot be used together."""
    settings = parsed.config["fit"]
    run, limit = replace(parsed.run, seeds=1), settings["trainer"]["limit_test_batches"]
    check_repeats(run, parsed.built.model, settings, limit, settings["ckpt_path"])


def show(variants: Sequence[Variant], folder: Path) -> None:
    """Prints the runs of each overlay together, or all if they have no tests, and logs them.

    Raises:
        ValueError: if runs of one overlay have seen different data.
    """
    runs = [(each.overlay, each.made) for each in variants]
    found = [(name, (str(made), read_summary(made))) for name, made in runs if made is not None]
    seen: dict[str, Any] = {}
    for name, (made, summary) in found:
        if seen.setdefault(name, summary.get("data_checksum")) != summary.get("data_checksum"):
            raise ValueError(
                f"the data changed during the sweep: {made} has seen others than the runs of "
                f"{name} before it, so they do not compare; take another run.name for a new sweep"
            )
    if all(summary.get("test_accuracy") is not None for _, (_, summary) in found):
        members = {name: [run for other, run in found if other == name] for name, _ in found}
        groups = [Group(name, each) for name, each in members.items()]
        groups.sort(key=lambda group: -(group.mean("validation_accuracy") or 0.0))
        view = view_groups("overlay", groups)
    else:
        view = view_runs([run for _, run in found], architectures=True)
    print_view(view)
    write_hyperparameters(view.pages, folder)
    print(f"tensorboard --logdir {folder}  # the page HPARAMS")


def take_overlays(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns the names of ``--sweep``, and the arguments without it.

    Raises:
        ValueError: if there is no name, or one is there twice.
    """
    words, names, is_value = list[str](), list[str](), False
    for word in arguments:
        flag, equals, value = word.partition("=")
        if is_value or flag == SWEEP:
            text = word if is_value else value
            names += [name.strip() for name in text.split(",") if name.strip()]
        else:
            words.append(word)
        is_value = word == SWEEP
    stems = [Path(name).stem for name in names]
    if not names or len({*stems}) < len(stems):
        raise ValueError(
            f"{SWEEP} takes names of overlays with commas between them, each once, as in "
            f"{SWEEP} gdas,drnas; got {','.join(names) or 'none'}"
        )
    return names, words


def add_overlay(words: Sequence[str], overlay: str) -> list[str]:
    """Returns arguments with an overlay behind the last configuration.

    Raises:
        ValueError: if there is no configuration that it could change, or no such overlay.
    """
    behind = [
        place + (2 if word in FLAGS else 1)
        for place, word in enumerate(words)
        if word.partition("=")[0] in FLAGS
    ]
    place = behind[-1] if behind else 0
    return expand_presets(["fit", *words[:place], "--config", overlay, *words[place:]])[1:]
