"""Drops whole branches of a net in training."""

from torch import Tensor, nn

from darts_lite.distributed.ranks import own_shard


class DropPath(nn.Module):
    """Zeroes whole samples of a branch with probability `rate` and rescales the others.

    The scheduled drop path of FractalNet and NASNet, as in DARTS (arXiv 1806.09055, appendix A.1).
    """

    def __init__(self) -> None:
        super().__init__()
        self.rate = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(B, C, H, W)`` to the same shape; the identity in evaluation."""
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        shard = own_shard()
        mask = shard.local_random(lambda n: x.new_empty(n, 1, 1, 1).bernoulli_(keep), len(x))
        return x * mask / keep
