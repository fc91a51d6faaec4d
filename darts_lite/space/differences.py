"""Compares two architectures edge by edge, and tells the differences in words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from darts_lite.space.groups import Diagram
from darts_lite.space.protocol import AnyArchitecture

Connection = tuple[int, str]
"""A node, and the name of a state that it reads."""


@dataclass(frozen=True)
class Difference:
    """The edges that two diagrams share, and those that they do not.

    Args:
        same: Edges in both, with the same operations in both.
        changed: Edges in both: the operations in the first one and in the second one.
        only: Edges in the first one only, and edges in the second one only.
    """

    same: Mapping[Connection, list[str]]
    changed: Mapping[Connection, tuple[list[str], list[str]]]
    only: tuple[Mapping[Connection, list[str]], Mapping[Connection, list[str]]]


def compare_diagrams(first: Diagram, second: Diagram) -> Difference:
    """Compares diagrams; a node may read a state by several operations."""
    ours, theirs = _collect_edges(first), _collect_edges(second)
    shared = [edge for edge in ours if edge in theirs]
    return Difference(
        {edge: ours[edge] for edge in shared if ours[edge] == theirs[edge]},
        {edge: (ours[edge], theirs[edge]) for edge in shared if ours[edge] != theirs[edge]},
        (
            {edge: names for edge, names in ours.items() if edge not in theirs},
            {edge: names for edge, names in theirs.items() if edge not in ours},
        ),
    )


def _collect_edges(diagram: Diagram) -> dict[Connection, list[str]]:
    found: dict[Connection, list[str]] = {}
    for node, edges in enumerate(diagram.edges):
        for name, source in sorted(edges, key=lambda edge: edge[1]):
            found.setdefault((node, diagram.states[source]), []).append(name)
    return {edge: sorted(names) for edge, names in found.items()}


def describe_differences(first: AnyArchitecture, second: AnyArchitecture) -> Iterator[str]:
    """Yields lines that tell how `second`, called B, differs from `first`, called A."""
    frames = first.frame, second.frame
    for name in dict.fromkeys(name for frame in frames for name in frame):
        a, b = (frame.get(name) for frame in frames)
        if a != b:
            yield f"skeleton: {name} is {a} in A, {b} in B"
    ours, theirs = first.diagrams, second.diagrams
    for name, diagram in (ours | theirs).items():
        if name not in ours or name not in theirs:
            yield f"{diagram.title}: only in {'A' if name in ours else 'B'}"
            continue
        yield from _describe_diagrams(ours[name], theirs[name])


def _describe_diagrams(first: Diagram, second: Diagram) -> Iterator[str]:
    found = compare_diagrams(first, second)
    a, b = (" and ".join(each.states[state] for state in each.output) for each in (first, second))
    if a != b:
        yield f"{first.title}: the output is of {a} in A, of {b} in B"
    if not (found.changed or any(found.only)):
        return
    edges = len(found.same) + len(found.changed) + len(found.only[0])
    yield f"{first.title}: {len(found.same)} of {edges} edges of A are in B with the same operation"
    for (node, state), both in found.changed.items():
        a, b = map(" and ".join, both)
        yield f"  node {node} reads {state} through {a} in A, {b} in B"
    for which, only in zip("AB", found.only, strict=True):
        for (node, state), names in only.items():
            yield f"  node {node} reads {state} through {' and '.join(names)} in {which} only"
