"""Operations as plain code: what is written builds the same module again."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from darts_lite.export.folding import fold_norms
from darts_lite.space.operation_code import HELPERS, assign, is_plain, write_class
from darts_lite.space.operations import OPERATIONS


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_code_of_an_operation_computes_the_same(name: str, stride: int) -> None:
    torch.manual_seed(0)
    parts = nn.ModuleList([OPERATIONS[name](4, stride, True), nn.Linear(1, 1)])
    operation = fold_norms(parts)[0]
    code = write_class("Net", "One.", [*assign("one", operation)], "x", ["return self.one(x)"])
    place: dict[str, Any] = {"nn": nn, "torch": torch, "F": functional}
    exec("\n".join([*HELPERS.values(), code]), place)
    written = place["Net"]().eval()
    written.one.load_state_dict(operation.state_dict())
    x = torch.randn(2, 4, 7, 7)
    torch.testing.assert_close(written(x), operation(x))  # by other kernels on some machines


def test_other_modules_are_refused() -> None:
    class Own(nn.Module):
        pass

    assert is_plain(nn.Sequential(nn.ReLU())) and not is_plain(nn.Sequential(Own()))
    with pytest.raises(ValueError, match="Own is a custom operation, whose code a standalone"):
        [*assign("own", Own())]
    with pytest.raises(ValueError, match="Softmax cannot be written as plain code"):
        [*assign("other", nn.Softmax())]
