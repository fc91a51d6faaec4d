"""Selection by perturbation: what does the supernet lose without a candidate?"""

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
from darts_lite.search.supernet_loss import evaluated
from darts_lite.space.architecture import Architecture

Mixing = dict[str, Tensor]
SECOND = 0.01
"""Of what an edge's choice counts, the most that all others do where a rule derives from it."""


class Perturbation(Callback):
    """Decides each edge by what its candidates are worth to the supernet, when a search ends.

    DARTS-PT (arXiv 2108.04392, algorithm 1): for each edge, in random order, the candidate without
    which the supernet is worst is kept and the others are dropped for good; in between the weights
    are tuned. Then each node keeps the edges without which it is worst. Worst is the largest loss,
    which tells more than accuracy where most images are right (the published code has both).
    Shares are not asked, so that with uniform ones this is also the control which tells what they
    are worth. Where the search has a rule of derivation that refuses the outcome, as a budget, it
    gets the nearest that the rule allows.

    Args:
        tuning_steps: Steps of the weights after each decision.
        learning_rate: Of those steps, of SGD with the published momentum and weight decay.
        batches: Batches of the ``alphas`` split, of ``evaluation_batch_size``, that tell how good
            the supernet is.
        seed: Of the order of edges.

    Raises:
        ValueError: if a number is out of range.
    """

    def __init__(
        self,
        tuning_steps: int = 20,
        learning_rate: float = 0.01,
        batches: int = 2,
        seed: int = 0,
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
        """The architecture; the supernet's weights are as before afterwards.

        Args:
            search: A search, or what was loaded from its checkpoint.
            data: The data module, set up.
        """
        before = {name: value.clone() for name, value in search.state_dict().items()}
        try:
            mixing, worth = self._decided(search, data)
        finally:
            search.load_state_dict(before)
        found_by = {"algorithm": f"{search.algorithm}, Perturbation"}
        # A rule that refuses what was decided finds the nearest to it, by what else was worth most.
        shares = {
            kind: mixing[kind][:, : len(search.space.candidates)] + SECOND * others
            for kind, others in worth.items()
        }
        return derive(search.space, shares, found_by, search.derivation)

    def _decided(self, search: ArchitectureSearch, data: Any) -> tuple[Mixing, Mixing]:
        """What is kept, 1 of each edge or 0, and the worth of all candidates, 1 of each edge."""
        order, space, passing = random.Random(self.seed), search.space, search.supernet.passing
        mixing = {kind: rows.clone() for kind, rows in search.mixture.expected(1.0).items()}
        tune = self._tuning(search, data)
        choices = [
            position
            for position, name in enumerate(space.candidates)
            if name != "none" or space.kept_edges is None
        ]
        worth = {kind: alphas.detach() * 0 for kind, alphas in search.supernet.alphas.items()}
        edges = [  # views of both
            edge for kind in mixing for edge in zip(mixing[kind], worth[kind], strict=True)
        ]
        for row, values in order.sample(edges, len(edges)):
            losses = {
                choice: self._loss_without(search, data, mixing, row, choice) for choice in choices
            }
            best = max(choices, key=losses.__getitem__)
            values[choices] = torch.tensor([*losses.values()]).softmax(0).to(values)
            row.zero_()
            row[best] = 1
            row[passing:] = 1
            tune(mixing)
        if space.kept_edges is None:
            return mixing, worth
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
        """Loss without a candidate of an edge, whose share the others take, or without all.

        Args:
            search, data: Of the supernet.
            mixing: Its mixing weights.
            row: Those of the edge, a view of `mixing`, which is as before afterwards.
            candidate: Its place; None leaves out the edge.
        """
        before = row.clone()
        if candidate is None:
            row.zero_()
        else:
            shares = row[: search.supernet.passing]
            whole = shares.sum()
            shares[candidate] = 0
            shares *= whole / shares.sum().clamp_min(1e-12)
        loader = islice(data.alphas_dataloader(), self.batches)
        loss, _ = evaluated(search.supernet, mixing, loader)
        row.copy_(before)
        return loss

    def _tuning(
        self, search: ArchitectureSearch, data: Any
    ) -> Callable[[Mapping[str, Tensor]], None]:
        weights = search.supernet.weights()
        optimizer = torch.optim.SGD(weights, self.learning_rate, momentum=0.9, weight_decay=3e-4)
        batches = chain.from_iterable(repeat(data.weights_dataloader()))  # without an end

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
