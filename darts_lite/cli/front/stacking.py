"""Puts the files in place of the names after ``--config``, and checks that their order makes sense.

Later configurations override earlier ones, and arguments before them. So an overlay, which changes
a part of a search, is lost in front of the configuration that it is for, and so are a few settings
of one's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from darts_lite.runs.presets import (
    FLAGS,
    find_config,
    folder,
    is_overlay,
    is_preset,
    is_text,
    list_names,
    read_settings,
)
from darts_lite.storage.components import public_path

EVALUATING = ("test", "validate", "predict")
"""Verbs that have the model of a checkpoint."""
BY_GRADIENTS = "darts_lite.ArchitectureSearch"
"""The model whose parts the package's overlays change."""


def expand_presets(args: Sequence[str]) -> list[str]:
    """Replaces names of presets by their paths, unless there is a file of that name.

    Raises ValueError if there is no such preset, or configurations do not fit together; see
    `Stack.add`.
    """
    found, is_value = [], False
    stack = Stack(has_model=args[0] in EVALUATING)
    for word, following in zip(args, [*args[1:], ""], strict=True):
        flag, equals, value = word.partition("=")
        if not is_value and flag.startswith("--") and flag not in FLAGS:
            stack.note({flag[2:]: _read_value(value if equals else following)}, flag)
        if is_value or (equals and flag in FLAGS):
            config = find_config(word if is_value else value)
            stack.add(config)
            word = config if is_value else f"{flag}={config}"
        stack.has_model |= flag.startswith("--model")
        if flag in ("--model", "--model.class_path"):
            stack.kind = ""
        is_value = word in FLAGS and not is_value
        found.append(word)
    return found


@dataclass
class Stack:
    """The configurations of a command so far.

    Args:
        has_model: Whether something names the class of the model.
        kind: Path of this class, and `source`, the configuration that names it; empty if unknown.
        preset: The preset of the package among them; empty if there is none.
        changed: Settings of the model that overlays have changed -> name of the overlay.
        given: The user's own settings by dotted name, in files of parts and in arguments -> value
            and where it stands.
    """

    has_model: bool
    kind: str = ""
    source: str = ""
    preset: str = ""
    changed: dict[str, str] = field(default_factory=dict)
    given: dict[str, tuple[Any, str]] = field(default_factory=dict)

    def note(self, settings: Mapping[str, Any], source: str) -> None:
        """Notes settings that no later configuration may override, and where they stand."""
        self.given |= {name: (value, source) for name, value in _list_settings(settings)}

    def add(self, config: str) -> None:
        """Adds the path of a configuration, or one that is written out.

        Raises:
            ValueError: if it is an overlay that nothing comes before, or that is for another search
                than the one before, a second preset, or if it overrides an overlay or settings of
                the user's.
        """
        if is_text(config):
            self.has_model = True
            settings = _read_text(config)
            kind = _describe_model(settings.get("model"))[0]
            self._check_given("what is written out", settings, is_part=not kind)
            self.kind = kind or self.kind
            return
        path = Path(config)
        if not path.is_file():
            return  # the parser tells so
        name = path.stem if is_overlay(path) or is_preset(path) else config
        settings = read_settings(path)
        model = settings.get("model")
        kind, parts = _describe_model(model)
        is_part = is_overlay(path) or (isinstance(model, Mapping) and not kind)
        if is_part and model is not None and not self.has_model:
            raise ValueError(
                f"--config: {name} is an overlay, which changes a whole configuration; give that "
                f"first, as in --config mnist_cells --config {name if is_overlay(path) else 'gdas'}"
            )
        if is_overlay(path) and not kind:
            self._check_kind(name)
        self._check_given(name, settings, is_part=is_overlay(path) or not kind)
        if kind:
            self._check_kept(name, kind, () if is_part else parts)
            self.kind, self.source = kind, name
        if is_part:
            self.changed |= dict.fromkeys(parts, name)
        elif is_preset(path) and self.preset not in ("", name):
            raise ValueError(
                f"--config: {self.preset} and {name} are both whole configurations, and what "
                f"{name} does not set would stay as {self.preset} has it; give one of them"
            )
        elif is_preset(path):
            self.preset = name
        self.has_model |= model is not None

    def _check_given(self, name: str, settings: Mapping[str, Any], is_part: bool) -> None:
        """Checks that a configuration overrides nothing of the user's, and notes it if it is such.

        Among files of parts the last one counts; arguments are meant to count over all files.
        """
        found = _list_settings(settings)
        lost: dict[str, list[str]] = {}
        for setting, value in found:
            before, source = self.given.get(setting, (value, ""))
            if before != value and (source.startswith("--") or not is_part):
                lost.setdefault(source, []).append(setting)
        for source, names in lost.items():
            raise ValueError(
                f"--config: {name} comes after {source} and would override what it sets "
                f"({', '.join(names)}); give {source} behind it"
            )
        if is_part and name not in list_names()[1]:
            self.note(settings, name)

    def _check_kind(self, overlay: str) -> None:
        """Checks that an overlay of the package, which has no model, is behind one that it fits."""
        if self.kind.startswith("darts_lite.") and self.kind != BY_GRADIENTS:
            fitting = [name for name in list_names()[0] if _read_kind(name) == BY_GRADIENTS]
            raise ValueError(
                f"--config: {overlay} is for a search by gradients, and {self.source} has "
                f"{self.kind}; give it behind {' or '.join(fitting)}, as in --config mnist_cells "
                f"--config {overlay}"
            )

    def _check_kept(self, name: str, kind: str, parts: Sequence[str]) -> None:
        """Checks that a configuration with a class and settings of a model overrides no overlay."""
        lost = [part for part in self.changed if kind != self.kind or part in parts]
        if lost:
            overlay = self.changed[lost[0]]
            advice = "leave one of them out"
            if name not in list_names()[1]:
                advice = f"give {overlay} last, or leave it out"
            raise ValueError(
                f"--config: {name} comes after the overlay {overlay} and would override what it "
                f"sets ({', '.join(lost)}); {advice}"
            )


def _describe_model(model: Any) -> tuple[str, list[str]]:
    """Returns the class path of the group ``model``, or an empty text, and the names it sets."""
    if not isinstance(model, Mapping):
        return public_path(model) if isinstance(model, str) else "", []
    arguments = model.get("init_args")
    parts = [*arguments] if isinstance(arguments, Mapping) else []
    return public_path(str(model.get("class_path", ""))), parts


def _list_settings(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """Returns the dotted names of settings, as on the command line, with their values."""
    name = name.replace(".init_args", "").removesuffix(".class_path")
    if not isinstance(value, Mapping):
        return [(name, public_path(value) if isinstance(value, str) else value)]
    inner = [(f"{name}.{key}" if name else str(key), entry) for key, entry in value.items()]
    return [found for place, entry in inner for found in _list_settings(entry, place)]


def _read_value(text: str) -> Any:
    """Returns the value of an argument as a configuration would have it."""
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        return text


def _read_text(text: str) -> Mapping[str, Any]:
    """Returns settings that are written out; none if they are no YAML, which the parser tells."""
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError):
        return {}
    return content if isinstance(content, Mapping) else {}


def _read_kind(preset: str) -> str:
    """Returns the class path of the model of a preset."""
    return _describe_model(read_settings(folder() / f"{preset}.yaml").get("model"))[0]
