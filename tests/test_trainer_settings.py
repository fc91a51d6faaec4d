"""Precision by device, and settings that are refused."""

from typing import Any

import pytest
import torch

from darts_lite.trainer_settings import choose_precision, refuse_unsupported


def test_precision_follows_the_device() -> None:
    if not torch.cuda.is_available():
        assert choose_precision("auto", None) == {"precision": "32-true"}
    assert choose_precision("cpu", None) == {"precision": "32-true"}
    assert choose_precision("cpu", "bf16-mixed") == {"precision": "bf16-mixed"}
    (plugin,) = choose_precision("cpu", "16-mixed")["plugins"]
    assert plugin.autocast_context_manager().fast_dtype == torch.float16


@pytest.mark.parametrize(
    ("setting", "instead"),
    [
        ({"gradient_clip_val": 1.0}, "model.gradient_clip"),
        ({"accumulate_grad_batches": 4}, "data.search_batch_size"),
        ({"precision": "16-true"}, "16-mixed"),
    ],
)
def test_what_two_optimizers_cannot_follow_is_refused(
    setting: dict[str, Any], instead: str
) -> None:
    settings = {"gradient_clip_val": None, "accumulate_grad_batches": 1, "precision": None}
    refuse_unsupported(settings)
    with pytest.raises(ValueError, match=instead):
        refuse_unsupported(settings | setting)
