"""Finds the configurations that come with the package, by name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

FLAGS = ("--config", "-c")
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
    """Replaces names of presets by their paths, unless there is a file of that name."""
    found, is_value = [], False
    for word in args:
        flag, equals, value = word.partition("=")
        if is_value:
            word = _find_config(word)
        elif equals and flag in FLAGS:
            word = f"{flag}={_find_config(value)}"
        is_value = word in FLAGS and not is_value
        found.append(word)
    return found


def _find_config(config: str) -> str:
    is_text = any(mark in config for mark in "\n:{")  # settings in YAML instead of a path
    if not is_text and Path(config).is_file():
        check_settings(Path(config))
    elif not is_text and not Path(config).suffix:
        if config not in names():
            raise ValueError(
                f"--config: {config!r} is neither a file nor a preset; presets: "
                f"{', '.join(names())}"
            )
        return str(folder() / f"{config}.yaml")
    return config  # the parser reports other errors


def check_settings(path: Path) -> None:
    """Checks that a file holds settings, as the parser's own error would not name the file."""
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
