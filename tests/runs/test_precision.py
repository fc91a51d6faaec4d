"""Precision by device."""

import pytest
import torch

from darts_lite.runs.precision import PRECISIONS, choose_device, choose_precision, computes


def test_precision_follows_the_device() -> None:
    if not torch.cuda.is_available():
        assert choose_precision("auto", None) == {"precision": "32-true"}
    assert choose_precision("cpu", None) == {"precision": "32-true"}
    for given, meant in (("bf16-mixed", "bf16-mixed"), ("bf16", "bf16-mixed"), (64, "64-true")):
        assert choose_precision("cpu", given) == {"precision": meant}
    for given in ("16-mixed", "16", 16):
        (plugin,) = choose_precision("cpu", given)["plugins"]
        assert plugin.autocast_context_manager().fast_dtype == torch.float16


@pytest.mark.parametrize(
    "precision", ["16-true", "bf16-true", "transformer-engine", "8", "float16"]
)
def test_a_precision_that_does_not_train_is_refused_with_those_that_do(precision: str) -> None:
    with pytest.raises(ValueError, match=f"trainer.precision {precision} is not for") as error:
        choose_precision("cpu", precision)
    assert "32-true, 16-mixed, bf16-mixed, 64-true, or null" in str(error.value)
    assert "\n" not in str(error.value)


def test_what_a_device_computes_in_is_found_by_trying() -> None:
    assert all(computes("cpu", precision) for precision in PRECISIONS)
    assert not any(computes("meta", precision) for precision in PRECISIONS)  # computes nothing


def test_a_device_that_is_not_there_is_refused_with_those_that_are() -> None:
    assert choose_device("cpu") == "cpu"
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not any(there.values()):
        assert choose_device("auto") == "cpu"
    missing = [name for name, present in there.items() if not present]
    missing += ["tpu", "gpuu"] + ["gpu"] * (len(missing) == 2)
    for name in missing:
        with pytest.raises(ValueError, match=f"accelerator: {name} .* choose auto") as error:
            choose_precision(name, None)
        assert " or cpu" in str(error.value) and "\n" not in str(error.value)
