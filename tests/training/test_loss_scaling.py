"""Few bits on the CPU, and numbers that are none, on real digits."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback
from planted import found_share, planted_space
from run_helpers import SMALL, fast_sgd, quiet_trainer, some_slow

from darts_lite.data.images.image_data import ImageData
from darts_lite.retraining.retraining import Retraining
from darts_lite.runs.precision import choose_precision
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.bilevel import ArchitectureGradient, FirstOrder, SecondOrder
from darts_lite.training.checkpointing import AtomicCheckpointIO, StageCheckpoint
from darts_lite.training.loss_scaling import SkippedSteps, find_scaler
from darts_lite.training.nonfinite import NonFiniteGuard


class Infinity(Callback):
    """Puts an infinite pixel into a batch of a split, from a step on, so many times."""

    def __init__(self, split: str, step: int, times: int = 1) -> None:
        self.split, self.step, self.times = split, step, times
        self.scales: list[float] = []

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self.step <= batch_idx < self.step + self.times:
            images = batch[self.split][0] if isinstance(batch, dict) else batch[0]
            images[0, 0, 14, 14] = torch.inf
        if (scaler := find_scaler(trainer)) is not None:
            self.scales.append(scaler.get_scale())


def trained(
    model: LightningModule, precision: str, data: ImageData, path: Path, own: Callback, **more: Any
) -> Trainer:
    """After a training with the callbacks and the checkpoints of a run."""
    guards = [SkippedSteps(), NonFiniteGuard(path), StageCheckpoint(path, every_steps=1)]
    settings = choose_precision("cpu", precision)
    plugins = [*settings.pop("plugins", []), AtomicCheckpointIO()]
    run = quiet_trainer(
        callbacks=[own, *guards], plugins=plugins, enable_checkpointing=True, **settings, **more
    )
    run.fit(model, datamodule=data)
    return run


def search(gradient: ArchitectureGradient | None = None) -> ArchitectureSearch:
    seed_everything(0, verbose=False)
    return ArchitectureSearch(SMALL, gradient=gradient, weights_optimizer=fast_sgd)


def finite(model: torch.nn.Module) -> bool:
    return all(bool(value.isfinite().all()) for value in model.state_dict().values())


@pytest.mark.parametrize("gradient", some_slow([FirstOrder(), SecondOrder()], [SecondOrder(0.01)]))
@pytest.mark.parametrize("split", ["alphas", "weights"])
def test_float16_skips_an_infinity_and_goes_on(
    split: str, gradient: ArchitectureGradient, digits: ImageData, tmp_path: Path
) -> None:
    model, planted = search(gradient), Infinity(split, 3)
    run = trained(
        model,
        "16-mixed",
        digits,
        tmp_path / "x.ckpt",
        planted,
        max_epochs=1,
        limit_train_batches=8,
        limit_val_batches=1,
    )
    assert finite(model)
    assert run.global_step == 8
    looks_ahead = isinstance(gradient, SecondOrder) and split == "weights"
    assert model.architecture_steps == (7 if split == "alphas" or looks_ahead else 8)
    lowered = planted.scales[4] / planted.scales[3]
    assert lowered == (0.25 if looks_ahead else 0.5)  # of either step
    assert planted.scales[5:] == planted.scales[4:5] * 3
    assert run.callback_metrics["search/validation_loss"].isfinite()


@pytest.mark.parametrize("split", ["alphas", "weights"])
def test_float16_does_not_skip_for_ever(split: str, digits: ImageData, tmp_path: Path) -> None:
    path, planted = tmp_path / "x.ckpt", Infinity(split, 3, 100)
    with pytest.raises(ValueError, match=f"search/{split}_loss is nan in step 20; the last good"):
        trained(search(), "16-mixed", digits, path, planted, max_epochs=1)
    assert planted.scales[3] == 2.0**16 and planted.scales[-1] == 1
    assert finite(ArchitectureSearch.load_from_checkpoint(path))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "64-true"])
@pytest.mark.parametrize("split", ["alphas", "weights"])
def test_other_precisions_stop_at_an_infinity_with_finite_alphas(
    split: str, precision: str, digits: ImageData, tmp_path: Path
) -> None:
    model, path = search(), tmp_path / "x.ckpt"
    with pytest.raises(ValueError, match=rf"search/{split}_\w+ is \w+ in step 4; the last good"):
        trained(model, precision, digits, path, Infinity(split, 3), max_epochs=1)
    assert all(bool(alphas.isfinite().all()) for alphas in model.mixture.parameters())
    content = torch.load(path, weights_only=True)
    assert content["global_step"] == 3
    assert finite(ArchitectureSearch.load_from_checkpoint(path))


@pytest.mark.slow
@pytest.mark.parametrize("clip", some_slow([5.0], [0.0]))
def test_a_retraining_keeps_its_averages_finite(
    clip: float, digits: ImageData, tmp_path: Path
) -> None:
    def net() -> Retraining:
        torch.manual_seed(1)
        found = ArchitectureSearch(SMALL).derive()
        return Retraining(found, optimizer=fast_sgd, ema_decay=0.9, gradient_clip=clip)

    model, path = net(), tmp_path / "x.ckpt"
    run = trained(model, "16-mixed", digits, path, Infinity("", 3), max_epochs=1)
    assert finite(model)
    assert run.callback_metrics["retraining/validation_loss"].isfinite()
    with pytest.raises(ValueError, match=r"retraining/\w+ is nan in step 4; the last good"):
        trained(net(), "32-true", digits, path, Infinity("", 3), max_epochs=1)
    assert finite(Retraining.load_from_checkpoint(path))


class InfiniteGradient(ArchitectureSearch):
    """A gradient that is infinite in one step, while the loss is a number."""

    def weights_gradients(self, *batch: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        logits, loss, *gradients = super().weights_gradients(*batch)
        if self.global_step == 3:
            gradients = [g if g is None else torch.full_like(g, torch.inf) for g in gradients]
        return logits, loss, *gradients


@pytest.mark.parametrize("precision", ["32-true", "16-mixed"])
def test_an_infinite_gradient_is_seen_before_it_is_saved(
    precision: str, digits: ImageData, tmp_path: Path
) -> None:
    model, path = InfiniteGradient(SMALL), tmp_path / "x.ckpt"
    settings = {"max_epochs": 1, "limit_train_batches": 8, "limit_val_batches": 1}
    if precision == "16-mixed":  # which is what overflow looks like
        trained(model, precision, digits, path, Callback(), **settings)
        assert finite(model)
    else:
        with pytest.raises(ValueError, match="weights_gradient is .* in step 4; the last good"):
            trained(model, precision, digits, path, Callback(), **settings)
        assert finite(ArchitectureSearch.load_from_checkpoint(path))


class Watched(ArchitectureSearch):
    """Notes in which numbers it computes, and the norms of its gradient around clipping."""

    def on_fit_start(self) -> None:
        super().on_fit_start()
        self.kinds: set[torch.dtype] = set()
        self.norms: list[tuple[float, float]] = []
        for module in self.supernet.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
                module.register_forward_hook(lambda *seen: self.kinds.add(seen[2].dtype))

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        before = self._norm()
        super().on_before_optimizer_step(optimizer)
        self.norms.append((before, self._norm()))

    def _norm(self) -> float:
        gradients = [p.grad for p in self.supernet.weights() if p.grad is not None]
        return float(torch.nn.utils.get_total_norm(gradients))


def test_gradients_are_clipped_after_unscaling(digits: ImageData, tmp_path: Path) -> None:
    norms = {}
    for precision in ("32-true", "16-mixed"):
        seed_everything(0, verbose=False)
        model = Watched(SMALL, gradient_clip=0.1)
        path = tmp_path / precision
        trained(model, precision, digits, path, Callback(), max_steps=3, limit_val_batches=0)
        norms[precision] = torch.tensor(model.norms)
    exact, scaled = norms.values()
    assert (exact[:, 0] > 0.2).all()  # or there was nothing to clip
    assert torch.allclose(scaled[:, 0], exact[:, 0], rtol=0.02)
    assert torch.allclose(scaled[:, 1], torch.full((3,), 0.1), rtol=1e-3)


KINDS = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "order"), [("bf16-mixed", "first"), ("16-mixed", "second")])
def test_a_short_search_with_few_bits_learns_and_finds_what_is_useful(
    precision: str, order: str, digits: ImageData, tmp_path: Path
) -> None:
    seed_everything(0, verbose=False)
    model = Watched(
        planted_space(),
        gradient=FirstOrder() if order == "first" else SecondOrder(),
        weights_optimizer=fast_sgd,
        alphas_optimizer=lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.5, 0.999)),
    )
    run = trained(model, precision, digits, tmp_path / "x.ckpt", Callback(), max_epochs=1)
    assert model.kinds == {KINDS[precision]}
    accuracy = float(run.callback_metrics["search/validation_accuracy"])
    print(f"{precision}, {order} order: {accuracy:.1%} after {run.global_step} steps")
    assert accuracy > 0.3
    assert found_share(model) == 1


def test_a_fused_optimizer_cannot_be_clipped_in_float16(digits: ImageData, tmp_path: Path) -> None:
    def fused(parameters: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=0.1, momentum=0.9, fused=True)

    model = ArchitectureSearch(SMALL, weights_optimizer=fused)
    short = {"max_steps": 1, "limit_val_batches": 0}
    with pytest.raises(ValueError, match="a fused SGD cannot be clipped in 16-mixed; leave out"):
        trained(model, "16-mixed", digits, tmp_path / "x.ckpt", Callback(), **short)
    trained(model, "bf16-mixed", digits, tmp_path / "x.ckpt", Callback(), **short)
