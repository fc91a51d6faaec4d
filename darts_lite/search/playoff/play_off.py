"""The search by real trainings: many short ones, then longer ones of the best."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from random import Random
from typing import Any, cast

import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer

from darts_lite.data.batches import Batch
from darts_lite.derivation.budget import DERIVATIONS
from darts_lite.derivation.rules import Derivation, limits_from
from darts_lite.distributed.random_state import restore_generator
from darts_lite.distributed.ranks import average
from darts_lite.distributed.strategy import join_new_norms
from darts_lite.networks.kinds import SpaceSettings, build_architecture
from darts_lite.search.base import Search
from darts_lite.search.bilevel import without_autocast
from darts_lite.search.playoff.contenders import Contender
from darts_lite.search.playoff.heats import Heat, plan_heats
from darts_lite.search.playoff.proposals import (
    CHANGED,
    Proposal,
    propose_children,
    propose_opening,
)
from darts_lite.space.groups import Point
from darts_lite.space.protocol import AnyArchitecture
from darts_lite.storage.components import build_component
from darts_lite.training.class_loss import ClassLoss, ClassWeights, weigh_classes
from darts_lite.training.optimizers import count_steps, try_optimizer
from darts_lite.training.task import TaskSettings


def quick_adamw(parameters: Any) -> Optimizer:
    """Returns the optimizer of short trainings of small nets."""
    return torch.optim.AdamW(parameters, lr=0.015, weight_decay=0.05)


class PlayOff(Search):
    """Searches by real trainings, which decide where shared weights only propose.

    Nets of one heat are trained on the same batches, and judged by their mean loss on other images
    in its second half. They come in cohorts, of which half go on from their own weights each time
    (successive halving, arXiv 1502.07943): first families made by hand and random nets, then,
    cohort after cohort, children of the best so far, which differ from them in a few choices and
    start from scratch. At last the best of all go on for longer, since what learns fast is not
    always what ends up best. All nets are within the limits of the derivation.

    Args:
        space: The search space, or a function that returns one.
        in_channels: Number of channels of the images; the CLI takes it from the data.
        num_classes: Number of classes; the CLI takes it from the data.
        image_size: Side of the images, for networks that need it; the CLI takes it from the data.
        derivation: The limits: `WithinBudget`, or None if there are none.
        by_hand: Number of nets made by hand in the first cohort.
        at_random: Number of random ones in it.
        cohorts: Number of further cohorts; they share the steps of the search with the finals.
        children: Number of nets of each of them.
        finalists: Number of nets that are kept over cohorts, and go on at last.
        weights_optimizer: Makes the optimizer; its rate stays the same.
        gradient_clip: Largest norm of each net's gradient.
        class_weights: As of `darts_lite.Retraining`, in training and judging the nets.
        task: Loss and metric of the user's, for other tasks than telling classes apart.
    """

    def __init__(
        self,
        space: SpaceSettings,
        in_channels: int = 1,
        num_classes: int = 10,
        image_size: int | None = None,
        derivation: Derivation | None = None,
        by_hand: int = 36,
        at_random: int = 4,
        cohorts: int = 1,
        children: int = 12,
        finalists: int = 8,
        weights_optimizer: OptimizerCallable = quick_adamw,
        gradient_clip: float = 5.0,
        class_weights: ClassWeights = None,
        task: TaskSettings = None,
    ) -> None:
        data = {"in_channels": in_channels, "num_classes": num_classes, "image_size": image_size}
        loss = ClassLoss(num_classes, class_weights)
        super().__init__(space, data, weights_optimizer, 1.0, gradient_clip, task, loss)
        counts = {
            "by_hand": by_hand,
            "at_random": at_random,
            "cohorts": cohorts,
            "children": children,
            "finalists": finalists,
        }
        for name, count in counts.items():
            least = 1 if name in ("children", "finalists") else 0
            if count < least:
                raise ValueError(f"{name} must be at least {least}, got {count}")
        if by_hand + at_random == 0:
            raise ValueError("by_hand and at_random are 0; a play-off needs nets to begin with")
        try_optimizer("weights_optimizer", weights_optimizer)
        self.derivation = limits_from(build_component(derivation, DERIVATIONS)).with_data(**data)
        settings = {"space": self.space.to_dict(), "derivation": self.derivation.describe()}
        rest = {"gradient_clip": gradient_clip, "class_weights": class_weights}
        self.save_hyperparameters(settings | data | counts | rest, logger=False)
        self.contenders = nn.ModuleList()
        self.known: dict[Point, str] = {}  # all points that were trained, with their origin
        self.random = Random()
        self.leader: AnyArchitecture | None = None
        self._place = 0  # of the present heat
        self._restored = False
        self.whole: Callable[[], int] | None = None  # number of steps, where a part of it is run

    # ------------------------------------------------------------------ the heats

    @property
    def heats(self) -> list[Heat]:
        """The plan, which follows from the settings and the number of steps."""
        opening = self.hparams["by_hand"] + self.hparams["at_random"]
        sizes = (self.hparams[name] for name in ("cohorts", "children", "finalists"))
        steps = count_steps(self.trainer) if self.whole is None else self.whole()
        return plan_heats(steps, opening, *sizes)

    def count_nets(self, begin: int, end: int) -> float:
        """Returns the mean number of nets that are trained in the steps from `begin` to `end`."""
        overlaps = [
            heat.size * max(0, min(heat.ends, end) - max(heat.begins, begin)) for heat in self.heats
        ]
        return sum(overlaps) / (end - begin)

    def setup(self, stage: str) -> None:
        """Tells the limits how large the images are."""
        self.know_images(self.trainer.datamodule)  # type: ignore[attr-defined]
        if stage == "fit":
            self.read_costs()
            weigh_classes(self.loss, self.trainer.datamodule)  # type: ignore[attr-defined]

    def configure_optimizers(self) -> Optimizer:
        """Proposes the first nets, unless the search goes on, and returns their optimizer."""
        if self.whole is None:
            _ = self.heats  # a search that is too short ends before it begins
        if not self._restored:
            self.random.seed(torch.initial_seed())
            self.contenders, self.known, self.leader, self._place = nn.ModuleList(), {}, None, 0
            sizes = self.hparams["by_hand"], self.hparams["at_random"]
            self._enter(propose_opening(self.space, self.derivation, *sizes, self.random))
        self._restored = False
        return self.weights_optimizer([{"params": each.weights()} for each in self._all])

    def training_step(self, batch: Mapping[str, Batch], batch_index: int) -> None:
        """Trains the nets of the heat on one batch, and decides the heat if it has ended."""
        if not self._field:  # all is decided
            return
        heat = self.heats[self._place]
        optimizer = cast(LightningOptimizer, self.optimizers())
        images, labels = batch["weights"]
        losses = [self.loss(each.net(images), labels) for each in self._field]
        loss = torch.stack(losses).sum()  # each weight is in one of them
        optimizer.zero_grad()
        with without_autocast(loss):
            self.manual_backward(loss)
        optimizer.step()
        if 2 * (self.global_step - heat.begins) > heat.steps:
            for each in self._field:
                each.hear(*batch["alphas"], self.loss)
        (mean,) = average(loss.detach() / len(losses))
        self.log("search/weights_loss", mean, prog_bar=True)
        self.log("search/field", float(len(losses)))
        if self.global_step >= heat.ends:
            self._decide(heat)

    def try_passes(self, images: Tensor, labels: Tensor, evaluating: bool) -> None:
        self.train(not evaluating)
        nets = self._all[:1] if evaluating else self._field or self._all
        losses = [self.loss(each.net(images), labels) for each in nets]
        if not evaluating:
            torch.stack(losses).sum().backward()

    def _decide(self, heat: Heat) -> None:
        """Ranks the nets, and makes up the next heat if there is one."""
        field = sorted(self._field, key=lambda each: -each.value)
        for each in field:
            self.known[self.space.locate(each.architecture.choices)] = each.origin
        last = self._place + 1 == len(self.heats)
        place = self._place + (not last)
        following = self.heats[place]
        if following.kind == "on":
            better = field[: following.size]
            self._keep([*self._champions, *better], running=better)
        else:
            # Those that leave their cohort have been trained for as long as the champions.
            rivals = field if heat.kind == "final" else [*self._champions, *field]
            ranked = sorted(rivals, key=lambda each: -each.value)
            self.leader = self._credit(ranked[0])
            self.log("search/best_loss", -ranked[0].value, prog_bar=True)
            if following.kind == "new" and not self._breed(ranked, following.size):
                # All nets that might come are known: the finals begin, and get the steps as well.
                place = [each.kind for each in self.heats].index("final")
                following = self.heats[place]
            if following.kind == "final":
                best = ranked[: following.size]
                self._keep(best, running=[] if last else best)
        self._place = place
        self.log("search/trainings", float(len(self.known)), prog_bar=True)

    # ------------------------------------------------------------------ the nets

    @property
    def _all(self) -> list[Contender]:
        return cast(list[Contender], [*self.contenders])

    @property
    def _field(self) -> list[Contender]:
        return [each for each in self._all if each.running]

    @property
    def _champions(self) -> list[Contender]:
        return [each for each in self._all if not each.running]

    def _breed(self, ranked: list[Contender], size: int) -> bool:
        """Keeps the best nets, and lets their children enter; returns whether there are any."""
        self._keep(ranked[: self.hparams["finalists"]], running=[])
        parents = [(each.architecture, each.origin) for each in self._all]
        born = propose_children(self.space, self.derivation, parents, self.known, self.random)
        self._enter(islice(born, size))
        return bool(self._field)

    def _enter(self, proposed: Iterable[Proposal]) -> None:
        """Builds nets for the next heat, and gives their weights to the optimizer."""
        for architecture, origin in proposed:
            entered = self._add(architecture, origin)
            join_new_norms(self.trainer, entered)
            entered.enter()
            for optimizer in self.trainer.optimizers:  # with the rates that it has come to
                group = {**optimizer.param_groups[0], "params": entered.weights()}
                optimizer.add_param_group(group)

    def _add(self, architecture: AnyArchitecture, origin: str) -> Contender:
        data = self.hparams["in_channels"], self.hparams["num_classes"]
        added = Contender(architecture, origin, *data)
        self.contenders.append(added.to(self.device, cast(torch.dtype, self.dtype)))
        return added

    def _keep(self, kept: list[Contender], running: list[Contender]) -> None:
        """Drops all other nets, and their weights from the optimizer; some go on running."""
        optimizer = self.trainer.optimizers[0]
        groups = dict(zip(self.contenders, optimizer.param_groups, strict=True))
        for each in self._all:
            each.running = False
            if each not in kept:
                for weight in each.weights():
                    optimizer.state.pop(weight, None)
        for each in running:
            each.enter()
        optimizer.param_groups[:] = [groups[each] for each in kept]
        self.contenders = nn.ModuleList(kept)

    # ------------------------------------------------------------------ what a search gives

    def weights(self) -> list[nn.Parameter]:
        return [weight for each in self._all for weight in each.weights()]

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clips each net's gradient; Lightning calls this after unscaling."""
        norms = [
            nn.utils.clip_grad_norm_(each.weights(), self.gradient_clip) for each in self._field
        ]
        self.log("search/weights_gradient", torch.stack(norms).max())

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Logs the accuracy of the best net so far, as far as it is trained."""
        if self.leader is None:
            return
        images, labels = batch
        best = max(self._all, key=lambda each: each.value)
        self.log_validation(best.net(images), labels)

    @property
    def has_chosen(self) -> bool:
        return self.leader is not None

    def derive(self) -> AnyArchitecture:
        """Returns the best net; ValueError before the end of the first cohort."""
        if self.leader is None:
            raise ValueError(
                "the first cohort of the play-off has not ended yet; give the run more minutes, or "
                "lower trainer.max_epochs or data.search_batches_per_epoch"
            )
        return self.leader

    def _credit(self, best: Contender) -> AnyArchitecture:
        """Returns a contender's architecture, with how it was found."""
        about = {"algorithm": self.algorithm, "trainings": len(self.known), "origin": best.origin}
        return self.space.build(best.architecture.choices, about)

    @property
    def algorithm(self) -> str:
        return type(self).__name__

    def describe(self) -> Iterator[str]:
        first = self.hparams["by_hand"] + self.hparams["at_random"]
        children, last = self.hparams["children"], self.hparams["finalists"]
        yield f"Space:     {self.space.name}, {float(math.prod(self.space.sizes)):.4g} nets"
        yield f"Play-off:  {first} nets, then {children} children at a time; {last} finalists"

    def doubts(self) -> Iterator[str]:
        planned = len(self.heats)
        if self._place + 1 < planned or self._field:
            yield f"The search was ended in heat {self._place + 1} of {planned}."
        if self.leader is not None and not self.leader.found_by["origin"].endswith(CHANGED):
            yield (
                f"The net found is one the search began with ({self.leader.found_by['origin']}): "
                "no change of it was better."
            )

    def results(self) -> dict[str, Any]:
        return {"trainings": len(self.known)}

    # ------------------------------------------------------------------ checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the state of the play-off, and the settings as plain values."""
        checkpoint["play_off"] = {
            "place": self._place,
            "contenders": [each.describe() for each in self._all],
            "known": [[list(point), origin] for point, origin in self.known.items()],
            "random": self.random.getstate(),
        }
        if self.leader is not None:
            checkpoint["architecture"] = self.leader.to_dict()
        super().on_save_checkpoint(checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Builds the nets whose weights the checkpoint has."""
        super().on_load_checkpoint(checkpoint)
        state, self._restored = checkpoint["play_off"], True
        self._place = state["place"]
        self.known = {tuple(point): origin for point, origin in state["known"]}
        restore_generator(self.random, state["random"])
        found = checkpoint.get("architecture")
        self.leader = None if found is None else build_architecture(found)
        self.contenders = nn.ModuleList()
        for about in state["contenders"]:
            added = self._add(build_architecture(about["architecture"]), about["origin"])
            added.running = about["running"]
