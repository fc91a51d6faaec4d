"""Draws two architectures so that what differs is seen: same nodes stand at the same places."""

import copy
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from matplotlib.figure import Figure

from darts_lite.plots.chains import DIFFERENT, draw_chains
from darts_lite.plots.graphs import OUTPUT_STYLE, Graph, Strand, Style, draw_graphs
from darts_lite.plots.labels import shorten_name
from darts_lite.plots.layout import Layout, lay_out
from darts_lite.space.groups import Diagram
from darts_lite.space.layers.chain import Chain
from darts_lite.space.protocol import AnyArchitecture

SAME = Style("#777777", 1.1, "-")
ONLY = tuple(Style(colour, 2.2, (0, (3, 1.5))) for colour in DIFFERENT)
LEGEND = "solid, grey: in both;  dashed, coloured, with a star: only here"
Edge = tuple[str, int]


class Slot(NamedTuple):
    """Room for an edge that leaves one state for one node: the operation there, if any, in each."""

    source: int
    operations: tuple[str | None, str | None]


def draw_comparison(named: Sequence[tuple[str, AnyArchitecture]]) -> Figure:
    """Draws the diagrams of two named architectures, each above that of the other one."""
    (first_name, first), (second_name, second) = named
    if isinstance(first, Chain) and isinstance(second, Chain):
        return draw_chains([(first_name, first), (second_name, second)])
    names = [f"{name} ({each.size})" for name, each in named]
    ours, theirs = first.diagrams, second.diagrams
    graphs: list[Graph] = []
    for name in ours | theirs:
        pair = ours.get(name), theirs.get(name)
        if None not in pair and ours[name].inputs == theirs[name].inputs:
            graphs += _align(names, ours[name], theirs[name])
            continue
        for which, one in enumerate(pair):
            if one is not None:
                empty = Diagram(one.title, one.states[: one.inputs], (), (), one.end)
                shown = (one, empty) if which == 0 else (empty, one)
                graphs.append(_align(names, *shown)[which])
    return draw_graphs(graphs)


def _align(names: Sequence[str], first: Diagram, second: Diagram) -> list[Graph]:
    """Lays both out as one graph with the edges of either, and returns what each has of it."""
    longer = max(first, second, key=lambda each: len(each.edges))
    slots = [
        list(_match(ours, theirs))
        for ours, theirs in zip_longest(first.edges, second.edges, fillvalue=())
    ]
    edges = tuple(tuple((_name(slot), slot.source) for slot in of_node) for of_node in slots)
    output = tuple(dict.fromkeys([*first.output, *second.output]))
    whole = Diagram(longer.title, longer.states, edges, output, longer.end)
    layout = lay_out(whole, [[name for name, _ in of_node] for of_node in edges])
    every = [slot for of_node in slots for slot in of_node]
    return [
        _pick(f"{one.title} of {name}", one, which, every, output, copy.deepcopy(layout))
        for which, (name, one) in enumerate(zip(names, (first, second), strict=True))
    ]


def _match(ours: Sequence[Edge], theirs: Sequence[Edge]) -> Iterator[Slot]:
    """Yields the slots of a node: edges of one source share one, equal ones before others."""
    sources = sorted({source for _, source in (*ours, *theirs)})
    for wanted in sources:
        pair = [
            [name for name, source in edges if source == wanted and name != "none"]
            for edges in (ours, theirs)
        ]
        for name in list(pair[0]):
            if name in pair[1]:
                yield Slot(wanted, (name, name))
                pair[0].remove(name)
                pair[1].remove(name)
        for one, other in zip_longest(*pair):
            yield Slot(wanted, (one, other))


def _label(slot: Slot, which: int) -> str:
    star = "" if slot.operations[0] == slot.operations[1] else " *"
    return shorten_name(slot.operations[which] or "") + star


def _name(slot: Slot) -> str:
    """Returns the longer label of a slot, for which there must be room."""
    return max((_label(slot, which) for which in (0, 1)), key=len)


def _pick(
    title: str, one: Diagram, which: int, slots: Sequence[Slot], output: Sequence[int], both: Layout
) -> Graph:
    """Returns the graph of one of two diagrams in the layout `both`."""
    strands = []
    for wire, slot in zip(both.wires, slots, strict=False):
        if slot.operations[which] is not None:
            style = SAME if slot.operations[0] == slot.operations[1] else ONLY[which]
            strands.append(Strand(wire, _label(slot, which), style))
    for wire, state in zip(both.wires[len(slots) :], output, strict=True):
        if state in one.output:
            strands.append(Strand(wire, "", OUTPUT_STYLE))
    there = {f"${name}$" for name in (*one.states, one.end)}
    for place in (place for column in both.columns[::2] for place in column):
        if place.text not in there:
            place.text = ""
    return Graph(title, (LEGEND,), both, strands)
