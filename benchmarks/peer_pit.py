"""What a peer finds at the same budgets: PIT (arXiv 2203.08560) with DUCCIO (arXiv 2310.07217).

Both come with a checkout of eml-eda/plinio, which is not part of this project. The seed is the
widest chain of full convolutions made by hand for four times the budget; PIT prunes its channels.
It knows no limit of memory and may miss its targets: while what it exports is above the budget, it
searches on with targets that are lower by as much. What is exported is trained anew, as all others.
"""

import copy
import math
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import torch
from exactness import count_costs
from lightning.pytorch import seed_everything
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from darts_lite import ImageData, LayerSpace
from darts_lite.derivation.budget import WithinBudget
from darts_lite.search.playoff.proposals import pick_by_hand
from darts_lite.space.layers.chain import Chain

WIDER = 4
FAMILY = "full, head 2x2"
WARMUP, STEPS, LEARNING_RATE = 400, 1600, 0.005
"""Steps without and with the peer's costs, and the rate of Adam."""
COSTS = {"params": "parameters", "macs": "multiply_adds", "memory": "memory"}
ROUNDS = 4
"""Largest number of searches that go on with lower targets."""


def build_seed(chain: Chain) -> nn.Sequential:
    """Builds a chain of full convolutions of plain layers, which the peer can read."""
    layers: list[nn.Module] = []
    channels = 1
    for block in (chain.stem, *chain.blocks):
        padding = block.kernel // 2
        layers += [
            nn.Conv2d(channels, block.width, block.kernel, block.stride, padding, bias=False),
            nn.BatchNorm2d(block.width),
            nn.ReLU(),
        ]
        channels = block.width
    layers += [nn.AdaptiveAvgPool2d(chain.head), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(channels * chain.head**2, 10))


def choose_seed(space: LayerSpace, rule: WithinBudget) -> nn.Sequential:
    """Returns the seed for a budget."""
    most = (rule.parameters or 0, rule.multiply_adds or 0, int(rule.memory or 0))
    wide = WithinBudget(
        parameters=WIDER * most[0], multiply_adds=WIDER * most[1], memory=WIDER * most[2]
    ).with_data(rule.in_channels, rule.num_classes, rule.image_size)
    made = next(one for one in pick_by_hand(space, wide, 10**6) if one.family == FAMILY)
    return build_seed(space.build(made.choices))


def search(
    checkout: Path, space: LayerSpace, rule: WithinBudget, data: ImageData, seed: int
) -> tuple[nn.Module, dict[str, Any]]:
    """Searches with the peer; returns the net, whose weights are new, and what is to be told."""
    if str(checkout) not in sys.path:
        sys.path.insert(0, str(checkout))
    methods, costs = import_module("plinio.methods"), import_module("plinio.cost")
    duccio = import_module("plinio.regularizers").DUCCIO
    seed_everything(seed, verbose=False)
    data.prepare_data()
    data.setup("fit")
    start = time.process_time()
    net: Any = choose_seed(space, rule)
    limits = {"params": rule.parameters, "macs": rule.multiply_adds, "memory": rule.memory}
    loss = train(net, data, WARMUP, None)
    model = methods.PIT(
        net, cost={"params": costs.params, "macs": costs.ops}, input_shape=(1, 28, 28),
        full_cost=True,
    )  # fmt: skip
    targets = {name: float(limits[name] or math.inf) for name in ("params", "macs")}
    for number in range(ROUNDS):
        regularizer = duccio(targets, task_loss=loss)
        train(model, data, STEPS // (1 if number == 0 else 2), regularizer)
        found = copy.deepcopy(model).export()
        told = count_costs(found.eval())
        counted = {name: int(told[cost]) for name, cost in COSTS.items()}
        over = {name: counted[name] / float(limit or math.inf) for name, limit in limits.items()}
        if max(over.values()) <= 1:
            break
        # Memory has no cost of its own there; fewer multiply-adds go with smaller maps.
        shrink = {"params": over["params"], "macs": max(over["macs"], over["memory"])}
        targets = {name: 0.97 * value / max(1.0, shrink[name]) for name, value in targets.items()}
    for module in found.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            module.reset_parameters()
    about = {"search_seconds": round(time.process_time() - start, 1), "rounds": number + 1}
    widths = [one.out_channels for one in found.modules() if isinstance(one, nn.Conv2d)]
    return found, about | counted | {"architecture": "-".join(map(str, widths)), "over": over}


def train(model: nn.Module, data: ImageData, steps: int, regularizer: Any) -> float:
    """Trains a seed, or a peer's model with its costs; returns the last loss without them."""
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE)
    model.train()
    done, loss = 0, torch.zeros(())
    while done < steps:
        for images, labels in data.train_dataloader():
            if done == steps:
                break
            loss = cross_entropy(model(images), cast(Tensor, labels))
            cost = regularizer(model, done, steps) if regularizer is not None else 0.0
            optimizer.zero_grad()
            (loss + cost).backward()
            optimizer.step()
            done += 1
    return float(loss.detach())
