"""Random changes of signals."""

import pytest
import torch
from run_helpers import some_digits

from darts_lite.data.signals.signal_changes import SignalAugmentation
from darts_lite.distributed.ranks import Shard

ROWS = some_digits()[0][:40].float()  # (40, 28, 28)


def test_what_is_off_draws_nothing() -> None:
    state = torch.get_rng_state()
    assert torch.equal(SignalAugmentation()(ROWS)[:, :, 0], ROWS)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_shift_moves_all_channels_and_repeats_the_end() -> None:
    torch.manual_seed(0)
    moved = SignalAugmentation(shift=3)(ROWS)[:, :, 0]
    found = set()
    for before, after in zip(ROWS, moved, strict=True):
        places = [(torch.arange(28) - s).clamp(0, 27) for s in range(-3, 4)]
        (shift,) = [s - 3 for s, at in enumerate(places) if torch.equal(before[:, at], after)][:1]
        found.add(shift)
    assert found == {*range(-3, 4)}


def test_scale_is_one_factor_for_each_signal() -> None:
    torch.manual_seed(0)
    scaled = SignalAugmentation(scale=0.3)(ROWS)[:, :, 0]
    factors = scaled.sum(dim=(1, 2)) / ROWS.sum(dim=(1, 2))
    torch.testing.assert_close(scaled, ROWS * factors[:, None, None])
    assert 0.7 <= float(factors.min()) < 0.8 and 1.2 < float(factors.max()) <= 1.3


def test_noise_comes_after_normalisation() -> None:
    torch.manual_seed(0)
    noisy = SignalAugmentation(noise=0.5)(ROWS, lambda rows: 0 * rows.unsqueeze(2))
    assert noisy.shape == (40, 28, 1, 28)
    assert float(noisy.std()) == pytest.approx(0.5, rel=0.02)


def test_a_stretch_is_erased_in_all_channels() -> None:
    torch.manual_seed(0)
    erased = SignalAugmentation(erase=5)(ROWS + 1)[:, :, 0] == 0
    assert (erased == erased[:, :1]).all()
    lengths = erased[:, 0].sum(dim=1)
    assert lengths.max() == 5 and lengths.min() >= 3


def test_several_processes_draw_what_one_draws() -> None:
    change = SignalAugmentation(2, 0.1, 0.1, 3)
    torch.manual_seed(0)
    whole = change(ROWS)
    for rank in range(2):
        torch.manual_seed(0)
        part = change(ROWS[rank::2], part=Shard(rank, 2))
        torch.testing.assert_close(part, whole[rank::2])


@pytest.mark.parametrize(
    ("name", "value"), [("shift", 0.5), ("shift", -1), ("scale", 1), ("noise", -0.1), ("erase", -1)]
)
def test_what_is_out_of_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be .*, got {value}"):
        SignalAugmentation(**{name: value})  # type: ignore[arg-type]


def test_a_channel_is_scaled_about_its_mean() -> None:
    torch.manual_seed(0)
    far = ROWS + 1e5
    mean = far.mean(dim=(0, 2), keepdim=True)  # (1, 28, 1)
    scaled = SignalAugmentation(scale=0.3)(far, lambda rows: (rows - mean).unsqueeze(2))[:, :, 0]
    assert float((scaled - (far - mean)).abs().max()) <= 0.31 * float((far - mean).abs().max())
