"""Compares two architectures edge by edge, and tells the differences in words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from darts_lite.space.architecture import Architecture
from darts_lite.space.genotype import Cell, state_name

Connection = tuple[int, str]
"""A node, and the name of a state that it reads."""


@dataclass(frozen=True)
class CellDifference:
    """The edges that two cells of one kind share, and those that they do not.

    Args:
        same: Edges in both cells, with the same operations in both.
        changed: Edges in both cells: the operations in the first one and in the second one.
        only: Edges in the first cell only, and edges in the second cell only.
    """

    same: Mapping[Connection, list[str]]
    changed: Mapping[Connection, tuple[list[str], list[str]]]
    only: tuple[Mapping[Connection, list[str]], Mapping[Connection, list[str]]]


def compare_cells(first: Cell, second: Cell, inputs: tuple[int, int] = (2, 2)) -> CellDifference:
    """Compares cells with so many `inputs`; a node may read a state by several operations."""
    ours, theirs = _collect_edges(first, inputs[0]), _collect_edges(second, inputs[1])
    shared = [edge for edge in ours if edge in theirs]
    return CellDifference(
        {edge: ours[edge] for edge in shared if ours[edge] == theirs[edge]},
        {edge: (ours[edge], theirs[edge]) for edge in shared if ours[edge] != theirs[edge]},
        (
            {edge: names for edge, names in ours.items() if edge not in theirs},
            {edge: names for edge, names in theirs.items() if edge not in ours},
        ),
    )


def _collect_edges(cell: Cell, inputs: int) -> dict[Connection, list[str]]:
    found: dict[Connection, list[str]] = {}
    for node, edges in enumerate(cell):
        for name, source in sorted(edges, key=lambda edge: edge[1]):
            found.setdefault((node, state_name(source, inputs)), []).append(name)
    return {edge: sorted(names) for edge, names in found.items()}


def in_words(first: Architecture, second: Architecture) -> Iterator[str]:
    """Yields lines that tell how `second`, called B, differs from `first`, called A."""
    for field in fields(first.skeleton):
        name = "reduction_cells" if field.name == "reductions" else field.name
        a, b = (getattr(each.skeleton, name) for each in (first, second))
        if a != b:
            yield f"skeleton: {field.name} is {a} in A, {b} in B"
    for kind in dict.fromkeys([*first.cells, *second.cells]):
        if kind not in first.cells or kind not in second.cells:
            yield f"{kind} cell: only in {'A' if kind in first.cells else 'B'}"
            continue
        yield from _compare_kind(kind, first, second)


def _compare_kind(kind: str, first: Architecture, second: Architecture) -> Iterator[str]:
    pair = (first, second)
    ours, theirs = (each.cells[kind] for each in pair)
    found = compare_cells(ours, theirs, (first.skeleton.inputs, second.skeleton.inputs))
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
