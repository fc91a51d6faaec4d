"""Reads what a run has left in its folder, as far as it is there."""

import shlex
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from darts_lite.data.preparation import name_items
from darts_lite.networks.kinds import read_architecture
from darts_lite.plots.run_history import StageHistory, read_history
from darts_lite.runs.reporting import name_imports, name_place
from darts_lite.space.cost_tables import Images
from darts_lite.space.protocol import AnyArchitecture
from darts_lite.storage.paths import is_there, read_content, reading
from darts_lite.storage.run_folder import STAGES, RunFolder
from darts_lite.storage.run_record import read_summary


class RunFiles:
    """The files of a run; each is read when it is first asked for.

    Raises FileNotFoundError if the folder is none of a run. What is asked for raises OSError or
    ValueError, in one line, if its file cannot be read.
    """

    def __init__(self, place: str | Path) -> None:
        self.folder = RunFolder(Path(place))
        parts = (self.folder.config, self.folder.summary, self.folder.history("").parent)
        if not any(map(is_there, parts)):
            raise FileNotFoundError(f"no run in {place}; {self._suggest()}")

    def _suggest(self) -> str:
        """Returns what to give in place of a folder that holds no run itself."""
        inside = RunFolder.below(self.folder.path)
        if not inside:
            return "give a folder that holds config.yaml, as logs/mnist/version_0"
        return (
            f"give one of the runs inside of it ({len(inside)}), as {shlex.quote(str(inside[0]))}; "
            f"all of them together: python -m darts_lite compare {self.quote()}"
        )

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The results; empty without any."""
        return read_summary(self.folder)

    @cached_property
    def damage(self) -> str | None:
        """The damage of the results, where they are not as the run wrote them."""
        if self.summary:
            return None
        if is_there(self.folder.summary):
            return f"{self.folder.summary} is damaged"
        left = (self.folder.net, self.folder.architecture, *map(self.folder.history, STAGES))
        return f"{self.folder.summary} is missing" if any(map(is_there, left)) else None

    @cached_property
    def config_text(self) -> str:
        """The text of the configuration; empty without one."""
        if not is_there(self.folder.config):
            return ""
        with reading(self.folder.config):
            return read_content(self.folder.config).decode("utf-8", "replace")

    @cached_property
    def config(self) -> dict[str, Any]:
        """The configuration; empty without one."""
        try:
            content: Any = yaml.safe_load(self.config_text)
        except (yaml.YAMLError, RecursionError) as error:
            cause = str(error).splitlines()[0]
            raise ValueError(f"{self.folder.config} is not a configuration ({cause})") from error
        return content if isinstance(content, dict) else {}

    @cached_property
    def stages(self) -> dict[str, StageHistory]:
        """The course of each of `STAGES`; an empty one where it did not begin."""
        return {stage: read_history(self.folder.history(stage)) for stage in STAGES}

    @cached_property
    def architecture(self) -> AnyArchitecture | None:
        """The found architecture, if there is one yet."""
        if not is_there(self.folder.architecture):
            return None
        return read_architecture(self.folder.architecture)

    @property
    def images(self) -> Images | None:
        """The images of the run, as far as its summary tells all of it."""
        seen, accuracies = self.summary.get("preparation"), self.summary.get("class_accuracies")
        if not isinstance(seen, dict):
            return None
        tested = len(accuracies) if isinstance(accuracies, list) else None
        classes = self.summary.get("classes", tested)  # earlier versions do not tell it
        known: list[Any] = [seen.get("channels"), classes, seen.get("size")]
        return Images(*known) if all(type(each) is int and each > 0 for each in known) else None

    @property
    def class_names(self) -> list[str] | None:
        """The names of the classes, if they have any beside their numbers."""
        names: list[str] | None = self.summary.get("class_names")
        return names

    def is_finished(self, stage: str) -> bool:
        """Returns whether a stage, such as ``search`` or ``test``, has ended."""
        return stage in self.summary.get("stages", [])

    def quote(self, name: str = "") -> str:
        """Returns the path of a file, or of the folder, for a command."""
        return shlex.quote(str(self.folder.path / name))

    @property
    def items(self) -> str | None:
        """The word for the items of the run in a command; None where no command takes them."""
        try:
            return name_items(self.summary)
        except ValueError:  # a summary that was changed
            return "images"

    @property
    def imports(self) -> str:
        """What makes a command import the run's modules; empty without any."""
        run = self._read_group("run")
        named = run.get("imports") if isinstance(run, dict) else None
        return name_imports([str(each) for each in named] if isinstance(named, list) else [])

    def _read_group(self, name: str) -> Any:
        try:
            return self.config.get(name)
        except (OSError, ValueError):  # which the section of the settings tells
            return None

    @property
    def place_of_items(self) -> str:
        """The folder of items that the run is on, for a command, or what stands for one."""
        data = self._read_group("data")
        settings = data.get("init_args") if isinstance(data, dict) else None
        return name_place(str(settings.get("dataset") if isinstance(settings, dict) else None))

    @property
    def resumption(self) -> str:
        """The command with which an interrupted run goes on."""
        config = self.quote(self.folder.config.name)
        return f"python -m darts_lite fit --config {config} --run.resume auto"
