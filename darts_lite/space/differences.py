"""Compares two architectures edge by edge, and tells the differences in words."""

from collections.abc import Iterator

from darts_lite.space.groups import Diagram
from darts_lite.space.protocol import AnyArchitecture

Connection = tuple[int, str]
"""A node, and the name of a state that it reads."""


def _collect_edges(diagram: Diagram) -> dict[Connection, list[str]]:
    found: dict[Connection, list[str]] = {}
    for node, edges in enumerate(diagram.edges):
        for name, source in sorted(edges, key=lambda edge: edge[1]):
            found.setdefault((node, diagram.states[source]), []).append(name)
    return {edge: sorted(names) for edge, names in found.items()}


def describe_differences(first: AnyArchitecture, second: AnyArchitecture) -> Iterator[str]:
    """Yields lines that tell how `second`, called B, differs from `first`, called A.

    What neither the frame nor a diagram shows is told by the choices themselves.
    """
    seen = [*_describe_frames(first, second), *_describe_parts(first, second)]
    yield from seen
    ours, theirs = first.choices, second.choices
    for name in dict.fromkeys([*ours, *theirs]) if not seen else ():
        if name not in first.diagrams and ours.get(name) != theirs.get(name):
            yield f"{name}: {ours.get(name)} in A, {theirs.get(name)} in B"


def _describe_frames(first: AnyArchitecture, second: AnyArchitecture) -> Iterator[str]:
    frames = first.frame, second.frame
    for name in dict.fromkeys(name for frame in frames for name in frame):
        a, b = (frame.get(name) for frame in frames)
        if a != b:
            yield f"skeleton: {name} is {a} in A, {b} in B"


def _describe_parts(first: AnyArchitecture, second: AnyArchitecture) -> Iterator[str]:
    ours, theirs = first.diagrams, second.diagrams
    for name, diagram in (ours | theirs).items():
        if name not in ours or name not in theirs:
            yield f"{diagram.title}: only in {'A' if name in ours else 'B'}"
            continue
        yield from _describe_diagrams(ours[name], theirs[name])


def _describe_diagrams(first: Diagram, second: Diagram) -> Iterator[str]:
    a, b = (" and ".join(each.states[state] for state in each.output) for each in (first, second))
    if a != b:
        yield f"{first.title}: the output is of {a} in A, of {b} in B"
    ours, theirs = _collect_edges(first), _collect_edges(second)
    if ours == theirs:
        return
    same = sum(theirs.get(edge) == names for edge, names in ours.items())
    yield f"{first.title}: {same} of {len(ours)} edges of A are in B with the same operation"
    for (node, state), names in ours.items():
        if (others := theirs.get((node, state), names)) != names:
            a, b = map(" and ".join, (names, others))
            yield f"  node {node} reads {state} through {a} in A, {b} in B"
    for which, edges, known in (("A", ours, theirs), ("B", theirs, ours)):
        for (node, state), names in edges.items():
            if (node, state) not in known:
                yield f"  node {node} reads {state} through {' and '.join(names)} in {which} only"
