"""Builds the networks of users: the class by its name, its arguments by theirs."""

import inspect
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import torch
from torch import nn

from darts_lite.storage.components import class_path, find_loaded

FROM_DATA = ("in_channels", "num_classes", "image_size")
"""Arguments of a network that come from the data, if it has them."""


class Plan(NamedTuple):
    """The class and the arguments of a network.

    Attributes:
        network: Path of its class, ``module.Name``.
        settings: Its arguments beside those of the data, as plain values.
        data: `FROM_DATA` -> numbers; None where they are not known.
    """

    network: str
    settings: Mapping[str, Any]
    data: Mapping[str, int | None]


def name_network(network: type[nn.Module] | str) -> str:
    """Returns the path of a class; raises ValueError if others could not find it by that."""
    if isinstance(network, str):
        return network
    path = class_path(network)
    if getattr(sys.modules.get(network.__module__), network.__qualname__, None) is not network:
        raise ValueError(
            f"{path} cannot be found by its name; define the network at the top of a module"
        )
    return path


def find_network(path: str) -> type[nn.Module]:
    """Returns the class of a path ``module.Name``; see `find_loaded`."""
    return cast(type[nn.Module], find_loaded("network", path, nn.Module))


def find_own_module(network: object) -> str | None:
    """Returns the module of a network's class or of its path; None for anything else."""
    try:
        kind = find_network(network) if isinstance(network, str) else network
    except ValueError:
        return None
    return kind.__module__ if isinstance(kind, type) and issubclass(kind, nn.Module) else None


def build_network(plan: Plan) -> nn.Module:
    """Builds a network with all its choices.

    Raises:
        ValueError: if there is no such class, or it cannot be built.
    """
    network = find_network(plan.network)
    known = inspect.signature(network).parameters
    given = {name: value for name, value in plan.data.items() if name in known}
    if missing := [name for name, value in given.items() if value is None]:
        raise ValueError(f"{plan.network} needs {missing[0]}, which is not known; give it")
    try:
        return network(**{**given, **plan.settings})
    except Exception as error:  # whatever a class of somebody else raises
        raise ValueError(
            f"{plan.network} cannot be built with { ({**given, **plan.settings}) }: "
            f"{type(error).__name__}: {error}"
        ) from error


def outline_network(plan: Plan) -> nn.Module:
    """Builds a network without memory, on the device ``meta``, and draws no random numbers."""
    with torch.random.fork_rng([]), torch.device("meta"):
        try:
            return build_network(plan).eval()
        except ValueError as error:
            raise ValueError(
                f"{error}. Networks are also built on torch's device 'meta', without values: "
                "compute plain numbers without tensors"
            ) from error
