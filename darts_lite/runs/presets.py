"""Finds the configurations that come with the package, by name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

FLAGS = ("--config", "-c")
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


def list_names() -> tuple[list[str], list[str]]:
    """Returns the short names of all presets, and those of the overlays."""
    found: tuple[list[str], list[str]] = ([], [])
    for name in names():
        found[name.startswith(f"{OVERLAYS}/")].append(name.rpartition("/")[2])
    return found


def is_preset(path: Path) -> bool:
    """Returns whether a file is a preset of the package, but no overlay."""
    return path.parent == folder()


def is_overlay(path: Path) -> bool:
    """Returns whether a file is an overlay of the package."""
    return path.parent == folder() / OVERLAYS


def find_config(config: str) -> str:
    """Returns the path of a preset in place of its name, and all else as it is.

    Raises ValueError for a name that is neither a file's nor a preset's, and for a file that holds
    no settings.
    """
    if is_text(config):
        return config
    if Path(config).is_file():
        read_settings(Path(config))
    elif not Path(config).suffix:
        known = [name for name in (config, f"{OVERLAYS}/{config}") if name in names()]
        if not known:
            presets, overlays = map(", ".join, list_names())
            raise ValueError(
                f"--config: {config!r} is neither a file nor a preset; presets: {presets}; "
                f"overlays, which go behind one: {overlays}"
            )
        return str(folder() / f"{known[0]}.yaml")
    return config  # the parser reports other errors


def is_text(config: str) -> bool:
    """Returns whether a value of ``--config`` is settings in YAML instead of a path."""
    return any(mark in config for mark in "\n:{")


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
