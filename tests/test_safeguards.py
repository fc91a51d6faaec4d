"""Frozen operations and the watch on sharpness, on real digits."""

import pytest
import torch
from lightning.pytorch import seed_everything
from runs import SMALL, fast_sgd, quiet_trainer, some_digits
from torch.nn.functional import cross_entropy

from darts_lite.data import ImageData
from darts_lite.relaxation import GumbelMax
from darts_lite.safeguards import (
    EigenvalueMonitor,
    OperationFreezing,
    cosines,
    dominant_eigenvalue,
    operations_of,
)
from darts_lite.search import ArchitectureSearch


def batch(first: int, count: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = some_digits()
    chosen = slice(first, first + count)
    return images[chosen].unsqueeze(1).float() / 255 - 0.1, labels[chosen].long()


def test_cosines_are_those_of_the_two_gradients(digits: ImageData) -> None:
    found = []

    class Watched(ArchitectureSearch):
        def training_step(self, batch: object, index: int) -> None:
            operations = operations_of(self)
            state = {name: value.clone() for name, value in self.state_dict().items()}
            same = {"alphas": batch["weights"], "weights": batch["weights"]}  # type: ignore[index]
            found.append(cosines(self, same, operations))
            found.append(cosines(self, batch, operations))  # type: ignore[arg-type]
            assert all(torch.equal(state[name], v) for name, v in self.state_dict().items())

            gradients = []
            mixing = {k: w.detach() for k, w in self.mixture.drawn(0.0).items()}
            for split in ("alphas", "weights"):
                images, labels = batch[split]  # type: ignore[index]
                self.zero_grad()
                cross_entropy(self.supernet(images, mixing), labels).backward()
                gradients.append(
                    {
                        n: torch.cat([p.grad.flatten() for p in o.parameters()])  # type: ignore[union-attr]
                        for n, o in operations.items()
                    }
                )
            found.append(
                {
                    n: float(torch.cosine_similarity(gradients[0][n], gradients[1][n], dim=0))
                    for n in operations
                }
            )

    search = Watched(SMALL, weights_optimizer=fast_sgd)
    quiet_trainer(max_epochs=1, limit_train_batches=1, limit_val_batches=0).fit(
        search, datamodule=digits
    )
    same, measured, expected = found
    assert all(value == pytest.approx(1, abs=1e-4) for value in same.values())
    assert measured == pytest.approx(expected, abs=1e-3)
    assert min(measured.values()) < 0.99


def test_operations_that_were_not_drawn_tell_nothing(digits: ImageData) -> None:
    found = []

    class Watched(ArchitectureSearch):
        def training_step(self, batch: object, index: int) -> None:
            same = {"alphas": batch["weights"], "weights": batch["weights"]}  # type: ignore[index]
            found.append((cosines(self, same, operations_of(self)), operations_of(self)))

    search = Watched(SMALL, relaxation=GumbelMax())
    quiet_trainer(max_epochs=1, limit_train_batches=1, limit_val_batches=0).fit(
        search, datamodule=digits
    )
    ((measured, operations),) = found
    assert 0 < len(measured) < len(operations)
    assert all(value == pytest.approx(1, abs=1e-4) for value in measured.values())


def test_what_is_low_is_frozen_for_good(digits: ImageData, tmp_path: object) -> None:
    freezing = OperationFreezing(threshold=1.0, window=2, every_n_steps=1)  # all are below 1
    search = ArchitectureSearch(SMALL, weights_optimizer=fast_sgd)
    run = quiet_trainer(max_steps=2, limit_val_batches=0, callbacks=[freezing])
    run.fit(search, datamodule=digits)
    operations = operations_of(search)
    assert freezing.frozen == set(operations)
    before = {
        name: [p.detach().clone() for p in operation.parameters()]
        for name, operation in operations.items()
    }
    again = OperationFreezing(threshold=1.0, window=2, every_n_steps=1)
    again.load_state_dict(freezing.state_dict())
    stem = search.supernet.skeleton.stem
    stem_before = [p.detach().clone() for p in stem.parameters()]
    quiet_trainer(max_steps=2, limit_val_batches=0, callbacks=[again]).fit(
        search, datamodule=digits
    )
    for name, operation in operations.items():
        for weight, old in zip(operation.parameters(), before[name], strict=True):
            assert torch.equal(weight, old)
    moved = zip(stem.parameters(), stem_before, strict=True)
    assert not any(torch.equal(weight, old) for weight, old in moved)


def test_what_was_frozen_later_learns_again_where_a_search_goes_back(digits: ImageData) -> None:
    search = ArchitectureSearch(SMALL, weights_optimizer=fast_sgd)
    watch = OperationFreezing(threshold=1.0, window=1, every_n_steps=1)
    before = watch.state_dict()
    settings = {"max_steps": 2, "limit_val_batches": 0}
    quiet_trainer(callbacks=[watch], **settings).fit(search, datamodule=digits)
    assert watch.frozen
    watch.load_state_dict(before)
    watch.on_fit_start(quiet_trainer(), search)
    assert all(parameter.requires_grad for parameter in search.supernet.weights())


class AllGradients(ArchitectureSearch):
    """Gradients of all weights, as a step has them that was captured before some were frozen."""

    def weights_gradients(self, *batch: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        logits, loss, *_ = super().weights_gradients(*batch)
        return logits, loss, *(torch.ones_like(weight) for weight in self.supernet.weights())


def test_frozen_weights_stay_whatever_gradients_there_are(digits: ImageData) -> None:
    search = AllGradients(SMALL, weights_optimizer=fast_sgd)
    frozen, moving = list(operations_of(search).values())[:2]
    frozen.requires_grad_(False)
    before = [next(iter(each.parameters())).clone() for each in (frozen, moving)]
    quiet_trainer(max_steps=1, limit_val_batches=0).fit(search, datamodule=digits)
    after = [next(iter(each.parameters())) for each in (frozen, moving)]
    assert torch.equal(before[0], after[0]) and not torch.equal(before[1], after[1])


def test_nothing_is_frozen_below_the_lowest_cosine(digits: ImageData) -> None:
    freezing = OperationFreezing(threshold=-1.0, window=1, every_n_steps=1)
    search = ArchitectureSearch(SMALL, weights_optimizer=fast_sgd)
    quiet_trainer(max_steps=2, limit_val_batches=0, callbacks=[freezing]).fit(
        search, datamodule=digits
    )
    assert not freezing.frozen
    assert all(p.requires_grad for p in search.supernet.weights())


def test_the_eigenvalue_is_the_hessians_largest(digits: ImageData) -> None:
    values = []

    class Watched(ArchitectureSearch):
        def on_train_end(self) -> None:
            images, labels = (part[:64] for part in batch(0, 64))
            self.double()
            state = {name: value.clone() for name, value in self.state_dict().items()}
            values.append(dominant_eigenvalue(self, images.double(), labels, 200))
            assert all(torch.equal(state[name], v) for name, v in self.state_dict().items())
            alphas = list(self.supernet.alphas.values())

            def loss(*parts: torch.Tensor) -> torch.Tensor:
                mixing = dict(
                    zip(self.supernet.alphas, (p.softmax(-1) for p in parts), strict=True)
                )
                return cross_entropy(self.supernet(images.double(), mixing), labels)

            blocks = torch.autograd.functional.hessian(loss, tuple(alphas))
            rows = [
                torch.cat([b.reshape(a.numel(), -1) for b in row], dim=1)
                for a, row in zip(alphas, blocks, strict=True)
            ]
            eigenvalues = torch.linalg.eigvalsh(torch.cat(rows))
            values.append(float(max(eigenvalues, key=abs)))

    search = Watched(SMALL, weights_optimizer=fast_sgd)
    quiet_trainer(max_steps=10, limit_val_batches=0).fit(search, datamodule=digits)
    found, expected = values
    assert found == pytest.approx(expected, rel=1e-2)


def test_a_search_that_grows_sharp_goes_back(
    digits: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed_everything(0, verbose=False)
    monitor = EigenvalueMonitor(factor=1e-9, window=1, iterations=2)  # any growth is too much
    search = ArchitectureSearch(SMALL, weights_optimizer=fast_sgd)
    seen: list[list[torch.Tensor]] = []
    original = EigenvalueMonitor.on_train_epoch_end

    def watched(self: EigenvalueMonitor, trainer: object, module: ArchitectureSearch) -> None:
        seen.append([p.detach().clone() for p in module.mixture.parameters()])
        original(self, trainer, module)  # type: ignore[arg-type]

    monkeypatch.setattr(EigenvalueMonitor, "on_train_epoch_end", watched)
    run = quiet_trainer(
        max_epochs=6, limit_train_batches=3, limit_val_batches=0, callbacks=[monitor]
    )
    run.fit(search, datamodule=digits)
    positive = [value > 0 for value in monitor.eigenvalues]
    assert all(positive), "the test wants a loss that curves upwards"
    assert run.current_epoch == 2
    for parameter, first in zip(search.mixture.parameters(), seen[0], strict=True):
        assert torch.equal(parameter, first)


def test_a_calm_search_goes_on_and_a_monitor_resumes(digits: ImageData) -> None:
    monitor = EigenvalueMonitor(factor=1e9, window=1, iterations=2)
    search = ArchitectureSearch(SMALL, weights_optimizer=fast_sgd)
    run = quiet_trainer(
        max_epochs=3, limit_train_batches=2, limit_val_batches=0, callbacks=[monitor]
    )
    run.fit(search, datamodule=digits)
    assert run.current_epoch == 3 and len(monitor.eigenvalues) == 3
    again = EigenvalueMonitor(factor=1e9, window=1)
    again.load_state_dict(monitor.state_dict())
    assert again.eigenvalues == monitor.eigenvalues


def test_numbers_out_of_range_are_refused() -> None:
    for make in (
        lambda: OperationFreezing(threshold=2.0),
        lambda: OperationFreezing(window=0),
        lambda: EigenvalueMonitor(factor=0.0),
        lambda: EigenvalueMonitor(iterations=0),
    ):
        with pytest.raises(ValueError, match="at least 1; got"):
            make()


def test_a_search_too_short_to_be_watched_is_told(digits: ImageData) -> None:
    search = ArchitectureSearch(SMALL, weights_optimizer=fast_sgd)
    run = quiet_trainer(
        max_epochs=1, limit_train_batches=1, limit_val_batches=0, callbacks=[EigenvalueMonitor()]
    )
    with pytest.warns(UserWarning, match="the 1 epochs of this search are too few"):
        run.fit(search, datamodule=digits)
