"""Writes the net of a network of the user's as plain torch code, from its exported graph."""

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import fx

from darts_lite.networks.own.mixed_network import OwnNet
from darts_lite.space.maps import make_shape
from darts_lite.space.operation_code import write_class

LEAST_SIDE = 32
"""Side of the images where the network does not say it."""


def write_own(net: OwnNet, renamed: dict[str, str]) -> Iterator[str]:
    """Yields the class of the net, and puts the modules' old and new names into ``renamed``.

    Raises ValueError if the network cannot be exported.
    """
    side = net.image_size or LEAST_SIDE
    images = torch.zeros(2, net.in_channels, *make_shape(side, net.axes))
    try:
        program = torch.export.export(
            net.network.cpu().eval(), (images,), dynamic_shapes=({0: torch.export.Dim("batch")},)
        )
    except Exception as error:  # whatever torch says about somebody else's module
        raise ValueError(
            f"{type(net.network).__name__} cannot be written as plain code "
            f"({type(error).__name__}: {' '.join(str(error).split())[:200]}); export to another "
            "format"
        ) from error
    renamed["skeleton.network"] = "values"
    signature = program.graph_signature
    held = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    state = net.network.state_dict()
    built = [
        "self.values = nn.Module()",
        "for name, shape in SHAPES.items():",
        "    *path, last = name.split('.')",
        "    place = self.values",
        "    for part in path:",
        "        if not hasattr(place, part):",
        "            place.add_module(part, nn.Module())",
        "        place = getattr(place, part)",
        "    place.register_buffer(last, torch.zeros(shape))",
    ]
    shapes = ",\n".join(f"    {name!r}: {tuple(value.shape)}" for name, value in state.items())
    yield f"SHAPES = {{\n{shapes},\n}}"
    flow = ["value = dict(self.values.named_buffers())"]
    for node in program.graph.nodes:
        flow += _write_node(node, held, signature.user_inputs)
    yield write_class("Net", "The network: normalised images -> logits.", built, "images", flow)


def _write_node(node: fx.Node, held: dict[str, str], inputs: Any) -> Iterator[str]:
    """Yields the line of a step of the graph."""
    if node.op == "placeholder":
        if node.name in held:
            yield f"{node.name} = value[{held[node.name]!r}]"
        elif node.name in inputs:
            yield f"{node.name} = images"
        else:
            raise ValueError("a network with tensors that are no parameters cannot be written")
    elif node.op == "call_function":
        words = [_write(one) for one in node.args]
        words += [f"{name}={_write(one)}" for name, one in node.kwargs.items()]
        yield f"{node.name} = {_name_function(node.target)}({', '.join(words)})"
    elif node.op == "output":
        (answer,) = cast(tuple[fx.Node], node.args[0])
        yield f"return {answer}"


def _name_function(target: Any) -> str:
    if isinstance(target, torch._ops.OpOverload):
        return f"torch.ops.{str(target)}"
    if getattr(target, "__module__", "") == "_operator":
        return f"__import__('operator').{target.__name__}"
    raise ValueError(f"{target} cannot be written as plain code; export to another format")


def _write(value: Any) -> str:
    """Returns an argument as code."""
    if isinstance(value, list | tuple):
        inside = ", ".join(map(_write, value))
        return f"[{inside}]" if isinstance(value, list) else f"({inside},)"
    if isinstance(value, torch.device):
        return f"torch.device({str(value)!r})"
    if value is None or isinstance(value, int | float | str | fx.Node):
        return str(value) if isinstance(value, fx.Node) else repr(value)
    if isinstance(value, torch.dtype | torch.layout | torch.memory_format):
        return str(value)
    raise ValueError(f"{value!r} cannot be written as plain code; export to another format")
