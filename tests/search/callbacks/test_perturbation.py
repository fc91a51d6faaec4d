"""Selection by perturbation, on real digits."""

import dataclasses
from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.pytorch import seed_everything
from own_networks import MyNet, Tied
from planted import USEFUL, planted_space
from run_helpers import SMALL, fast_sgd, quiet_trainer

from darts_lite.data.images.image_data import ImageData
from darts_lite.derivation.budget import WithinBudget
from darts_lite.derivation.rules import Derivation, SkipLimit, Strongest
from darts_lite.networks.net import Net
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.callbacks.perturbation import Perturbation
from darts_lite.space.protocol import AnyArchitecture


@pytest.fixture
def digits(digits_root: str) -> ImageData:
    """The real digits, of which an evaluation takes few at once."""
    return ImageData(root=digits_root, search_batch_size=32, evaluation_batch_size=100)


@pytest.fixture
def trained(digits: ImageData) -> ArchitectureSearch:
    """Trained weights, and alphas that were never moved: they tell nothing."""
    seed_everything(0, verbose=False)
    space = planted_space()
    space = dataclasses.replace(space, candidates=space.candidates[:2], nodes=1)
    rates = {"weights_optimizer": fast_sgd, "alphas_optimizer": partial(torch.optim.SGD, lr=0.0)}
    search = ArchitectureSearch(space, **rates)  # type: ignore[arg-type]
    quiet_trainer(max_epochs=1, limit_val_batches=0).fit(search, datamodule=digits)
    return search


def test_perturbation_finds_what_the_supernet_lives_by(
    trained: ArchitectureSearch, digits: ImageData, tmp_path: Path
) -> None:
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    architecture = Perturbation(tuning_steps=5).select(trained, digits)
    names = [name for cell in architecture.choices.values() for node in cell for name, _ in node]
    assert names == [USEFUL] * 4  # the other candidate is noise
    assert all(len(node) == 2 for cell in architecture.choices.values() for node in cell)
    assert "Perturbation" in architecture.found_by["algorithm"]
    for name, value in trained.state_dict().items():
        assert torch.equal(before[name], value), name
    by_share = [name for c in trained.derive().choices.values() for node in c for name, _ in node]
    assert by_share.count(USEFUL) < len(names)


@pytest.mark.slow
def test_as_a_callback_it_decides_what_a_search_hands_on(digits: ImageData, tmp_path: Path) -> None:
    search = ArchitectureSearch(SMALL, weights_optimizer=fast_sgd)
    run = quiet_trainer(
        max_steps=3, limit_val_batches=0, callbacks=[Perturbation(tuning_steps=1, batches=1)]
    )
    run.fit(search, datamodule=digits)
    assert search.selected is not None
    assert search.derive() == search.selected
    assert search.derive().found_by["algorithm"].endswith("Perturbation")
    run.save_checkpoint(tmp_path / "x.ckpt")
    again = ArchitectureSearch.load_from_checkpoint(tmp_path / "x.ckpt")
    assert again.derive() == search.selected


@pytest.mark.slow
def test_every_edge_is_kept_where_the_space_keeps_all(digits: ImageData) -> None:
    from darts_lite.space.cells.search_space import nasbench201_space

    search = ArchitectureSearch(nasbench201_space(4, 3), weights_optimizer=fast_sgd)
    run = quiet_trainer(max_steps=1, limit_val_batches=0)
    run.fit(search, datamodule=digits)
    architecture = Perturbation(tuning_steps=0, batches=1).select(search, digits)
    assert [len(node) for node in architecture.choices["normal"]] == [1, 2, 3]


def test_numbers_out_of_range_are_refused() -> None:
    for settings in ({"tuning_steps": -1}, {"batches": 0}, {"learning_rate": 0.0}):
        with pytest.raises(ValueError, match="perturbation needs"):
            Perturbation(**settings)


def skips(architecture: AnyArchitecture) -> int:
    return sum(
        name == "skip_connect" for node in architecture.choices["normal"] for name, _ in node
    )


@pytest.mark.slow
def test_the_outcome_keeps_to_the_searchs_rule(digits: ImageData) -> None:
    def selected(rule: Derivation) -> AnyArchitecture:
        seed_everything(0, verbose=False)
        search = ArchitectureSearch(SMALL, weights_optimizer=fast_sgd, derivation=rule)
        callbacks = [Perturbation(tuning_steps=0, batches=1)]
        run = quiet_trainer(max_steps=2, limit_val_batches=0, callbacks=callbacks)
        run.fit(search, datamodule=digits)
        assert search.selected is not None
        return search.selected

    def parameters(architecture: AnyArchitecture) -> int:
        return sum(weights.numel() for weights in Net(architecture, 1, 10).parameters())

    free = selected(Strongest())
    most = parameters(free) - 1
    bound = selected(WithinBudget(parameters=most))
    assert parameters(bound) <= most
    pairs = [zip(free.choices[kind], bound.choices[kind], strict=True) for kind in free.choices]
    changed = sum(len({*a} - {*b}) for nodes in pairs for a, b in nodes)
    assert changed == 1  # the nearest, not just any
    assert selected(WithinBudget(parameters=10**9)).choices == free.choices
    assert skips(free) > 0 and skips(selected(SkipLimit(0))) == 0


@pytest.mark.parametrize("network", [MyNet, Tied])
def test_options_that_cannot_be_added_are_judged_alone(
    network: type[torch.nn.Module], digits: ImageData
) -> None:
    search = ArchitectureSearch(network, weights_optimizer=fast_sgd)
    run = quiet_trainer(
        max_steps=2, limit_val_batches=0, callbacks=[Perturbation(tuning_steps=0, batches=1)]
    )
    run.fit(search, datamodule=digits)
    assert search.selected is not None
    again = Perturbation(tuning_steps=0, batches=1).select(search, digits)
    assert again.choices == search.selected.choices
