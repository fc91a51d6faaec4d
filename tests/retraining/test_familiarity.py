"""Which images are of the kind that a net was trained on."""

from pathlib import Path

import pytest
import torch
from run_helpers import fast_sgd, quiet_trainer

from darts_lite.data.images.image_data import ImageData
from darts_lite.retraining.familiarity import Familiarity, compute_features, reading_features
from darts_lite.retraining.retraining import Retraining
from darts_lite.space.layers.layer_space import LayerSpace
from darts_lite.storage.checkpoints import Checkpoint

SPACE = LayerSpace(
    stem_widths=(8,), stages=(1, 1), widths=(24,), heads=(3,), placements=("stem 1",)
)
CHANGED: tuple[object, ...] = (
    *({}, 3, {"references": torch.ones(3), "farthest": 0.5}),
    *({"references": torch.ones(2, 3)}, {"references": torch.ones(2, 3) / 0, "farthest": 0.5}),
)


@pytest.fixture(scope="module")
def trained(digits_root: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a small net of digits."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("net") / "net.ckpt"
    model = Retraining(SPACE.first_architecture(), optimizer=fast_sgd)
    run = quiet_trainer(max_epochs=2)
    run.fit(model, datamodule=ImageData(root=digits_root))
    run.save_checkpoint(path, weights_only=True)
    return path


def test_digits_are_known_and_noise_and_negatives_are_not(trained: Path, digits: ImageData) -> None:
    checkpoint = Checkpoint.read(trained)
    net, known = checkpoint.build(Retraining).net.eval(), Familiarity.read(checkpoint)
    assert known is not None and len(known.references) == 256
    digits.setup("test")
    pixels = digits.sample_test(300)[0]
    torch.manual_seed(0)
    shares = []
    for images in (pixels, 1 - pixels, torch.rand_like(pixels)):
        with torch.no_grad(), reading_features(net) as seen:
            net(digits.normalize(images))
        shares.append(float(known.find_unlike(seen.pop()).float().mean()))
    assert shares[0] < 0.05 and min(shares[1:]) > 0.9


def test_the_limit_holds_for_the_share_of_validation_images_that_it_says(
    trained: Path, digits: ImageData
) -> None:
    net = Checkpoint.read(trained).build(Retraining).net
    digits.setup("fit")
    parts = digits.alphas_dataloader(), digits.val_dataloader()
    known = Familiarity.measure(net, *parts)
    assert known is not None
    features = compute_features(net, parts[1], 1000)
    assert features is not None
    assert float(known.find_unlike(features).float().mean()) == pytest.approx(0.01, abs=0.004)
    again = Familiarity.read(Checkpoint.read(trained))
    assert again is not None and again.farthest == pytest.approx(known.farthest, abs=1e-3)


class Gated(torch.nn.Module):
    """What stands last in the code is no classifier, and some of it never runs."""

    def __init__(self, pools: bool) -> None:
        super().__init__()
        self.pools, self.head = pools, torch.nn.Linear(4, 10)
        self.gate, self.unused = torch.nn.Linear(4, 4), torch.nn.Linear(7, 7)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rows = images[:, 0].unfold(2, 4, 4).mean(1)  # (B, 7, 4)
        if not self.pools:
            return self.head(rows).mean(1)
        mean = rows.mean(1)
        return self.head(mean * self.gate(mean).sigmoid())


def test_the_layer_is_read_that_gives_the_logits(digits: ImageData) -> None:
    digits.setup("fit")
    batches, net = [*digits.val_dataloader()][:1], Gated(pools=True)
    features = compute_features(net, batches, 8)
    assert features is not None and features.shape == (8, 4)
    with reading_features(net) as seen:
        logits = net(batches[0][0])
    torch.testing.assert_close(net.head(seen.pop()), logits)
    assert Familiarity.measure(net, batches, batches) is not None


@pytest.mark.parametrize("net", [torch.nn.Conv2d(1, 2, 1), Gated(pools=False)])
def test_a_net_whose_logits_are_of_no_linear_layer_tells_nothing(
    net: torch.nn.Module, digits: ImageData
) -> None:
    digits.setup("fit")
    batches = [*digits.val_dataloader()][:1]
    assert Familiarity.measure(net, batches, batches) is None


@pytest.mark.parametrize("held", CHANGED)
def test_what_was_changed_is_refused(held: object, trained: Path) -> None:
    checkpoint = Checkpoint.read(trained)
    checkpoint.content["familiarity"] = held
    with pytest.raises(ValueError, match="familiarity is .*it was changed"):
        Familiarity.read(checkpoint)
    checkpoint.content.pop("familiarity")
    assert Familiarity.read(checkpoint) is None
    with pytest.raises(ValueError, match="is of another net"):
        Familiarity(torch.ones(2, 3), 0.5).find_unlike(torch.ones(2, 4))
