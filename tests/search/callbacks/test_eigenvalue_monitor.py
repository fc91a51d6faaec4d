"""A search that grows sharp is stopped and goes back."""

import pytest
import torch
from lightning.pytorch import seed_everything
from run_helpers import SMALL, fast_sgd, quiet_trainer, some_digits
from torch.nn.functional import cross_entropy

from darts_lite.data.images.image_data import ImageData
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.callbacks.eigenvalue_monitor import (
    EigenvalueMonitor,
    compute_dominant_eigenvalue,
)


def batch(first: int, count: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = some_digits()
    chosen = slice(first, first + count)
    return images[chosen].unsqueeze(1).float() / 255 - 0.1, labels[chosen].long()


def test_the_eigenvalue_is_the_hessians_largest(digits: ImageData) -> None:
    values = []

    class Watched(ArchitectureSearch):
        def on_train_end(self) -> None:
            images, labels = batch(0, 24)
            self.double()
            state = {name: value.clone() for name, value in self.state_dict().items()}
            values.append(compute_dominant_eigenvalue(self, images.double(), labels, 100))
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


def test_a_search_too_short_to_be_watched_is_told(digits: ImageData) -> None:
    search = ArchitectureSearch(SMALL, weights_optimizer=fast_sgd)
    run = quiet_trainer(
        max_epochs=1, limit_train_batches=1, limit_val_batches=0, callbacks=[EigenvalueMonitor()]
    )
    with pytest.warns(UserWarning, match="needs 10 epochs .* but trainer.max_epochs is 1"):
        run.fit(search, datamodule=digits)
