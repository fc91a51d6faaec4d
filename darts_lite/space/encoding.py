"""Architectures of a space as points: tuples of choices, for searches that need no gradient."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from random import Random
from typing import Any

import torch
from torch import Tensor

from darts_lite.space.architecture import Architecture
from darts_lite.space.genotype import Cell, Edge
from darts_lite.space.search_space import SearchSpace

Point = tuple[int, ...]

PATIENCE = 10_000
"""Proposals in a row that are all known, after which a space counts as explored."""

Choice = tuple[Any, ...]  # what there is to choose from


class Encoding:
    """All architectures of a space, each as one point.

    The choices are, kind by kind and node by node: which earlier states the node reads, where it
    may not read all, and an operation for each of them. Where a node keeps some of its edges only,
    ``none`` is no choice.

    Attributes:
        sizes: Number of options of each choice.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        kept = space.kept_edges
        operations = tuple(name for name in space.candidates if kept is None or name != "none")
        self._nodes: list[tuple[Choice, ...]] = []  # of one kind of cell
        for earlier in space.edges_per_node:
            count = earlier if kept is None else kept
            self._nodes.append((tuple(combinations(range(earlier), count)), *[operations] * count))
        choices = [choice for _ in space.skeleton.kinds for node in self._nodes for choice in node]
        self.sizes = tuple(len(choice) for choice in choices)

    def architecture(self, point: Point, found_by: Mapping[str, Any] | None = None) -> Architecture:
        """What a point stands for."""
        remaining = iter(point)
        cells: dict[str, Cell] = {}
        for kind in self.space.skeleton.kinds:
            nodes: list[tuple[Edge, ...]] = []
            for choices in self._nodes:
                sources, *names = (choice[next(remaining)] for choice in choices)
                nodes.append(tuple(zip(names, sources, strict=True)))
            cells[kind] = tuple(nodes)
        return Architecture(
            cells=cells,
            skeleton=self.space.skeleton,
            space=self.space.name,
            found_by=dict(found_by or {}),
        )


def any_architecture(space: SearchSpace) -> Architecture:
    """One architecture of a space, the first."""
    encoding = Encoding(space)
    return encoding.architecture((0,) * len(encoding.sizes))


def one_path(
    space: SearchSpace, architecture: Architecture, device: torch.device | None = None
) -> dict[str, Tensor]:
    """Mixing weights that make a supernet compute one architecture of its space.

    Args:
        space, architecture: Of the supernet.
        device: Where they are needed; the processor when not given.

    Returns:
        Kind of cell -> ``(edges, candidates)``: 1 for what the architecture has, else 0.
    """
    result = {}
    for kind, cell in architecture.cells.items():
        nodes = [torch.zeros(edges, len(space.candidates)) for edges in space.edges_per_node]
        for rows, edges in zip(nodes, cell, strict=True):
            for name, source in edges:
                rows[source, space.candidates.index(name)] = 1
        result[kind] = torch.cat(nodes).to(device)
    return result


def random_point(sizes: Sequence[int], random: Random) -> Point:
    """A point, uniformly."""
    return tuple(random.randrange(size) for size in sizes)
