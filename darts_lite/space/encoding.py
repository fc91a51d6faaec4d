"""Architectures of a space as points (tuples of choices), for searches without gradients."""

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
"""The index of the chosen option, for each choice."""

PATIENCE = 10_000
"""Number of known proposals in a row after which a space counts as explored."""


class Encoding:
    """All architectures of a space, each as one point.

    For each node of each kind of cell there is one choice of the earlier states that it reads, and
    one choice of the operation for each of these. If a node keeps only some of its edges, ``none``
    is not among the operations.

    Attributes:
        sizes: Number of options of each choice.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        kept = space.kept_edges
        operations = tuple(name for name in space.candidates if kept is None or name != "none")
        self._nodes: list[tuple[tuple[Any, ...], ...]] = []  # the same for every kind of cell
        for earlier in space.edges_per_node:
            count = earlier if kept is None else kept
            self._nodes.append((tuple(combinations(range(earlier), count)), *[operations] * count))
        choices = [choice for _ in space.skeleton.kinds for node in self._nodes for choice in node]
        self.sizes = tuple(len(choice) for choice in choices)

    def architecture(self, point: Point, found_by: Mapping[str, Any] | None = None) -> Architecture:
        """Builds the architecture that a point stands for."""
        remaining = iter(point)
        cells: dict[str, Cell] = {}
        for kind in self.space.skeleton.kinds:
            nodes: list[tuple[Edge, ...]] = []
            for choices in self._nodes:
                sources, *names = (choice[next(remaining)] for choice in choices)
                nodes.append(tuple(zip(names, sources, strict=True)))
            cells[kind] = tuple(nodes)
        skeleton, name = self.space.skeleton, self.space.name
        return Architecture(cells, {}, skeleton, name, dict(found_by or {}))


def any_architecture(space: SearchSpace) -> Architecture:
    """Returns the first architecture of a space."""
    encoding = Encoding(space)
    return encoding.architecture((0,) * len(encoding.sizes))


def one_path(
    space: SearchSpace, architecture: Architecture, device: torch.device | None = None
) -> dict[str, Tensor]:
    """Returns mixing weights that make a supernet compute one architecture of its space.

    Kind of cell -> ``(edges, candidates)``: 1 for the operations of the architecture, else 0.
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
    """Draws a point uniformly."""
    return tuple(random.randrange(size) for size in sizes)
