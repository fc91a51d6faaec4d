"""Remembers where this user's data lie, so that no file that is handed on has to tell it.

A checkpoint knows its images by their checksum; the folder they lie in stands in the user's own
cache, ``$XDG_CACHE_HOME/darts_lite/places`` or ``~/.cache/darts_lite/places``.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any

from darts_lite.storage.atomic_files import write_text
from darts_lite.storage.paths import read_content

PLACES = ("dataset", "root")
"""Settings of data that may be paths."""


def hide_places(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns class and arguments of data without a path of a machine: names of folders remain."""
    arguments = dict(data["init_args"])
    if isinstance(arguments.get("dataset"), str):
        arguments["dataset"] = PureWindowsPath(PurePath(arguments["dataset"]).name).name
    if "root" in arguments:
        arguments["root"] = None
    return {**data, "init_args": arguments}


def remember_place(checksum: int, dataset: str, root: Path) -> None:
    """Keeps where images lie, by their checksum; does nothing where no cache can be written."""
    place = {"dataset": dataset, "root": str(root.absolute())}
    with suppress(OSError):
        write_text(_file_of(checksum), json.dumps(place))


def recall_place(checksum: object) -> dict[str, str]:
    """Returns the settings of `PLACES` that this user's images have; empty if they are unknown."""
    try:
        place = json.loads(read_content(_file_of(int(str(checksum)))))
    except (OSError, ValueError):
        return {}
    known = isinstance(place, dict) and all(isinstance(place.get(name), str) for name in PLACES)
    return {name: place[name] for name in PLACES} if known else {}


def _file_of(checksum: int) -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "darts_lite" / "places" / f"{checksum:08x}.json"
