"""`fit --sweep`: runs `fit` with several overlays and seeds, and compares what they found.

Each overlay with each seed is a run of its own, with the settings that a shell loop over both would
give, in ``<run.folder>/<run.name>/sweep/<overlay>/<seed>/``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from darts_lite.cli.front.arguments import SWEEP
from darts_lite.cli.front.errors import guard
from darts_lite.cli.front.stacking import expand_presets
from darts_lite.cli.lightning_cli import DartsCLI
from darts_lite.cli.verbs.compare import print_view, view_groups, view_runs, write_hyperparameters
from darts_lite.cli.verbs.run_groups import Group
from darts_lite.launchers.jobs import Job, run_jobs
from darts_lite.launchers.local import Local
from darts_lite.runs.parts import choose_launcher
from darts_lite.runs.presets import FLAGS
from darts_lite.runs.resume import check_same_settings, take_choices
from darts_lite.runs.settings import RunSettings
from darts_lite.storage.run_folder import RunFolder
from darts_lite.storage.run_record import read_summary
from darts_lite.training.signals import stoppable

FOLDER, COMPARED = "sweep", "compared"
"""Names of the folder of a sweep, and of the folder in it that TensorBoard shows."""


class Parsed(DartsCLI):
    """The settings of a `fit`, checked, of which nothing is built."""

    def instantiate_classes(self) -> None:
        pass

    def _run_subcommand(self, subcommand: str) -> None:
        pass

    @property
    def run(self) -> RunSettings:
        return RunSettings(**self.config["fit"]["run"].as_dict())

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
        found = [each for each in RunFolder.below(self.folder) if each.path.parent == self.folder]
        finished = [each for each in found if read_summary(each).get("finished")]
        return max(finished, key=lambda each: each.number, default=None)


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
    first = Parsed(["fit", *add_overlay(words, overlays[0]), "--run.resume", "null"])
    seed, run = first.config["fit"]["seed_everything"], first.run
    if isinstance(seed, bool):
        raise ValueError(f"{SWEEP} counts on from seed_everything; set it to a number")
    root = (run.place / FOLDER).absolute()
    variants = [
        Variant(Path(overlay).stem, one, root, add_overlay(words, overlay))
        for overlay in overlays
        for one in range(seed, seed + run.seeds)
    ]
    jobs = []
    for each in variants:
        parsed = Parsed(each.arguments)  # what is wrong with one is told before any begins
        if (made := each.made) is not None:
            parsed.check_made(made)
            continue
        name, command = f"{each.overlay}/{each.seed}", ["-m", "darts_lite", *each.arguments]
        jobs.append(Job(name, each.folder, command, root, run.job_threads))
    print(f"Sweep:     {root}: {len(variants)} runs, {len(jobs)} of them to be made", flush=True)
    launcher = choose_launcher(run, str(first.config["fit"]["trainer"]["accelerator"]))
    at_once = 1 if launcher is None else run.jobs
    with stoppable("; what has been trained is kept, and the same command goes on"):
        run_jobs(launcher or Local(), jobs, run.job_retries, run.job_minutes, at_once)
    show(variants, root / COMPARED)


def show(variants: Sequence[Variant], folder: Path) -> None:
    """Prints the runs of each overlay together, or all if they have no tests, and logs them."""
    runs = [(each.overlay, each.made) for each in variants]
    found = [(name, (str(made), read_summary(made))) for name, made in runs if made is not None]
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
