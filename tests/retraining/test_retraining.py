"""Training, testing and reloading a discrete net on real digits."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from run_helpers import SMALL, fast_sgd, quiet_trainer

from darts_lite.data.images.image_data import ImageData
from darts_lite.retraining.retraining import Retraining
from darts_lite.space.cells.architecture import Architecture
from darts_lite.storage.checkpoints import Checkpoint
from darts_lite.storage.data_places import hide_places
from darts_lite.training.class_loss import ClassLoss

CELL = (
    (("conv_3x3", 0), ("skip_connect", 1)),
    (("max_pool_3x3", 1), ("conv_3x3", 2)),
)
TINY = Architecture({"normal": CELL, "reduce": CELL}, {}, SMALL.skeleton, "tiny")


def test_it_learns_and_a_reloaded_net_has_the_same_accuracy(
    digits: ImageData, tmp_path: Path
) -> None:
    seed_everything(0, verbose=False)
    model = Retraining(
        TINY,
        optimizer=fast_sgd,
        schedule="one_cycle",
        label_smoothing=0.1,
        drop_path=0.1,
        ema_decay=0.9,
        auxiliary_weight=0.2,
        mixup=0.1,
        smallest_side=0.6,
        test_shifts=1,
    )
    run = quiet_trainer(max_epochs=3)
    run.fit(model, datamodule=digits)
    (metrics,) = run.test(model, datamodule=digits, verbose=False)
    assert metrics["test/accuracy"] > 0.5
    run.save_checkpoint(tmp_path / "net.ckpt", weights_only=True)
    again = Retraining.load_from_checkpoint(tmp_path / "net.ckpt")
    assert again.architecture == TINY
    (repeated,) = quiet_trainer().test(again, datamodule=digits, verbose=False)
    assert repeated == metrics


@pytest.mark.parametrize(
    "limits", [{"max_epochs": 3}, {"max_epochs": 9, "max_steps": 3, "limit_val_batches": 1}]
)
def test_the_last_epoch_is_validated_as_the_net_will_be_tested(
    limits: dict[str, int], digits: ImageData
) -> None:
    answers: dict[int, int] = {}
    model = Retraining(TINY, test_shifts=1)

    class Counted(Callback):
        def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
            def count(*_: Any) -> None:
                answers[module.current_epoch] = answers.get(module.current_epoch, 0) + 1

            self.hook = model.net.register_forward_hook(count)

        def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
            self.hook.remove()

    run = quiet_trainer(
        **limits, limit_train_batches=1, num_sanity_val_steps=0, callbacks=[Counted()]
    )
    run.fit(model, datamodule=digits)
    assert answers == {0: 1, 1: 1, 2: 9}
    run.validate(model, datamodule=digits, verbose=False)
    assert answers[3] == 9


def test_class_weights_are_kept_with_the_net_and_change_its_gradient(
    digits_root: str, tmp_path: Path
) -> None:
    data = ImageData(root=digits_root, train_images=700)
    data.setup("fit")
    kept = data.items.train_labels[data.splits["weights"]] > 1
    kept[:20] = True  # of two classes few are left
    data.splits["weights"] = data.splits["weights"][kept]
    results, counts = [], data.class_counts
    weighted: Any
    for weighted in (None, "balanced"):
        seed_everything(0, verbose=False)
        model = Retraining(TINY, optimizer=fast_sgd, class_weights=weighted)
        run = quiet_trainer(max_epochs=1, limit_val_batches=0)
        run.fit(model, datamodule=data)
        results.append(model.net.skeleton.classifier.weight.detach())
    assert not torch.equal(*results)
    assert counts[0] < counts[5] and int(counts.sum()) == len(data.splits["weights"]) + 315
    assert isinstance(model.loss, ClassLoss) and model.loss.weights is not None
    torch.testing.assert_close(model.loss.weights, (counts.sum() / (10 * counts)).float())
    run.save_checkpoint(tmp_path / "net.ckpt", weights_only=True)
    again = Checkpoint.read(tmp_path / "net.ckpt").build(Retraining)
    assert isinstance(again.loss, ClassLoss) and again.loss.weights is not None
    assert torch.equal(again.loss.weights, model.loss.weights)


def test_a_checkpoint_holds_plain_values_only(digits: ImageData, tmp_path: Path) -> None:
    model = Retraining(TINY, ema_decay=0.9)
    run = quiet_trainer(max_steps=2, limit_val_batches=0)
    run.fit(model, datamodule=digits)
    run.save_checkpoint(tmp_path / "net.ckpt", weights_only=True)
    content = torch.load(tmp_path / "net.ckpt", weights_only=True)
    assert content["model"]["init_args"]["architecture"] == TINY.to_dict()
    assert content["data"] == hide_places(digits.describe())


def test_validation_and_the_result_use_the_averaged_weights(digits: ImageData) -> None:
    seen: list[torch.Tensor] = []

    class Watched(Retraining):
        def on_train_batch_end(self, *_: Any) -> None:
            seen.append(self.net.skeleton.classifier.weight.detach().clone())

    model = Watched(TINY, optimizer=fast_sgd, ema_decay=0.999)
    quiet_trainer(max_steps=3, limit_val_batches=0).fit(model, datamodule=digits)
    result = model.net.skeleton.classifier.weight
    assert not torch.equal(result, seen[-1])
    average = seen[0]
    for count, value in enumerate(seen[1:], start=1):
        average = average.lerp(value, 1 - (1 + count) / (10 + count))
    assert torch.allclose(result, average, atol=1e-6)


def test_drop_path_grows_with_the_epochs(digits: ImageData) -> None:
    rates = []

    class Watched(Retraining):
        def on_train_epoch_end(self) -> None:
            cell: Any = self.net.skeleton.cells[0]
            rates.append(cell.nodes[0].drop_path.rate)

    model = Watched(TINY, drop_path=0.4)
    quiet_trainer(max_epochs=4, limit_train_batches=1, limit_val_batches=0).fit(model, digits)
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3])


def test_the_skeleton_can_be_overridden() -> None:
    model = Retraining("DARTS_V2", channels=4, cells=5, reductions=(1,), stem="conv3x3_stride2")
    frame = model.architecture.frame
    assert (frame["channels"], frame["cells"], frame["reductions"]) == (4, 5, (1,))
    assert frame["stem"] == "conv3x3_stride2"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_epochs": 0}, "max_epochs"),
        ({"drop_path": 1.0}, "drop_path"),
        ({"label_smoothing": -0.1}, "label_smoothing"),
        ({"ema_decay": 1.5}, "ema_decay"),
        ({"mixup": -1.0}, "mixup"),
        ({"smallest_side": 0.0}, "smallest_side"),
        ({"test_shifts": -1}, "test_shifts"),
        ({"auxiliary_weight": -1.0}, "auxiliary_weight"),
        ({"inherit": True}, "inherit needs the path of a search checkpoint"),
        ({"channels": 0}, "channels"),
        ({"class_weights": "even"}, "class_weights must be balanced or null"),
        ({"quantize": True}, "quantize rounds the maps of chains .*; set quantize to false"),
    ],
)
def test_bad_settings_get_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        Retraining(TINY, **settings)
    assert "\n" not in str(error.value)
