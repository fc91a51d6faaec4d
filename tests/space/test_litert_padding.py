"""What LiteRT pads, and larger kernels that spare it."""

import pytest
import torch
from torch.nn.functional import conv2d, pad

from darts_lite.space.litert_padding import MOST_ZEROS, count_padding, grows


def pad_as_litert(x: torch.Tensor, kernel: int, stride: int) -> torch.Tensor:
    """Zeros around ``(B, C, H, H)``, of an odd number one more behind than before."""
    rows = count_padding(x.shape[-1], kernel, stride)
    return pad(x, (rows // 2, rows - rows // 2) * 2)


@pytest.mark.parametrize("side", [4, 7, 14, 15, 28])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_a_kernel_grows_where_litert_would_read_other_rows(side: int, kernel: int) -> None:
    x, weight = torch.randn(2, 3, side, side), torch.randn(4, 3, kernel, kernel)
    wanted = conv2d(x, weight, None, 2, kernel // 2)
    found = conv2d(pad_as_litert(x, kernel, 2), weight, None, 2)
    assert grows(side, kernel, 2, 12) == (not torch.allclose(found, wanted, atol=1e-5))
    if grows(side, kernel, 2, 12):
        grown = conv2d(pad_as_litert(x, kernel + 1, 2), pad(weight, (0, 1, 0, 1)), None, 2)
        torch.testing.assert_close(grown, wanted, atol=1e-5, rtol=1e-5)
    assert not grows(side, kernel, 1, 12)


def test_many_kernels_stay_as_they_are() -> None:
    most = MOST_ZEROS // 7
    assert grows(14, 3, 2, most) and not grows(14, 3, 2, most + 1)
