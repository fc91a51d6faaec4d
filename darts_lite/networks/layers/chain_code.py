"""Writes the net of a chain as plain torch code."""

from collections.abc import Iterator

from darts_lite.networks.layers.chain_net import ChainNet
from darts_lite.space.operation_code import assign, write_class

WINDOWS = {1: "(1, size), (1, stride)", 2: "size, stride"}
"""Windows over maps of one axis or two, and how far apart they are, in code."""


def write_layers(net: ChainNet, renamed: dict[str, str]) -> Iterator[str]:
    """Yields the class of the net, and puts the modules' old and new names into ``renamed``."""
    built, flow = [*assign("stem", net.stem)], ["x = self.stem(images)"]
    renamed |= {"skeleton.stem": "stem", "skeleton.classifier": "classifier"}
    if net.reduce is not None:
        built = [*assign("reduce", net.reduce), *built]
        flow = ["x = self.stem(self.reduce(images))"]
    for place, block in enumerate(net.blocks, 1):
        parts = {name: part for name, part in block.named_children() if part is not None}
        call = "x"
        for name, part in parts.items():
            built += assign(f"{name}{place}", part)
            renamed[f"skeleton.blocks.{place - 1}.{name}"] = f"{name}{place}"
            call = f"self.{name}{place}({call})"
        flow.append(f"x = torch.relu({'x + ' if block.residual else ''}{call})")
    built += assign("classifier", net.classifier)
    flow += [*_write_means(net.head, net.axes), "return self.classifier(x.flatten(1))"]
    yield write_class("Net", "The network: normalised images -> logits.", built, "images", flow)


def _write_means(head: int, axes: int) -> Iterator[str]:
    """Yields what `pool_map` does."""
    if head == 1:
        yield "x = x.mean(dim=(2, 3))"
        return
    yield f"missing = max(0, {head} - x.shape[-1])"
    yield f"x = F.pad(x, ({', '.join(['0, missing'] * axes)}))"
    yield f"stride = x.shape[-1] // {head}"
    yield f"size = x.shape[-1] - {head - 1} * stride"
    yield f"x = F.avg_pool2d(x, {WINDOWS[axes]})"
