"""How two architectures differ, edge by edge, in words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from darts_lite.space.architecture import Architecture
from darts_lite.space.genotype import Cell, state_name

Reads = tuple[int, str]
"""A node and the name of the state that it reads."""


@dataclass(frozen=True)
class CellDifference:
    """Two cells of one kind.

    Args:
        same: Edges that both have, with the same operation.
        changed: Edges that both have: the first one's operations and the second one's.
        only: Edges that only the first one has, and those that only the second one has.
    """

    same: Mapping[Reads, list[str]]
    changed: Mapping[Reads, tuple[list[str], list[str]]]
    only: tuple[Mapping[Reads, list[str]], Mapping[Reads, list[str]]]


def cell_difference(first: Cell, second: Cell, inputs: tuple[int, int] = (2, 2)) -> CellDifference:
    """Compares two cells; a node may read a state by several operations.

    Args:
        first, second: The cells.
        inputs: How many cells before it each of them reads.
    """
    ours, theirs = (
        _edges(cell, count) for cell, count in zip((first, second), inputs, strict=True)
    )
    shared = ours.keys() & theirs.keys()
    return CellDifference(
        {edge: ours[edge] for edge in ours if edge in shared and ours[edge] == theirs[edge]},
        {
            edge: (ours[edge], theirs[edge])
            for edge in ours
            if edge in shared and ours[edge] != theirs[edge]
        },
        (
            {edge: names for edge, names in ours.items() if edge not in shared},
            {edge: names for edge, names in theirs.items() if edge not in shared},
        ),
    )


def _edges(cell: Cell, inputs: int) -> dict[Reads, list[str]]:
    found: dict[Reads, list[str]] = {}
    for node, edges in enumerate(cell):
        for name, source in sorted(edges, key=lambda edge: edge[1]):
            found.setdefault((node, state_name(source, inputs)), []).append(name)
    return {edge: sorted(names) for edge, names in found.items()}


def in_words(first: Architecture, second: Architecture) -> Iterator[str]:
    """Lines that tell how B, the second one, differs from A; none where they are the same."""
    for field in fields(first.skeleton):
        name = "reduction_cells" if field.name == "reductions" else field.name
        a, b = (getattr(each.skeleton, name) for each in (first, second))
        if a != b:
            yield f"skeleton: {field.name} is {a} in A, {b} in B"
    for kind in dict.fromkeys([*first.cells, *second.cells]):
        if kind not in first.cells or kind not in second.cells:
            yield f"{kind} cell: only in {'A' if kind in first.cells else 'B'}"
            continue
        yield from _cell_in_words(kind, first, second)


def _cell_in_words(kind: str, first: Architecture, second: Architecture) -> Iterator[str]:
    pair = (first, second)
    ours, theirs = (each.cells[kind] for each in pair)
    found = cell_difference(ours, theirs, (first.skeleton.inputs, second.skeleton.inputs))
    a, b = (
        " and ".join(state_name(state, each.skeleton.inputs) for state in each.concat[kind])
        for each in pair
    )
    if a != b:
        yield f"{kind} cell: the output is of {a} in A, of {b} in B"
    if not (found.changed or any(found.only)):
        return
    edges = len(found.same) + len(found.changed) + len(found.only[0])
    yield f"{kind} cell: {len(found.same)} of {edges} edges of A are in B with the same operation"
    for (node, state), both in found.changed.items():
        a, b = map(" and ".join, both)
        yield f"  node {node} reads {state} through {a} in A, {b} in B"
    for which, only in zip("AB", found.only, strict=True):
        for (node, state), names in only.items():
            yield f"  node {node} reads {state} through {' and '.join(names)} in {which} only"
