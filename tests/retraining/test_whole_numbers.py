"""The rounding of an int8 file in the last part of a training, on real digits."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import seed_everything
from rank_helpers import RANKS, on_all_ranks, own
from run_helpers import all_digits, fast_sgd, quiet_trainer
from training_helpers import At, trained

from darts_lite.data.images.image_data import ImageData
from darts_lite.distributed.batch_norm import join_norms
from darts_lite.distributed.ranks import average_gradients
from darts_lite.networks.net import Net
from darts_lite.retraining.retraining import Retraining
from darts_lite.retraining.whole_numbers import Grid, is_rounded, pass_rounded, round_weight
from darts_lite.runs.precision import choose_precision
from darts_lite.space.layers.chain import Block, Chain

CHAIN = Chain(
    3,
    4,
    2,
    (Block(3, 4, full=True), Block(3, 4, expansion=2, residual=True), Block(5, 6, 2)),
    head=2,
)


def digits_of(count: int) -> torch.Tensor:
    return (all_digits()[0][:count, None] / 255 - 0.13) / 0.31


def retraining() -> Retraining:
    torch.manual_seed(1)
    return Retraining(CHAIN, optimizer=fast_sgd, schedule="one_cycle", ema_decay=0.9, quantize=True)


def test_maps_and_weights_have_the_values_of_whole_numbers() -> None:
    net, seen = Net(CHAIN, 1, 10), list[torch.Tensor]()
    for block in net.skeleton.blocks:
        block.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    net.skeleton.classifier.register_forward_hook(lambda *call: seen.append(call[1][0].detach()))
    logits, auxiliary = pass_rounded(net, digits_of(64))
    assert auxiliary is None and len(seen) == 4
    for values in (*seen, logits.detach()):
        levels = values.flatten().sort().values.diff()  # what is no step is an error of floats
        assert 20 < (levels > 1e-5 * values.abs().max()).sum() <= 255
    weight = net.skeleton.stem[0].weight
    rounded = round_weight(weight)
    assert (rounded - weight).abs().max() <= weight.abs().max() / 127 / 2 + 1e-7
    assert all(len(channel.unique()) <= 255 for channel in rounded)


def test_rounding_passes_gradients_to_all_weights_and_changes_nothing_else() -> None:
    net = Net(CHAIN, 1, 10)
    before = {name: value.clone() for name, value in net.named_parameters()}
    pass_rounded(net, digits_of(64))[0].square().mean().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.named_parameters())
    assert not any(module._forward_hooks for module in net.modules())
    assert not any(module._forward_pre_hooks for module in net.modules())
    net.eval()
    with torch.no_grad():
        plain, rounded = net(digits_of(500)), pass_rounded(net, digits_of(500))[0]
    assert not torch.equal(plain, rounded)
    assert (plain.argmax(dim=1) == rounded.argmax(dim=1)).float().mean() > 0.95


def test_a_value_that_is_no_number_is_not_rounded_to_one() -> None:
    images = digits_of(8)
    images[3, 0, 5, 5] = torch.nan
    assert not pass_rounded(Net(CHAIN, 1, 10), images)[0].isfinite().all()
    assert Grid.of(torch.zeros(2, 3)).round(torch.zeros(2, 3)).eq(0).all()
    half = torch.zeros(2, 3, dtype=torch.float16)
    assert Grid.of(half).round(half).eq(0).all()


def test_the_last_fifth_is_rounded_and_at_least_an_epoch() -> None:
    assert [is_rounded(step, 100, 10) for step in (0, 79, 80, 99)] == [False, False, True, True]
    assert [is_rounded(step, 30, 10) for step in (0, 19, 20)] == [False, False, True]
    assert is_rounded(0, 5, 5)


def test_a_training_differs_in_its_last_part_and_leaves_a_plain_net(
    digits: ImageData, tmp_path: Path
) -> None:
    states = dict[bool, list[dict[str, torch.Tensor]]]()
    for rounded in (False, True):

        class Watched(Retraining):
            def on_train_epoch_end(self) -> None:
                state = self.net.state_dict().items()
                states[self.recipe.quantize].append({k: v.clone() for k, v in state})

        states[rounded] = []
        seed_everything(0, verbose=False)
        model = Watched(CHAIN, optimizer=fast_sgd, quantize=rounded)
        run = quiet_trainer(max_epochs=3, limit_train_batches=8)
        run.fit(model, datamodule=digits)
    for epoch, same in enumerate((True, True, False)):
        plain, other = states[False][epoch], states[True][epoch]
        assert plain.keys() == other.keys()
        assert all(torch.equal(plain[name], other[name]) for name in plain) == same
    run.save_checkpoint(tmp_path / "net.ckpt", weights_only=True)
    net = Net.from_run(tmp_path / "net.ckpt")
    images = digits_of(20)
    assert torch.equal(net(images), model.eval().net(images))


@pytest.mark.parametrize("precision", ["32-true", "16-mixed"])
def test_a_training_that_stops_while_it_is_rounded_goes_on_exactly(
    precision: str, digits_root: str, tmp_path: Path
) -> None:
    class Cut(Exception):
        pass

    def cut() -> None:
        raise Cut

    def go(name: str, interrupt: Any = None) -> dict[str, torch.Tensor]:
        settings = choose_precision("cpu", precision)
        return trained(retraining, digits_root, tmp_path / name, interrupt, settings)

    whole = go("a.ckpt")
    assert all(bool(value.isfinite().all()) for value in whole.values())
    with pytest.raises(Cut):
        go("b.ckpt", At(27, cut))  # of 36 steps the last 18 are rounded
    again = go("b.ckpt")
    assert all(torch.equal(value, again[name]) for name, value in whole.items())


def rounded_gradients() -> list[torch.Tensor]:
    torch.manual_seed(2)
    net: Any = join_norms(Net(CHAIN, 1, 10)).double()
    logits, _ = pass_rounded(net, own(digits_of(32)).double())
    logits.square().mean().backward()
    average_gradients(net.parameters())
    return [p.grad for p in net.parameters()]


@pytest.mark.slow
def test_ranks_round_as_one_process_with_the_joint_batch(tmp_path: Path) -> None:
    whole = rounded_gradients()
    for found in on_all_ranks(tmp_path, rounded_gradients):
        torch.testing.assert_close(found, whole, rtol=1e-9, atol=1e-9)
    assert RANKS == 2 and any(bool(gradient.any()) for gradient in whole)
