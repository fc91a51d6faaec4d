"""Selects an architecture by perturbation: how bad is the supernet without a candidate?"""

import random
from collections.abc import Callable, Mapping
from itertools import chain, islice, repeat
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from darts_lite.derivation.rules import derive
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.supernet_loss import answer
from darts_lite.space.groups import Group
from darts_lite.space.protocol import AnyArchitecture

Mixing = dict[str, Tensor]
SECOND = 0.01
"""Weight of the candidates' worth when a rule derives from it and the choices, which weigh 1."""


class Perturbation(Callback):
    """Decides each edge by what its candidates are worth to the supernet, when a search ends.

    DARTS-PT (arXiv 2108.04392, algorithm 1): for each edge, in random order, it keeps the candidate
    whose removal makes the supernet worst, and drops the others for good; after each decision it
    tunes the weights. Then each node keeps the edges whose removal makes the supernet worst. The
    worst supernet has the largest loss, which tells more than accuracy if most images are right
    (the published code has both). Options that cannot be added are judged alone. Shares are not
    used, so with uniform shares this is also the control that tells what they are worth. If the
    search's rule of derivation refuses the outcome, for instance a budget, the result is the
    nearest architecture that the rule allows.

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

    def select(self, search: ArchitectureSearch, data: Any) -> AnyArchitecture:
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
            name: mixing[name][:, : others.shape[1]] + SECOND * others
            for name, others in worth.items()
        }
        return derive(search.space, shares, found_by, search.derivation)

    def _decide(self, search: ArchitectureSearch, data: Any) -> tuple[Mixing, Mixing]:
        """Returns mixing weights of what is kept, 1 or 0, and the candidates' worth, 1 per edge."""
        order, groups = random.Random(self.seed), search.space.groups
        mixing = {name: rows.clone() for name, rows in search.mixture.mean(1.0).items()}
        tune = self._make_tuning(search, data)
        # Mixing weights and worths of each row, both views, and the group that they are of.
        worth = {name: alphas.detach() * 0 for name, alphas in search.supernet.alphas.items()}
        rows = [
            (*views, groups[name])
            for name in mixing
            for views in zip(mixing[name], worth[name], strict=True)
        ]
        for row, values, group in order.sample(rows, len(rows)):
            options = [*group.selectable]
            missed = [self._miss(search, data, mixing, row, option, group) for option in options]
            best = options[max(range(len(options)), key=missed.__getitem__)]
            values[options] = torch.tensor(missed).softmax(0).to(values)
            # The row gets its best option; the column of channels that pass, if any, is 1.
            row.zero_()
            row[best] = 1
            row[len(row) - search.mixture.has_passing_column :] = 1
            tune(mixing)
        # Each set, (rows, options), loses the rows without which the loss is smallest.
        sets = [
            (of_set, group.kept)
            for name, group in groups.items()
            if group.kept is not None
            for of_set in group.split(mixing[name])
        ]
        for of_set, kept in order.sample(sets, len(sets)):
            if len(of_set) > kept:
                without = [self._loss_without(search, data, mixing, row) for row in of_set]
                for place in sorted(range(len(of_set)), key=without.__getitem__)[:-kept]:
                    of_set[place] = 0
            tune(mixing)
        return mixing, worth

    def _miss(
        self,
        search: ArchitectureSearch,
        data: Any,
        mixing: Mixing,
        row: Tensor,
        option: int,
        group: Group,
    ) -> float:
        """Returns how much an option of a row is missed: the loss without it.

        Where options cannot be added, one runs at a time, so that none can be left out; there it is
        the loss with this option alone, times -1.
        """
        if len(group.selectable) == 1:
            return 0.0
        if group.mixes:
            return self._loss_without(search, data, mixing, row, option)
        before = row.clone()
        row.zero_()
        row[option] = 1
        loss = self._loss(search, data, mixing)
        row.copy_(before)
        return -loss

    def _loss_without(
        self,
        search: ArchitectureSearch,
        data: Any,
        mixing: Mixing,
        row: Tensor,
        option: int | None = None,
    ) -> float:
        """Computes the loss without an option of a row of `mixing`.

        The others take its share; None leaves out the row.
        """
        before = row.clone()
        if option is None:
            row.zero_()
        else:
            # The remaining shares are scaled so that their sum stays the same.
            shares = row[: len(row) - search.mixture.has_passing_column]
            whole = shares.sum()
            shares[option] = 0
            shares *= whole / shares.sum().clamp_min(1e-12)
        loss = self._loss(search, data, mixing)
        row.copy_(before)
        return loss

    def _loss(self, search: ArchitectureSearch, data: Any, mixing: Mixing) -> float:
        loader = islice(data.alphas_dataloader(), self.batches)
        return float(search.loss(*answer(search.supernet, mixing, loader)))

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
                    answers = search.supernet(images.to(weights[0].dtype), mixing)
                    loss = search.loss(answers, labels)
                    optimizer.zero_grad()
                    loss.backward()
                torch.nn.utils.clip_grad_norm_(weights, search.gradient_clip)
                optimizer.step()
            optimizer.zero_grad()

        return tune
