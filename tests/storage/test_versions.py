"""Versions that made a file."""

import platform

import lightning
import torch

from darts_lite.storage.versions import describe_versions, find_version


def test_versions_are_those_that_compute() -> None:
    versions = describe_versions()
    assert versions["python"] == platform.python_version()
    assert torch.__version__.startswith(versions["torch"])
    assert versions["lightning"] == lightning.__version__
    assert versions["darts_lite"]
    versions.clear()  # a caller's own
    assert describe_versions()


def test_a_copy_that_is_not_installed_has_no_version() -> None:
    assert find_version("no_such_package") == "not installed"
