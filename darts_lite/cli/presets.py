"""Finds the configurations that come with the package, by name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

FLAGS = ("--config", "-c")
EVALUATING = ("test", "validate", "predict")
OVERLAYS = "algorithms"  # subfolder of the presets that change others
PLACES = tuple(place / "configs" for place in Path(__file__).parents[1:3])
"""Folders of the presets: in an installed package, and beside the package in a checkout."""


def folder() -> Path:
    """Returns the folder of the presets."""
    for place in PLACES:
        if (place / "mnist.yaml").is_file():
            return place
    raise FileNotFoundError(f"no presets in {PLACES[0]}; install the package again")


def names() -> list[str]:
    """Returns the names of all presets; a name includes the subfolder, as ``algorithms/gdas``."""
    found = folder().rglob("*.yaml")
    return sorted(path.relative_to(folder()).with_suffix("").as_posix() for path in found)


def expand_presets(args: Sequence[str]) -> list[str]:
    """Replaces names of presets by their paths, unless there is a file of that name.

    An overlay is refused where nothing comes before it, as the parser would not say why.
    """
    found, is_value = [], False
    has_model = args[0] in EVALUATING  # that of a checkpoint
    for word in args:
        flag, equals, value = word.partition("=")
        if is_value or (equals and flag in FLAGS):
            config = _find_config(word if is_value else value)
            is_part, names_model = _look_for_model(config)
            if is_part and not has_model:
                raise ValueError(
                    f"--config: {config} is an overlay, which changes a whole configuration; give "
                    "that first, as in --config mnist_cells --config algorithms/gdas"
                )
            has_model |= names_model
            word = config if is_value else f"{flag}={config}"
        has_model |= flag.startswith("--model")
        is_value = word in FLAGS and not is_value
        found.append(word)
    return found


def _look_for_model(config: str) -> tuple[bool, bool]:
    """Returns whether a file only changes the model of another one, and whether it has a model."""
    if is_text(config) or not (path := Path(config)).is_file():
        return False, is_text(config)
    model = read_settings(path).get("model")
    is_part = isinstance(model, Mapping) and "class_path" not in model
    return is_part or (model is not None and path.parent == folder() / OVERLAYS), model is not None


def is_text(config: str) -> bool:
    """Returns whether a value of ``--config`` is settings in YAML instead of a path."""
    return any(mark in config for mark in "\n:{")


def _find_config(config: str) -> str:
    if is_text(config):
        return config
    if Path(config).is_file():
        read_settings(Path(config))
    elif not Path(config).suffix:
        known = [name for name in (config, f"{OVERLAYS}/{config}") if name in names()]
        if not known:
            raise ValueError(
                f"--config: {config!r} is neither a file nor a preset; presets: "
                f"{', '.join(names())}"
            )
        return str(folder() / f"{known[0]}.yaml")
    return config  # the parser reports other errors


def read_settings(path: Path) -> Mapping[str, Any]:
    """Returns a file's settings; the parser's own error would not name a file that has none."""
    advice = "a configuration has lines such as 'run:' and below it '  name: mine'"
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f" in line {error.problem_mark.line + 1}"
        raise ValueError(f"{path} is not YAML: {error.problem}{line}; correct it") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        cause = str(error).splitlines()[0]
        raise ValueError(f"{path} is not a configuration ({cause}); {advice}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no settings; {advice}")
    return content
