"""Networks of users, mixed and alone."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from own_networks import CHAINS, DARTS, Chains, Darts, MyNet, Widths, copy_weights
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from darts_lite import (
    Choice,
    LayerSpace,
    Net,
    NetworkSpace,
    Sampled,
    Strongest,
    Supernet,
    WithinBudget,
)
from darts_lite.derivation.costs import count_pass
from darts_lite.networks.kinds import find_kind
from darts_lite.space.cost_tables import Images
from darts_lite.space.groups import Choices, random_point
from darts_lite.space.protocol import AnyArchitecture

DIGITS = Images(1, 10, 28)
IMAGES, LABELS = torch.randn(4, 1, 28, 28), torch.arange(4)


def space(network: Any = MyNet) -> NetworkSpace:
    return NetworkSpace(network).with_data(1, 10, 28)


def test_a_path_is_the_net_that_was_chosen() -> None:
    supernet = Supernet(space(), 1, 10, Sampled())
    random = Random(0)
    for _ in range(10):
        found = supernet.space.architecture(random_point(supernet.space.sizes, random))
        net = Net(found, 1, 10)
        net.inherit(supernet)
        path = supernet.space.path(found)
        for one in (supernet, net):
            one.eval()
        assert torch.allclose(supernet(IMAGES, path), net(IMAGES), atol=1e-5)


def test_a_drawn_path_informs_what_was_drawn() -> None:
    supernet = Supernet(space(), 1, 10, Sampled())
    path = supernet.space.path(supernet.space.first_architecture())
    mixing = {name: rows.requires_grad_() for name, rows in path.items()}
    supernet(IMAGES, mixing).square().sum().backward()
    for name, rows in mixing.items():
        assert rows.grad is not None or name == "choice2"


@pytest.mark.slow
def test_the_space_of_darts_written_as_a_network() -> None:
    """Losses and gradients are those of the cells (float64), and so is what is derived."""
    cells, own = Supernet(DARTS, 1, 10).double(), Supernet(space(Darts), 1, 10).double()
    copy_weights(cells.skeleton, own.skeleton.skeleton)
    images = IMAGES.double()
    alphas = {kind: torch.randn(14, 8, dtype=torch.float64) for kind in ("normal", "reduce")}
    of_cells = {kind: rows.clone().requires_grad_() for kind, rows in alphas.items()}
    ((name, group),) = own.space.groups.items()
    assert [row.split()[0] for row in group.rows] == ["normal"] * 14 + ["reduce"] * 14
    of_own = torch.cat([*alphas.values()]).requires_grad_()
    losses = (
        cross_entropy(cells(images, {k: r.softmax(dim=1) for k, r in of_cells.items()}), LABELS),
        cross_entropy(own(images, {name: of_own.softmax(dim=1)}), LABELS),
    )
    assert torch.allclose(*losses, rtol=1e-10, atol=1e-10)
    for loss in losses:
        loss.backward()
    wanted = torch.cat([rows.grad for rows in of_cells.values() if rows.grad is not None])
    assert of_own.grad is not None
    assert torch.allclose(of_own.grad, wanted, rtol=1e-10, atol=1e-10)
    for one, other in zip(cells.weights(), own.weights(), strict=True):
        assert torch.allclose(_gradient(one), _gradient(other), rtol=1e-10, atol=1e-10)
    kept = Strongest()(DARTS, {kind: rows.softmax(dim=1) for kind, rows in alphas.items()})
    ours = Strongest()(own.space, {name: of_own.detach().softmax(dim=1)})
    assert kept["normal"] + kept["reduce"] == ours[name]


def of_chains(choices: Choices) -> dict[str, str]:
    """The same choices by the names of `Chains`."""
    found = {"stem kernel": choices["stem_kernel"][0], "stem width": choices["stem_width"][0]}
    found |= {"placement": choices["placement"][0], "head": choices["head"][0]}
    found |= {f"width {row}": kept for row, kept in enumerate(choices["width"])}
    for name in ("kernel", "expansion"):
        found |= {f"{name} {row}": kept for row, kept in enumerate(choices[name])}
    found["link 1"] = choices["link"][0]
    return {name: str(kept[0][0]) for name, kept in found.items()}


@pytest.mark.slow
def test_the_layers_of_chains_written_as_a_network() -> None:
    """Costs, losses and gradients of nets are those of chains (float64), and what is derived."""
    own, random, images = space(Chains), Random(0), IMAGES.double()
    groups = own.groups

    def build(choices: Choices) -> AnyArchitecture:
        named = of_chains(choices)
        return own.build(
            {k: tuple(((named[row], 0),) for row in g.rows) for k, g in groups.items()}
        )

    for _ in range(12):
        chain = CHAINS.architecture(random_point(CHAINS.sizes, random))
        other = build(chain.choices)
        assert count_pass(chain, DIGITS) == count_pass(other, DIGITS)
        nets = [Net(each, 1, 10).double() for each in (chain, other)]
        copy_weights(*nets)
        first, second = (cross_entropy(net(images), LABELS) for net in nets)
        assert torch.allclose(first, second, rtol=1e-10, atol=1e-10)
        (first + second).backward()
        for one, two in zip(*(net.parameters() for net in nets), strict=True):
            assert torch.allclose(_gradient(one), _gradient(two), rtol=1e-10, atol=1e-10)
    shares = {name: torch.rand(group.shape) + 0.1 for name, group in CHAINS.groups.items()}
    places = {name: _find_row(CHAINS, name) for row in groups.values() for name in row.rows}
    ours = {
        k: torch.stack([shares[places[row][0]][places[row][1]] for row in g.rows])
        for k, g in groups.items()
    }
    for parameters in (600, 900, 1500):
        rule = WithinBudget(parameters=parameters, multiply_adds=60_000).with_data(*DIGITS)
        assert build(rule(CHAINS, shares)) == own.build(rule(own, ours))


def _find_row(chains: LayerSpace, name: str) -> tuple[str, int]:
    """Where a choice of `Chains` stands in the groups of the space of chains."""
    word, _, number = name.rpartition(" ")
    if word in ("width", "kernel", "expansion"):
        return word, int(number)
    return ("link", 0) if word == "link" else (name.replace(" ", "_"), 0)


def _gradient(weight: Tensor) -> Tensor:
    return torch.zeros_like(weight) if weight.grad is None else weight.grad


def test_what_cells_have_is_refused() -> None:
    for settings in ({"partial_channels": 2}, {"auxiliary_skip": True}):
        with pytest.raises(ValueError, match="no partial channels and no auxiliary skips"):
            Supernet(space(), 1, 10, **settings)
    found = space().first_architecture()
    with pytest.raises(ValueError, match="no auxiliary head"):
        Net(found, 1, 10, auxiliary=True)
    with pytest.raises(ValueError, match="the supernet is own_networks.Widths"):
        Net(found, 1, 10).inherit(Supernet(space(Widths), 1, 10))


def test_its_modules_are_named() -> None:
    mixed = find_kind(space()).mix(space(), 1, 10, 1, False)
    assert "body.modules_by_option.option:nested" in mixed.operations()


class Buffered(nn.Module):
    """A buffer that is in no state dict, and a tensor that is no buffer."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.one = Choice({"half": nn.Conv2d(in_channels, 4, 3), "b": nn.Conv2d(in_channels, 4, 3)})
        self.register_buffer("scale", torch.tensor(2.0), persistent=False)
        self.shift = torch.tensor(1.0)
        self.last = nn.Linear(4, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.one(x).mean((2, 3)) * self.scale + self.shift)


def test_saved_weights_are_read_beside_what_the_class_makes(tmp_path: Path) -> None:
    found = NetworkSpace(f"{__name__}.Buffered").with_data(1, 10, 28).first_architecture()
    net = Net(found, 1, 10).eval()
    net.save_pretrained(tmp_path)
    assert torch.allclose(Net.from_pretrained(tmp_path)(IMAGES), net(IMAGES), atol=1e-5)
