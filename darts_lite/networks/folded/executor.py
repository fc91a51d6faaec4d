"""The folded executor: a mixed cell's numbers in a fraction of the passes.

It computes what `darts_lite.networks.cells.mixed.MixedCell` computes, from the same parameters, by
exact algebra. Everything that leaves one state is computed together, as a bank of edges; candidates
without weights once per state instead of once per edge; and the candidates' norms, mixing weights
and sum are part of one product per candidate (`darts_lite.networks.folded.candidates`). Candidates
without a folded form run literally beside the others.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from darts_lite.distributed.batch_norm import widen
from darts_lite.networks.cells.mixed import CellRunner, MixedCell, MixedOperation, sum_maps
from darts_lite.networks.folded.candidates import (
    BankInput,
    Chains,
    FoldedCandidate,
    Stage,
    Weightless,
    build_chain,
    fold,
    is_chain,
    is_weightless,
)
from darts_lite.networks.folded.norms import RunningStatistics, are_alike
from darts_lite.networks.folded.products import mix


class Folded:
    """Executes mixed cells in folded form; see `darts_lite.networks.cells.mixed.Executor`.

    The modules of the cells are read, not called: their hooks do not fire, and `torch.func.grad`
    does not reach through. `Literal` calls them.

    Args:
        compiled: Whether to compile each cell with `torch.compile` first. On a CPU that needs a C++
            compiler and takes more than ten minutes per cell (docs/benchmarks/speed.md, "A search
            step"); it pays off in long searches on a GPU at best.
    """

    def __init__(self, compiled: bool = False) -> None:
        self.compiled = compiled

    def runner_of(self, cell: MixedCell) -> CellRunner:
        run: CellRunner = FoldedCell(cell)
        return torch.compile(run) if self.compiled else run


class FoldedCell:
    """One mixed cell, with the parameters of `cell`."""

    def __init__(self, cell: MixedCell) -> None:
        self.cell = cell
        nodes: list[Any] = list(cell.nodes)
        self.input_count = cell.edges_per_node[0]
        states = self.input_count + len(nodes) - 1  # nothing reads the last node
        self.first_reader = [max(0, state - self.input_count + 1) for state in range(states)]
        self.banks = [
            Bank([node.edges[state] for node in nodes[first:]])
            for state, first in enumerate(self.first_reader)
        ]

    def __call__(self, inputs: Sequence[Tensor], mixing: Tensor) -> Tensor:
        cell = self.cell
        running = RunningStatistics()
        rows = mixing.split(cell.edges_per_node)  # per node: (edges, candidates)
        states = cell.inputs(*inputs)
        contributions: list[list[Tensor]] = [[] for _ in cell.nodes]
        for state, (bank, first) in enumerate(zip(self.banks, self.first_reader, strict=True)):
            # A node is complete once the banks of all earlier states have added to it.
            if (node := state - self.input_count) >= 0:
                states.append(cell.join(sum_maps(contributions[node]), states, rows[node]))
            bank_mixing = torch.stack([row[state] for row in rows[first:]])  # (edges, candidates)
            added = bank(cell.select_searched(states[state]), bank_mixing, running)
            for sums, contribution in zip(contributions[first:], added, strict=True):
                sums.append(contribution)
        states.append(cell.join(sum_maps(contributions[-1]), states, rows[-1]))
        running.update()
        return cell.concatenate_outputs(states)


class Bank:
    """All edges that leave one state.

    Args:
        edges: The mixed operations, with the same candidates and one stride.
    """

    def __init__(self, edges: Sequence[MixedOperation]) -> None:
        self.edges = len(edges)
        self.stride = edges[0].stride
        self.folded: list[FoldedCandidate] = []
        self.weightless: list[tuple[int, Weightless]] = []
        self.literal: list[tuple[int, Sequence[nn.Module]]] = []
        self.foldable: list[tuple[int, Sequence[nn.Module]]] = []
        chains: dict[int, Sequence[Stage]] = {}
        columns = zip(*(edge.candidates.values() for edge in edges), strict=True)
        for position, modules in zip(edges[0].positions, columns, strict=True):
            if is_chain(modules[0]):
                chains[position] = build_chain(modules)
            elif is_weightless(modules[0]):
                self.weightless.append((position, Weightless(modules)))
            elif (form := fold(modules, position)) is not None:
                self.folded.append(form)
            else:
                self.literal.append((position, modules))
                continue
            self.foldable.append((position, modules))
        if chains:
            self.folded.append(Chains(list(chains.values()), list(chains)))
        self.norms = [
            norm
            for _, modules in self.foldable
            for module in modules
            for norm in module.modules()
            if isinstance(norm, nn.BatchNorm2d)
        ]

    def __call__(self, state: Tensor, mixing: Tensor, running: RunningStatistics) -> list[Tensor]:
        """Computes the contribution of each edge to its node.

        Args:
            state: ``(B, C, H, W)``.
            mixing: Mixing weights, ``(edges, candidates)``.

        Returns:
            Per edge ``(B, C, H', W')``.
        """
        literal = list(self.literal)
        terms: list[Sequence[Tensor]] = []
        if are_alike(self.norms):
            literal += [(i, form.edges) for i, form in self.weightless if not form.is_shared]
            terms.append(self._sum_folded(state, mixing, running))
        else:  # someone has changed some of the norms
            literal += self.foldable
        for position, modules in literal:
            column = mixing[:, position]
            terms.append([w * module(state) for w, module in zip(column, modules, strict=True)])
        return [sum_maps(edge) for edge in zip(*filter(None, terms), strict=True)]

    def _sum_folded(
        self, state: Tensor, mixing: Tensor, running: RunningStatistics
    ) -> Sequence[Tensor]:
        shared = [(i, form) for i, form in self.weightless if form.is_shared]
        if not shared and not self.folded:
            return []
        dtype = choose_dtype(state)
        with torch.autocast(state.device.type, enabled=False):
            state = state.to(dtype)
            bank = BankInput(state, self.edges, self.stride)
            terms = [t for candidate in self.folded for t in candidate(bank, mixing, running)]
            maps = [form(state, running) for _, form in shared]
            shares = mixing[:, [position for position, _ in shared]]  # (edges, maps)
            return mix(terms, maps, shares, bank.reduced_size)


def choose_dtype(x: Tensor) -> torch.dtype:
    """Returns the type in which folded candidates are computed from a map.

    Autocast decides, but not on a CPU, where products and depthwise convolutions take longer in
    half precision than in float32 (docs/benchmarks/speed.md, "A search step").
    """
    device = x.device.type
    if not torch.is_autocast_enabled(device):
        return x.dtype
    return widen(x.dtype) if device == "cpu" else torch.get_autocast_dtype(device)
