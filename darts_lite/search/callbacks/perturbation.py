"""Selects an architecture by perturbation: how bad is the supernet without a candidate?"""

import random
from collections.abc import Callable, Mapping
from itertools import chain, islice, repeat
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.nn.functional import cross_entropy

from darts_lite.derivation.rules import derive
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.supernet_loss import evaluate
from darts_lite.space.architecture import Architecture

Mixing = dict[str, Tensor]
SECOND = 0.01
"""Weight of the candidates' worth when a rule derives from it and the choices, which weigh 1."""


class Perturbation(Callback):
    """Decides each edge by what its candidates are worth to the supernet, when a search ends.

    DARTS-PT (arXiv 2108.04392, algorithm 1): for each edge, in random order, it keeps the candidate
    whose removal makes the supernet worst, and drops the others for good; after each decision it
    tunes the weights. Then each node keeps the edges whose removal makes the supernet worst. The
    worst supernet has the largest loss, which tells more than accuracy if most images are right
    (the published code has both). Shares are not used, so with uniform shares this is also the
    control that tells what they are worth. If the search's rule of derivation refuses the outcome,
    for instance a budget, the result is the nearest architecture that the rule allows.

    Args:
        tuning_steps: Number of steps of the weights after each decision.
        learning_rate: Learning rate of these steps, which are SGD with the published momentum and
            weight decay.
        batches: Number of batches of the ``alphas`` split, of ``evaluation_batch_size``, that
            measure the supernet.
        seed: Seed of the order of edges.
    """

    def __init__(
        self, tuning_steps: int = 20, learning_rate: float = 0.01, batches: int = 2, seed: int = 0
    ) -> None:
        if tuning_steps < 0 or batches < 1 or not learning_rate > 0:
            raise ValueError(
                "perturbation needs tuning_steps of at least 0, batches of at least 1 and a "
                f"learning_rate above 0; got {tuning_steps}, {batches} and {learning_rate}"
            )
        self.tuning_steps, self.learning_rate = tuning_steps, learning_rate
        self.batches, self.seed = batches, seed

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Selects the architecture that the search then hands on."""
        if isinstance(pl_module, ArchitectureSearch):
            pl_module.selected = self.select(pl_module, trainer.datamodule)  # type: ignore[attr-defined]

    def select(self, search: ArchitectureSearch, data: Any) -> Architecture:
        """Selects an architecture; afterwards the supernet has its weights from before.

        The search may come from a checkpoint; the data module must be set up.
        """
        before = {name: value.clone() for name, value in search.state_dict().items()}
        try:
            mixing, worth = self._decide(search, data)
        finally:
            search.load_state_dict(before)
        found_by = {"algorithm": f"{search.algorithm}, Perturbation"}
        # A rule that refuses the decisions finds the nearest allowed ones by the candidates' worth.
        shares = {
            kind: mixing[kind][:, : len(search.space.candidates)] + SECOND * others
            for kind, others in worth.items()
        }
        return derive(search.space, shares, found_by, search.derivation)

    def _decide(self, search: ArchitectureSearch, data: Any) -> tuple[Mixing, Mixing]:
        """Returns mixing weights of what is kept, 1 or 0, and the candidates' worth, 1 per edge."""
        order, space, passing = random.Random(self.seed), search.space, search.supernet.passing
        mixing = {kind: rows.clone() for kind, rows in search.mixture.mean(1.0).items()}
        tune = self._make_tuning(search, data)
        choices = [
            position
            for position, name in enumerate(space.candidates)
            if name != "none" or space.kept_edges is None
        ]
        # Each edge is a row of mixing weights and a row of worths (candidates,), views of both.
        worth = {kind: alphas.detach() * 0 for kind, alphas in search.supernet.alphas.items()}
        edges = [edge for kind in mixing for edge in zip(mixing[kind], worth[kind], strict=True)]
        for row, values in order.sample(edges, len(edges)):
            losses = {
                choice: self._loss_without(search, data, mixing, row, choice) for choice in choices
            }
            best = max(choices, key=losses.__getitem__)
            values[choices] = torch.tensor([*losses.values()]).softmax(0).to(values)
            # The edge becomes its best candidate; the column of channels that pass, if any, is 1.
            row.zero_()
            row[best] = 1
            row[passing:] = 1
            tune(mixing)
        if space.kept_edges is None:
            return mixing, worth
        # Each node, rows (edges, candidates), loses the edges without which the loss is smallest.
        nodes = [node for rows in mixing.values() for node in rows.split(space.edges_per_node)]
        for node in order.sample(nodes, len(nodes)):
            without = [self._loss_without(search, data, mixing, row) for row in node]
            for edge in sorted(range(len(node)), key=without.__getitem__)[: -space.kept_edges]:
                node[edge] = 0
            tune(mixing)
        return mixing, worth

    def _loss_without(
        self,
        search: ArchitectureSearch,
        data: Any,
        mixing: Mixing,
        row: Tensor,
        candidate: int | None = None,
    ) -> float:
        """Computes the loss without a candidate of the edge that a row of `mixing` stands for.

        The others take its share; None leaves out the edge.
        """
        before = row.clone()
        if candidate is None:
            row.zero_()
        else:
            # The remaining shares are scaled so that their sum stays the same.
            shares = row[: search.supernet.passing]
            whole = shares.sum()
            shares[candidate] = 0
            shares *= whole / shares.sum().clamp_min(1e-12)
        loader = islice(data.alphas_dataloader(), self.batches)
        loss, _ = evaluate(search.supernet, mixing, loader)
        row.copy_(before)
        return loss

    def _make_tuning(
        self, search: ArchitectureSearch, data: Any
    ) -> Callable[[Mapping[str, Tensor]], None]:
        weights = search.supernet.weights()
        optimizer = torch.optim.SGD(weights, self.learning_rate, momentum=0.9, weight_decay=3e-4)
        batches = chain.from_iterable(repeat(data.weights_dataloader()))  # endless

        def tune(mixing: Mapping[str, Tensor]) -> None:
            search.supernet.train()
            for images, labels in islice(batches, self.tuning_steps):
                with torch.enable_grad():
                    loss = cross_entropy(
                        search.supernet(images.to(weights[0].dtype), mixing), labels
                    )
                    optimizer.zero_grad()
                    loss.backward()
                torch.nn.utils.clip_grad_norm_(weights, search.gradient_clip)
                optimizer.step()
            optimizer.zero_grad()

        return tune
