"""The bilevel search on real digits."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import seed_everything
from planted import USEFUL, found_share, planted_space
from run_helpers import SMALL, fast_sgd, quiet_trainer

from darts_lite.data.images.image_data import ImageData
from darts_lite.derivation.rules import SkipLimit
from darts_lite.networks.cells.mixed import Literal
from darts_lite.networks.folded.executor import Folded
from darts_lite.runs.precision import choose_precision
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.bilevel import SecondOrder
from darts_lite.search.callbacks.cost_penalty import CostPenalty
from darts_lite.search.callbacks.discretisation_gap import DiscretisationGap
from darts_lite.search.regularizers import BetaDecay, ZeroOne
from darts_lite.search.relaxations import Concrete
from darts_lite.space.cells.search_space import darts_space


@pytest.mark.slow
def test_alphas_move_and_accuracy_beats_chance_by_far(digits: ImageData) -> None:
    seed_everything(0, verbose=False)
    search = ArchitectureSearch(SMALL, weights_optimizer=fast_sgd, warmup_epochs=0.5)
    before = {k: a.detach().clone() for k, a in search.supernet.alphas.items()}
    run = quiet_trainer(max_epochs=2)
    run.fit(search, datamodule=digits)
    metrics = run.callback_metrics
    assert metrics["search/validation_accuracy"] > 0.5
    steps = 2 * run.num_training_batches
    assert run.global_step == steps
    assert search.architecture_steps == steps - run.num_training_batches // 2
    for kind, alpha in search.supernet.alphas.items():
        assert (alpha - before[kind]).abs().mean() > 0.005
    assert 0 < metrics["alphas/drift"] < 1
    for split in ("weights", "alphas"):
        for value in ("loss", "accuracy", "learning_rate"):
            assert f"search/{split}_{value}" in metrics
    rate = metrics["search/weights_learning_rate"]
    assert 0.004 < rate < 0.0045  # the cosine's end


def shipped(configs: Path) -> ArchitectureSearch:
    """The preset's search, in a space where only the convolution is of use."""
    settings = yaml.safe_load((configs / "mnist_cells.yaml").read_text())["model"]["init_args"]
    adam = settings["alphas_optimizer"]["init_args"]
    return ArchitectureSearch(
        planted_space(),
        weights_optimizer=fast_sgd,
        alphas_optimizer=lambda p: torch.optim.Adam(p, **adam),
        regularizers=[BetaDecay(**settings["regularizers"][0]["init_args"])],
    )


def test_the_shipped_search_finds_the_one_useful_candidate_on_every_edge(
    digits: ImageData, configs: Path
) -> None:
    seed_everything(0, verbose=False)
    search = shipped(configs)
    quiet_trainer(max_epochs=2, limit_val_batches=0).fit(search, datamodule=digits)
    assert found_share(search) == 1
    for nodes in search.derive().choices.values():
        assert all(name == USEFUL for node in nodes for name, _ in node)


def test_the_architecture_step_leaves_weights_and_the_weight_step_alphas_alone(
    digits: ImageData,
) -> None:
    changed: dict[str, set[str]] = {"update_alphas": set(), "update_weights": set()}

    class Watched(ArchitectureSearch):
        def _watch(self, name: str, *batch: torch.Tensor) -> None:
            before = {n: p.detach().clone() for n, p in self.supernet.named_parameters()}
            getattr(ArchitectureSearch, name)(self, *batch)
            changed[name] |= {
                n for n, p in self.supernet.named_parameters() if not torch.equal(p, before[n])
            }

        def update_alphas(self, *batch: torch.Tensor) -> None:
            self._watch("update_alphas", *batch)

        def update_weights(self, *batch: torch.Tensor) -> None:
            self._watch("update_weights", *batch)

    search = Watched(SMALL)
    quiet_trainer(max_steps=2, limit_val_batches=0).fit(search, datamodule=digits)
    assert changed["update_alphas"] == {"alphas.normal", "alphas.reduce"}
    names = {name for name, _ in search.supernet.named_parameters()}
    assert changed["update_weights"] == names - changed["update_alphas"]
    assert all(alpha.grad is None for alpha in search.supernet.alphas.values())


def test_the_gradient_is_clipped(digits: ImageData) -> None:
    norms = []

    class Watched(ArchitectureSearch):
        def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
            super().on_before_optimizer_step(optimizer)
            gradients = [p.grad for p in self.supernet.weights() if p.grad is not None]
            norms.append(torch.nn.utils.get_total_norm(gradients))

    search = Watched(SMALL, gradient_clip=0.01)
    quiet_trainer(max_steps=2, limit_val_batches=0).fit(search, datamodule=digits)
    assert all(abs(float(norm) - 0.01) < 1e-4 for norm in norms)


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_other_precisions(precision: Any, digits: ImageData) -> None:
    search = ArchitectureSearch(SMALL)
    quiet_trainer(max_steps=3, limit_val_batches=1, precision=precision).fit(
        search, datamodule=digits
    )
    assert all(alpha.isfinite().all() for alpha in search.supernet.alphas.values())
    assert search.architecture_steps == 3


def test_a_checkpoint_restores_everything_and_holds_plain_values(
    digits: ImageData, tmp_path: Path
) -> None:
    search = ArchitectureSearch(SMALL)
    run = quiet_trainer(max_steps=3, limit_val_batches=0)
    run.fit(search, datamodule=digits)
    run.save_checkpoint(tmp_path / "search.ckpt")
    content = torch.load(tmp_path / "search.ckpt", weights_only=True)
    assert content["architecture"] == search.derive().to_dict()
    assert content["data"]["init_args"]["dataset"] == "MNIST"
    assert len(content["optimizer_states"]) == 2
    again = ArchitectureSearch.load_from_checkpoint(tmp_path / "search.ckpt")
    for name, value in search.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    assert again.derive() == search.derive()


def test_validation_of_a_checkpoint_reports_supernet_and_derived_net(digits: ImageData) -> None:
    search = ArchitectureSearch(SMALL, weights_optimizer=fast_sgd)
    run = quiet_trainer(max_epochs=1, callbacks=[DiscretisationGap()])
    run.fit(search, datamodule=digits)
    before = {name: value.clone() for name, value in search.state_dict().items()}
    (metrics,) = run.validate(search, datamodule=digits, verbose=False)
    assert metrics["search/validation_accuracy"] > 0.3
    assert metrics["derived/validation_accuracy"] > 0.11
    for name, value in search.state_dict().items():
        assert torch.equal(before[name], value), name


def test_uniform_shares_mean_no_drift() -> None:
    diagnostics = ArchitectureSearch(SMALL).diagnostics()
    assert diagnostics["drift"] == 0
    assert diagnostics["entropy"] > 0.999
    assert abs(diagnostics["skip_share"] - 0.25) < 0.01


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"warmup_epochs": -1}, "warmup_epochs"),
        ({"final_learning_rate": 2.0}, "final_learning_rate"),
        ({"gradient_clip": 0.0}, "gradient_clip"),
        ({"auxiliary_skip": -0.5}, "auxiliary_skip"),
    ],
)
def test_bad_settings_get_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        ArchitectureSearch(SMALL, **settings)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_both_executors_find_the_same_with_the_same_seed(digits_root: str) -> None:
    space = darts_space(channels=4, cells=3, nodes=2)
    digits = ImageData(root=digits_root, search_batch_size=8)
    found, alphas = [], []
    for executor in (Literal(), Folded()):
        seed_everything(0, verbose=False)
        search = ArchitectureSearch(
            space,
            weights_optimizer=fast_sgd,
            executor=executor,
            partial_channels=2,
            edge_weights=True,
        )
        run = quiet_trainer(
            max_epochs=1, limit_train_batches=8, limit_val_batches=0, precision="64-true"
        )
        run.fit(search, datamodule=digits)
        found.append(search.derive().choices)
        alphas.append(torch.cat(list(search.supernet.alphas.values())))
    assert alphas[0].dtype == torch.float64
    assert found[0] == found[1]
    assert torch.allclose(alphas[0], alphas[1], rtol=1e-8, atol=0)


def test_a_checkpoint_moves_between_executors(digits: ImageData, tmp_path: Path) -> None:
    search = ArchitectureSearch(SMALL, executor=Folded())
    run = quiet_trainer(max_epochs=1, limit_train_batches=2, limit_val_batches=1)
    run.fit(search, datamodule=digits)
    run.save_checkpoint(tmp_path / "x.ckpt")
    loaded = ArchitectureSearch.load_from_checkpoint(tmp_path / "x.ckpt", executor=Literal())
    images = torch.randn(4, 1, 28, 28)
    literal = loaded.eval().supernet(images, loaded.shares())
    assert torch.allclose(search.eval().supernet(images, search.shares()), literal, atol=1e-4)


def test_second_order_searches_and_leaves_statistics_to_the_weight_step(digits: ImageData) -> None:
    updates: list[list[torch.Tensor]] = []

    class Watched(ArchitectureSearch):
        def update_weights(self, *batch: torch.Tensor) -> None:
            updates.append([b.clone() for b in self.supernet.buffers()])
            super().update_weights(*batch)
            updates.append([b.clone() for b in self.supernet.buffers()])

    search = Watched(SMALL, gradient=SecondOrder(), weights_optimizer=fast_sgd)
    before = [alpha.detach().clone() for alpha in search.supernet.alphas.values()]
    quiet_trainer(max_steps=2, limit_val_batches=0).fit(search, datamodule=digits)
    for alpha, old in zip(search.supernet.alphas.values(), before, strict=True):
        assert not torch.equal(alpha, old)
    after_first, before_second = updates[1], updates[2]
    assert all(torch.equal(a, b) for a, b in zip(after_first, before_second, strict=True))


def test_second_order_refuses_other_optimizers_of_the_weights() -> None:
    with pytest.raises(ValueError, match="second order unrolls a step of torch.optim.SGD"):
        ArchitectureSearch(SMALL, gradient=SecondOrder(), weights_optimizer=torch.optim.Adam)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_all_parts_at_once_move_every_architecture_parameter(
    precision: Any, digits: ImageData, tmp_path: Path
) -> None:
    search = ArchitectureSearch(
        SMALL,
        relaxation=Concrete(start=2.0, end=0.5),
        regularizers=[BetaDecay(1.0), ZeroOne(1.0)],
        gradient=SecondOrder(),
        weights_optimizer=fast_sgd,
        partial_channels=2,
        edge_weights=True,
        auxiliary_skip=1.0,
        derivation=SkipLimit(1),
    )
    before = [parameter.detach().clone() for parameter in search.mixture.parameters()]
    settings = choose_precision("cpu", precision)
    callbacks = [CostPenalty("multiply_adds")]
    run = quiet_trainer(max_steps=3, limit_val_batches=1, callbacks=callbacks, **settings)
    run.fit(search, datamodule=digits)
    for parameter, old in zip(search.mixture.parameters(), before, strict=True):
        assert parameter.isfinite().all() and not torch.equal(parameter, old)
    assert search.algorithm == (
        "DARTS, Concrete, SecondOrder, BetaDecay, ZeroOne, ExpectedCost, partial_channels 2, "
        "edge_weights True, auxiliary_skip"
    )
    run.save_checkpoint(tmp_path / "x.ckpt")
    again = ArchitectureSearch.load_from_checkpoint(tmp_path / "x.ckpt")
    assert again.relaxation == Concrete(start=2.0, end=0.5)
    assert again.derivation == SkipLimit(1)
    assert again.derive().choices == search.derive().choices


@pytest.mark.parametrize("named", ["DARTS_V2", "/dev/zero", None])
def test_a_selected_architecture_is_never_looked_up(named: object) -> None:
    with pytest.raises(ValueError, match="expected the content of an architecture"):
        ArchitectureSearch(SMALL).on_load_checkpoint(
            {"selected": True, "architecture": named, "model": {"init_args": {"derivation": None}}}
        )
