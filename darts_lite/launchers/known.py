"""Finds a launcher by its name."""

from collections.abc import Callable, Sequence
from importlib import import_module

from darts_lite.launchers.jobs import Launcher
from darts_lite.launchers.local import Local

HERE = "here"
"""Name for no launcher: jobs run in the process that needs them, one after the other."""
LAUNCHERS: dict[str, Callable[..., Launcher]] = {"local": Local}


def make_launcher(name: str, gpus: Sequence[str], jobs_per_gpu: int) -> Launcher | None:
    """Returns a launcher by name or by the path of its class; None for `HERE`.

    Raises:
        ValueError: if there is none of this name.
    """
    if name == HERE:
        return None
    if name in LAUNCHERS:
        return LAUNCHERS[name](gpus=gpus, jobs_per_gpu=jobs_per_gpu)
    if "." not in name:
        known = ", ".join((HERE, *LAUNCHERS))
        raise ValueError(
            f"unknown run.launcher {name!r}; choose from {known}, or give the path of a class"
        )
    module, _, kind = name.rpartition(".")
    try:
        own: Launcher = getattr(import_module(module), kind)()
    except (ImportError, AttributeError, TypeError) as error:
        raise ValueError(f"run.launcher: cannot make {name!r} ({error})") from error
    return own
