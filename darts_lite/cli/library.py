"""Runs `fit`, and what follows it, from Python."""

import contextlib
import io
import json
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from darts_lite.cli.front.errors import is_mistake, quiet_libraries, shorten_message
from darts_lite.cli.front.stacking import expand_presets
from darts_lite.cli.lightning_cli import DartsCLI
from darts_lite.cli.main import parser
from darts_lite.cli.verbs import export
from darts_lite.cli.verbs.predict import predict_files
from darts_lite.data.file_lists import list_files
from darts_lite.export.inference import load_answer
from darts_lite.networks.kinds import read_architecture
from darts_lite.networks.net import Net
from darts_lite.retraining.familiarity import Familiarity
from darts_lite.space.protocol import AnyArchitecture
from darts_lite.storage.checkpoints import Checkpoint
from darts_lite.storage.paths import is_there
from darts_lite.storage.run_folder import RunFolder
from darts_lite.storage.run_record import read_summary
from darts_lite.training.memory import keep_freed_memory
from darts_lite.training.signals import Stopped


@dataclass(frozen=True, init=False)
class Run:
    """A run that `fit` has made, here or on the command line.

    Args:
        folder: Its folder, ``<run.folder>/<run.name>/version_<n>``.

    Raises:
        ValueError: if no run has begun there; and later, if a file that is asked for is not there.
    """

    folder: Path

    def __init__(self, folder: str | Path) -> None:
        object.__setattr__(self, "folder", Path(folder))
        if not is_there(RunFolder(self.folder).config):
            raise ValueError(f"no run in {folder}; give a folder that holds a run's config.yaml")

    @property
    def summary(self) -> dict[str, Any]:
        """All results, as in ``summary.json``."""
        folder = RunFolder(self.folder)
        with _as_value_errors():
            found = dict(read_summary(folder))
        if not found:
            raise ValueError(f"{folder.summary} is missing or damaged; put the run's own back")
        return found

    @property
    def architecture(self) -> AnyArchitecture:
        """The architecture that was found."""
        with _as_value_errors():
            return read_architecture(RunFolder(self.folder).architecture)

    @cached_property
    def net(self) -> Net:
        """The trained net, for normalised images."""
        with _as_value_errors():
            return Net.from_run(self.folder)

    def predict(
        self, *places: str | Path | Iterable[str | Path], top: int = 1
    ) -> list[dict[str, Any]]:
        """Returns path, class, probabilities and note of each item in files and folders.

        Args:
            places: Files and folders, or lists of them.
            top: Number of likeliest classes; more than one are told as ``top``.

        Raises:
            ValueError: if there is no image or sound, or one that is named cannot be read.
        """
        if top < 1:
            raise ValueError(f"top must be a number of classes, at least 1; got {top}")
        lists = [[place] if isinstance(place, str | Path) else place for place in places]
        named = [Path(place) for each in lists for place in each]
        if not named:
            raise ValueError(
                "predict needs images, sounds or signals; give paths of files and folders"
            )
        path = RunFolder(self.folder).net
        with _as_value_errors():
            answer, about = load_answer(str(path))
            known = Familiarity.read(Checkpoint.read(path))
            files = list(list_files(named, about["preparation"].kind))
            return predict_files(answer, about, files, {*named}, known, top=top)

    def export(self, *formats: str, folder: str | Path | None = None) -> list[Path]:
        """Writes the net for other programs, and returns the paths of the files.

        Args:
            formats: Of ``pt2``, ``safetensors``, ``python``, ``onnx`` and ``litert``; the first
                three if none is given.
            folder: Where to; by default the folder of the run.

        Raises:
            ValueError: if a file gives other answers than the net, among others.
        """
        words = ["export", str(RunFolder(self.folder).net)]
        words += ["--to", *formats] if formats else []
        words += ["--output", str(folder)] if folder is not None else []
        with _telling_errors(quiet=True):
            return export.run(parser().parse_args(words))


def fit(
    preset: str | Path = "mnist",
    *,
    data: str | Path | None = None,
    budget: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    quiet: bool = True,
) -> Run:
    """Searches, derives, retrains and tests, as ``python -m darts_lite fit`` does.

    Args:
        preset: Name of a preset, or path of a configuration.
        data: Name of a data set, or folder of images; None takes that of the preset.
        budget: Limits on the net, as ``{"parameters": 5000, "memory": "8kB"}``.
        settings: All other settings by their dotted names, as ``{"trainer.max_epochs": 2}``.
        quiet: Whether to print nothing but warnings.

    Raises:
        ValueError: if a setting is wrong, or the run cannot go on.
        KeyboardInterrupt: at Ctrl-C, after what has been trained is saved.
    """
    words = _write_words(data, budget or {}, settings or {})
    keep_freed_memory()
    with _telling_errors(quiet):
        made = DartsCLI(expand_presets(["fit", "--config", str(preset), *words]))
    return Run(made.trainers.folder.path)


def _write_words(data: str | Path | None, budget: Any, settings: Any) -> list[str]:
    """Returns the settings as arguments; raises ValueError for what is none, or is there twice."""
    for name, group in (("budget", budget), ("settings", settings)):
        if not (isinstance(group, Mapping) and all(isinstance(key, str) for key in group)):
            example = "parameters" if name == "budget" else "data.batch_size"
            raise ValueError(f'{name} maps names to values, as {{"{example}": 500}}; got {group!r}')
    given = {f"budget.{name}": value for name, value in budget.items()}
    if data is not None:
        given["data.dataset"] = data
    if twice := [name for name in settings if name.replace(".init_args", "") in given]:
        raise ValueError(
            f"settings has {twice[0]}, which {twice[0].partition('.')[0]} sets as well; leave one "
            "of them out"
        )
    return [f"--{name}={_write(name, value)}" for name, value in {**given, **settings}.items()]


def _write(name: str, value: Any) -> str:
    if isinstance(value, str | Path):
        return str(value)
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a plain value or a path, got {value!r}") from None


@contextlib.contextmanager
def _as_value_errors() -> Iterator[None]:
    """Turns what is told as a mistake on the command line into a ValueError of one line."""
    try:
        yield
    except Exception as error:
        if not is_mistake(error):
            raise
        raise ValueError(shorten_message(str(error))) from error


@contextlib.contextmanager
def _telling_errors(quiet: bool) -> Iterator[None]:
    """Turns the end of a command into an exception; of what it prints, lets warnings pass."""
    said, errors = io.StringIO(), io.StringIO()
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_as_value_errors())
            stack.enter_context(warnings.catch_warnings())
            quiet_libraries()
            stack.enter_context(contextlib.redirect_stderr(errors))
            if quiet:
                stack.enter_context(contextlib.redirect_stdout(said))
            yield
        for line in said.getvalue().splitlines():
            if line.startswith("Warning: "):
                print(line, file=sys.stderr)
        print(errors.getvalue(), end="", file=sys.stderr)
    except Stopped:
        raise KeyboardInterrupt from None
    except SystemExit:
        line = next((one for one in errors.getvalue().splitlines() if "error: " in one), "stopped")
        raise ValueError(line.removeprefix("error: ")) from None
