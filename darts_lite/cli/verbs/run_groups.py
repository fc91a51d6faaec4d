"""Groups finished runs by a setting, and tells what those of a group reach together."""

import json
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from darts_lite.runs.presets import read_settings
from darts_lite.runs.settings import CHANGEABLE
from darts_lite.storage.components import flatten, with_public_paths
from darts_lite.storage.run_folder import RunFolder
from darts_lite.storage.run_record import UNTESTED

Summary = Mapping[str, Any]
Runs = Sequence[tuple[str, Summary]]
"""Folder and summary of each run."""
UNSET = "-"
"""In place of the value of a setting that a run does not have."""
SEED = "seed_everything"
FACTS = ("seed", "algorithm", "dataset", "data_checksum", "train_images", "device", "versions")
"""Entries of a summary in which a repeat of a run agrees with it."""


@dataclass(frozen=True)
class Group:
    """Tested runs with the same value of a setting.

    Args:
        value: In words.
        runs: Those that count.
        differing: Settings beside the seed in which they differ, as `list_differing` names them.
    """

    value: str
    runs: Runs
    differing: Sequence[str] = ()

    @property
    def deviation(self) -> float | None:
        """The standard deviation of the test accuracy, of a sample; None for a single run."""
        return stdev(self._list("test_accuracy")) if len(self.runs) > 1 else None

    @property
    def best(self) -> tuple[str, Summary] | None:
        """The run with the highest validation accuracy; None if one has none."""
        if self.mean("validation_accuracy") is None:
            return None
        return max(self.runs, key=lambda run: run[1]["validation_accuracy"])

    def mean(self, figure: str) -> float | None:
        """Returns the mean of a figure of the summaries over all runs; None if one lacks it."""
        values = self._list(figure)
        return None if None in values else fmean(values)

    def describe(self) -> dict[str, Any]:
        """Returns the figures of the group by name."""
        run, summary = self.best or (None, {})
        return {
            "runs": len(self.runs),
            "validation_accuracy": self.mean("validation_accuracy"),
            "test_accuracy": self.mean("test_accuracy"),
            "test_accuracy_deviation": self.deviation,
            "best_test_accuracy": summary.get("test_accuracy"),
            "best_run": run,
            "search_seconds": self.mean("search_seconds"),
        }

    def _list(self, figure: str) -> list[Any]:
        return [summary.get(figure) for _, summary in self.runs]


def group_runs(runs: Runs, setting: str, in_summaries: Collection[str]) -> list[Group]:
    """Returns the groups of the runs by a setting, the highest mean validation accuracy first.

    Runs without a test accuracy, or without the file that has the setting, are left out with a
    warning, and so are repeats: of runs with the same settings, seed, data and versions only the
    one whose folder comes first counts.

    Args:
        setting: One of those `in_summaries`, or the dotted name of one in ``config.yaml``, with or
            without ``init_args``.

    Raises:
        ValueError: if no run has the setting, or none has a test accuracy.
    """
    tested = [(name, summary) for name, summary in runs if summary.get("test_accuracy") is not None]
    if not tested:
        raise ValueError(UNTESTED)
    if left_out := len(runs) - len(tested):
        _warn(f"runs without a test accuracy are left out: {left_out} of {len(runs)}")
    settings = _read_all(tested, needed=setting not in in_summaries)
    counting = _find_distinct(tested, settings)
    if repeats := len(settings) - len(counting):
        _warn(f"repeats of runs with the same settings and seed are left out: {repeats}")
    found: dict[str, list[tuple[str, Summary]]] = {}
    for name, summary in tested:
        if name in counting:
            known = summary if setting in in_summaries else settings[name]
            found.setdefault(find_setting(known, setting), []).append((name, summary))
    if not set(found) - {UNSET}:
        raise ValueError(
            f"--group: none of these runs has the setting {setting}; give "
            f"{', '.join(in_summaries)}, or the name of one in config.yaml, as model.relaxation"
        )
    groups = [
        Group(value, members, list_differing([settings[name] for name, _ in members]))
        for value, members in found.items()
    ]
    return sorted(groups, key=lambda group: -(group.mean("validation_accuracy") or 0.0))


def _read_all(runs: Runs, needed: bool) -> dict[str, Mapping[str, Any]]:
    """Returns the settings of runs by folder; if they are `needed`, of those that have some."""
    settings: dict[str, Mapping[str, Any]] = {}
    for name, _ in runs:
        try:
            settings[name] = with_public_paths(read_settings(RunFolder(Path(name)).config))
        except (OSError, ValueError) as error:
            outcome = "this run is left out" if needed else "in which it differs is not told"
            _warn(f"cannot read the settings of {name} ({error}); {outcome}")
            if not needed:
                settings[name] = {}
    return settings


def _find_distinct(runs: Runs, settings: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Returns the folders of runs that repeat no other one; what they reached does not choose."""
    found: dict[str, str] = {}
    for name, summary in sorted(runs, key=lambda run: run[0]):
        if name in settings:
            deciding = _list_deciding(settings[name])
            # With unknown settings, a drawn seed or none, only a copy is known to be a repeat.
            is_known = deciding and type(summary.get("seed")) is int
            facts = {key: summary.get(key) for key in FACTS} if is_known else summary
            found.setdefault(json.dumps([facts, deciding], default=str), name)
    return {*found.values()}


def list_differing(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lists the settings in which configurations differ, but for `CHANGEABLE` ones and the seed.

    Names are as in ``--group``, without ``init_args``. Of classes that differ, the settings are not
    listed. Configurations without any settings are passed over.
    """
    flat = [_list_deciding(one) for one in settings if one]
    names = sorted({name for one in flat for name in one} - {SEED})
    differing = [name for name in names if len({repr(one.get(name)) for one in flat}) > 1]
    told = {name.replace(".init_args", "").removesuffix(".class_path") for name in differing}
    inside = tuple(f"{name}{mark}" for name in told for mark in ".[")
    return sorted(name for name in told if not name.startswith(inside))


def _list_deciding(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings by dotted name that affect what a run computes."""
    return {name: value for name, value in flatten(settings) if name not in CHANGEABLE}


def find_setting(settings: Mapping[str, Any], name: str) -> str:
    """Returns the value of a setting in words, or `UNSET`.

    Args:
        settings: Nested, with the arguments of classes in ``init_args``.
        name: Dotted; levels ``init_args`` may be left out.
    """
    value: Any = settings
    for part in name.split("."):
        if isinstance(value, Mapping) and part not in value:
            value = value.get("init_args")
        if not isinstance(value, Mapping) or part not in value:
            return UNSET
        value = value[part]
    return describe_value(value)


def describe_value(value: Any) -> str:
    """Returns plain values in words: a class and its arguments as ``GumbelMax(start 10.0)``."""
    if isinstance(value, Mapping):
        kind = str(value.get("class_path", "")).rpartition(".")[2]
        inside = value.get("init_args") or {} if kind else value
        told = ", ".join(f"{name} {describe_value(one)}" for name, one in inside.items())
        return f"{kind}({told})" if told else kind
    if isinstance(value, list):
        return f"[{', '.join(map(describe_value, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=3)
