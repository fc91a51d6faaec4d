"""Packages of this environment for a fresh one: what is here is not fetched and unpacked again."""

import os
import shutil
import sysconfig
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import cache_from_source
from pathlib import Path

from packaging.requirements import Requirement


def link_packages(names: Iterable[str], environment: Path) -> None:
    """Gives an environment packages and all that these need, and nothing else.

    Args:
        names: As a project names its dependencies. What is not installed here is left out.
        environment: A virtual one.
    """
    target = Path(sysconfig.get_path("purelib", "venv", {"base": str(environment)}))
    for package in find_needed(names):
        for file in package.files or ():
            if ".." not in file.parts:  # commands name this environment's Python
                link_file(Path(str(package.locate_file(file))), target / file)


def find_needed(names: Iterable[str]) -> Iterator[Distribution]:
    """Finds packages and all that these need, without extras that nobody asks for."""
    asked = [*names]
    for name in asked:  # which grows
        wanted = Requirement(name)
        try:
            package = distribution(wanted.name)
        except PackageNotFoundError:
            continue
        yield package
        for further in package.requires or ():
            marker, extras = Requirement(further).marker, wanted.extras or {""}
            is_meant = not marker or any(marker.evaluate({"extra": extra}) for extra in extras)
            if is_meant and further not in asked:
                asked.append(further)


def link_file(source: Path, target: Path) -> None:
    """Puts a file, and what Python has compiled of it, in another place, on a disk once."""
    if target.exists() or not source.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # on another disk
        shutil.copy2(source, target)
    if source.suffix == ".py":
        link_file(Path(cache_from_source(str(source))), Path(cache_from_source(str(target))))
