"""Frozen operations and the watch on sharpness, on real digits."""

import pytest
import torch
from own_networks import Tied
from run_helpers import SMALL, fast_sgd, quiet_trainer, some_digits
from torch.nn.functional import cross_entropy

from darts_lite.data.images.image_data import ImageData
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.callbacks.eigenvalue_monitor import EigenvalueMonitor
from darts_lite.search.callbacks.operation_freezing import (
    OperationFreezing,
    find_operations,
    measure_cosines,
)
from darts_lite.search.relaxations import GumbelMax


def batch(first: int, count: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = some_digits()
    chosen = slice(first, first + count)
    return images[chosen].unsqueeze(1).float() / 255 - 0.1, labels[chosen].long()


def test_cosines_are_those_of_the_two_gradients(digits: ImageData) -> None:
    found = []

    class Watched(ArchitectureSearch):
        def training_step(self, batch: object, index: int) -> None:
            operations = find_operations(self)
            state = {name: value.clone() for name, value in self.state_dict().items()}
            same = {"alphas": batch["weights"], "weights": batch["weights"]}  # type: ignore[index]
            found.append(measure_cosines(self, same, operations))
            found.append(measure_cosines(self, batch, operations))  # type: ignore[arg-type]
            assert all(torch.equal(state[name], v) for name, v in self.state_dict().items())

            gradients = []
            mixing = {k: w.detach() for k, w in self.mixture.sample(0.0).items()}
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
            found.append(
                (measure_cosines(self, same, find_operations(self)), find_operations(self))
            )

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
    operations = find_operations(search)
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
    frozen, moving = list(find_operations(search).values())[:2]
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


def test_numbers_out_of_range_are_refused() -> None:
    for make in (
        lambda: OperationFreezing(threshold=2.0),
        lambda: OperationFreezing(window=0),
        lambda: EigenvalueMonitor(factor=0.0),
        lambda: EigenvalueMonitor(iterations=0),
    ):
        with pytest.raises(ValueError, match="at least 1; got"):
            make()


def test_what_the_user_froze_stays_frozen_and_tied_choices_are_two() -> None:
    search = ArchitectureSearch(Tied, image_size=28)
    held = {name for name, weight in search.named_parameters() if not weight.requires_grad}
    operations = find_operations(search)
    assert len(held) == 2 and len(operations) == 5
    (outer,) = (name for name in operations if name.endswith("later.modules_by_option.option:c5"))
    freezing, trainer = OperationFreezing(), quiet_trainer(max_epochs=1)
    freezing.load_state_dict({"frozen": [outer], "cosines": {}})
    freezing.on_fit_start(trainer, search)  # with what is inside of it
    now = {name for name, weight in search.named_parameters() if not weight.requires_grad}
    assert len(now) == 4 and held < now
    freezing.load_state_dict({"frozen": [], "cosines": {}})
    freezing.on_fit_start(trainer, search)
    again = {name for name, weight in search.named_parameters() if not weight.requires_grad}
    assert again == held
