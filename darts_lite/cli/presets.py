"""The configurations that come with the package, by name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

FLAGS = ("--config", "-c")
PLACES = tuple(place / "configs" for place in Path(__file__).parents[1:3])
"""In an installed package, and beside it in a checkout."""


def folder() -> Path:
    """Where the presets are.

    Raises:
        FileNotFoundError: if the package was installed without them.
    """
    for place in PLACES:
        if (place / "mnist.yaml").is_file():
            return place
    raise FileNotFoundError(f"no presets in {PLACES[0]}; install the package again")


def names() -> list[str]:
    """Of all presets; those of a subfolder have its name in front: ``algorithms/gdas``."""
    found = folder().rglob("*.yaml")
    return sorted(path.relative_to(folder()).with_suffix("").as_posix() for path in found)


def with_presets(args: Sequence[str]) -> list[str]:
    """Arguments in which the name of a preset stands for its path, where there is no such file.

    Raises:
        ValueError: if a configuration is neither a file nor a preset.
    """
    found, is_value = [], False
    for word in args:
        flag, equals, value = word.partition("=")
        if is_value:
            word = _path_of(word)
        elif equals and flag in FLAGS:
            word = f"{flag}={_path_of(value)}"
        is_value = word in FLAGS and not is_value
        found.append(word)
    return found


def _path_of(config: str) -> str:
    is_text = any(mark in config for mark in "\n:{")  # settings themselves, as YAML
    if not is_text and Path(config).is_file():
        check_settings(Path(config))
    elif not is_text and not Path(config).suffix:
        return _preset(config)
    return config  # the parser says what else is wrong with it


def _preset(config: str) -> str:
    if config in names():
        return str(folder() / f"{config}.yaml")
    raise ValueError(
        f"--config: {config!r} is neither a file nor a preset; presets: {', '.join(names())}"
    )


def check_settings(path: Path) -> None:
    """Refuses a file that holds no settings, which the parser would do without its name.

    Raises:
        ValueError: if it is none.
        OSError: if it cannot be read.
    """
    like = "a configuration has lines such as 'run:' and below it '  name: mine'"
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f" in line {error.problem_mark.line + 1}"
        raise ValueError(f"{path} is no YAML: {error.problem}{line}; mend it") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        told = str(error).splitlines()[0]
        raise ValueError(f"{path} is no configuration ({told}); {like}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no settings; {like}")
