"""Tells the versions that made a file."""

import functools
import platform
from importlib import metadata

PACKAGES = ("darts_lite", "torch", "torchvision", "lightning", "torchmetrics", "jsonargparse")


@functools.cache
def _read_versions() -> tuple[tuple[str, str], ...]:
    known = [(name, find_version(name)) for name in PACKAGES]
    return (("python", platform.python_version()), *known)


def find_version(package: str) -> str:
    """Returns the version of a package; a text that says so if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # this one, copied to a machine without pip
        return "not installed"


def describe_versions() -> dict[str, str]:
    """Returns the versions of Python, of this package and of those that it computes with."""
    return dict(_read_versions())
