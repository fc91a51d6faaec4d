"""Tries the options of choices in a network: whether they run, and whether they can be mixed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from darts_lite.space.own.choices import AnyChoice
from darts_lite.space.own.network_structure import Structure, find_structure, show_path

Taken = Sequence[tuple[int, Tensor | None]]
ALL_FIRST: Taken = [(0, None)]
"""Makes all paths of an `InputChoice` run, and not only those that run outside of a search."""
Inputs = dict[AnyChoice, dict[str, Any]]
"""Choice -> type and shape of what it was given -> this."""


def find_unmixable(network: nn.Module, images: Tensor) -> set[str]:
    """Returns the names of the choices whose options return values that cannot be added.

    Args:
        network: On the device of the images; it is in evaluation mode.
        images: ``(1, C, H, W)``.

    Raises:
        ValueError: if an option does not run, or the network does not use a choice.
    """
    structure = find_structure(network)
    names = dict(structure.choices)
    inputs: Inputs = {choice: {} for choice in names}

    def keep(module: Any, args: Any, kwargs: Any) -> None:
        inputs[module].setdefault(_describe((*args, *kwargs.values())), (args, kwargs))

    hooks = [choice.register_forward_pre_hook(keep, with_kwargs=True) for choice in names]
    unmixable: set[str] = set()
    tried: set[tuple[AnyChoice, str]] = set()
    ran: set[str] = set()
    try:
        with taking(dict.fromkeys(names, ALL_FIRST)):  # all paths of a node
            run(network, images, "its first options")
        while True:
            if new := [(c, words) for c in names for words in inputs[c] if (c, words) not in tried]:
                for choice, words in new:
                    if len(_try_options(choice, inputs[choice][words], names[choice])) > 1:
                        unmixable.add(names[choice])
                tried |= {*new}
            elif waiting := [name for name in structure.variables if name in unmixable - ran]:
                for name in waiting:
                    _run_options([c for c in names if names[c] == name], name, network, images)
                ran |= {*waiting}
            elif outer := _find_outer(structure, unmixable, inputs) - unmixable:
                unmixable |= outer
            else:
                break
    finally:
        for hook in hooks:
            hook.remove()
    if unused := [names[choice] for choice in names if not inputs[choice]]:
        raise ValueError(f"the network never uses the choice {unused[0]!r}")
    return unmixable


def _run_options(
    choices: Sequence[AnyChoice], name: str, network: nn.Module, images: Tensor
) -> None:
    """Runs the network with each option of the choices of one name."""
    for place, option in enumerate(choices[0].options):
        with taking(dict.fromkeys(choices, ((place, None),))):
            run(network, images, f"{option!r} of {name!r}")


def _try_options(choice: AnyChoice, given: Any, name: str) -> set[str]:
    """Returns types and shapes of what the options return; one if it is a tensor's for all."""
    count = len(choice.options)
    found = {_describe(_try_option(choice, place, given, name)) for place in range(count)}
    return found if all(words.startswith("Tensor") for words in found) else {*found, ""}


def _find_outer(structure: Structure, unmixable: set[str], inputs: Inputs) -> set[str]:
    """Returns choices whose options return other shapes by what is chosen inside of them."""
    found: set[str] = set()
    for choice, name in structure.choices:
        inside = {part for part in choice.modules() if part is not choice}
        nested = [(c, n) for c, n in structure.choices if c in inside and n in unmixable]
        for given in [*inputs[choice].values()] if nested else []:
            shapes = {_describe(_try_option(choice, 0, given, name))}
            for other, _ in nested:
                for place in range(len(other.options)):
                    with taking({other: ((place, None),)}):
                        shapes |= _try_options(choice, given, name)
            if len(shapes) > 1:
                found.add(name)
    return found


def run(network: nn.Module, images: Tensor, what: str) -> Any:
    """Computes a network; raises ValueError that names the module in which it fails."""
    entered: list[str] = []
    paths = {module: path for path, module in network.named_modules()}
    hooks = [
        module.register_forward_pre_hook(lambda module, _: entered.append(paths[module]))
        for module in paths
    ]
    try:
        with torch.no_grad():
            return network(images)
    except Exception as error:  # whatever a class of somebody else raises
        place = show_path(entered[-1]) if entered else "network"
        raise ValueError(
            f"with {what}, the network fails in or behind {place} on images "
            f"{tuple(images.shape)}: {type(error).__name__}: {error}"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def taking(taken: Mapping[AnyChoice, Taken]) -> Iterator[None]:
    """Makes choices run these options, and what they ran before again afterwards."""
    before = {choice: choice.taken for choice in taken}
    try:
        for choice, options in taken.items():
            choice.taken = options
        yield
    finally:
        for choice, options in before.items():
            choice.taken = options


def _try_option(choice: AnyChoice, place: int, given: Any, name: str) -> Any:
    """Returns what an option returns for what the choice was given."""
    args, kwargs = given
    tensors = [one for one in (*args, *kwargs.values()) if isinstance(one, Tensor)]
    versions = [tensor._version for tensor in tensors]
    try:
        with torch.no_grad(), taking({choice: ((place, None),)}):
            value = choice(*args, **kwargs)
    except Exception as error:  # whatever a class of somebody else raises
        shapes = ", ".join(map(_describe, args))
        raise ValueError(
            f"the option {choice.options[place]!r} of {name!r} fails on {shapes}: "
            f"{type(error).__name__}: {error}"
        ) from error
    if versions != [tensor._version for tensor in tensors]:
        raise ValueError(
            f"the option {choice.options[place]!r} of {name!r} changes what it reads, which other "
            "options read as well; leave out inplace=True and the like"
        )
    return value


def _describe(value: Any) -> str:
    """Returns type and shape of a value, which tell whether two can be added."""
    if isinstance(value, Tensor):
        return f"Tensor {tuple(value.shape)}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({', '.join(map(_describe, value))})"
    return type(value).__name__
