"""Finds a launcher by its name."""

from collections.abc import Sequence
from importlib import import_module

from darts_lite.launchers.jobs import Launcher
from darts_lite.launchers.local import Local

HERE, LOCAL, RAY = "here", "local", "ray"
"""Names: of no launcher, so that jobs run in the process that needs them; and of two."""


def make_launcher(
    name: str, address: str | None, gpus: Sequence[str] | None, jobs_per_gpu: int
) -> Launcher | None:
    """Returns a launcher by name, or by the path of its class; None for `HERE`.

    Args:
        address: Of a cluster, for those that have one.
        gpus: Names of the GPUs that this process could use; None if none is wanted.
        jobs_per_gpu: Number of jobs that share one.

    Raises:
        ValueError: if there is none of this name, or it lacks a package or its cluster.
    """
    if address is not None and name != RAY:
        raise ValueError(f"run.address is for ray, and run.launcher is {name}; leave it out")
    if name == HERE:
        return None
    if name == LOCAL:
        return Local(gpus, jobs_per_gpu)
    if name == RAY:
        try:
            from darts_lite.launchers.ray_cluster import RayCluster
        except ImportError as error:
            raise ValueError(
                f"run.launcher ray needs a package ({error}); pip install 'darts_lite[ray]'"
            ) from error
        return RayCluster(address, gpus, jobs_per_gpu)
    module, _, kind = name.rpartition(".")
    if not module:
        known = ", ".join((HERE, LOCAL, RAY))
        raise ValueError(
            f"unknown run.launcher {name!r}; choose from {known}, or give the path of a class"
        )
    try:
        own: Launcher = getattr(import_module(module), kind)()
    except (ImportError, AttributeError, TypeError) as error:
        raise ValueError(f"run.launcher: cannot make {name!r} ({error})") from error
    for method in ("count_slots", "start"):
        if not callable(getattr(own, method, None)):
            raise ValueError(f"run.launcher: {name!r} is no launcher, as it has no {method}()")
    return own
