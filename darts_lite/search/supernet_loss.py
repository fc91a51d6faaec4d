"""The loss of a supernet on one batch, as a function of its weights."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from darts_lite.distributed.ranks import replicated
from darts_lite.networks.supernet import Supernet


class SupernetLoss:
    """Cross-entropy of one batch, at the supernet's weights or at others.

    At other weights nothing of the supernet changes: norms move copies of their statistics. With
    several ranks the gradients in mixing weights and other weights are those of the joint batch.

    Args:
        supernet: Whose loss it is.
        images: ``(B, C, H, W)``.
        labels: ``(B,)``.
        mixing: Mixing weights, kind of cell -> ``(edges, candidates)``.
        order: The supernet's weights, in the order in which others will be given.

    Attributes:
        logits, value: Of the last call, ``(B, classes)`` and a scalar, without a graph.
    """

    def __init__(
        self,
        supernet: Supernet,
        images: Tensor,
        labels: Tensor,
        mixing: Mapping[str, Tensor],
        order: Sequence[nn.Parameter],
    ) -> None:
        self.supernet, self.images, self.labels, self.mixing = supernet, images, labels, mixing
        self.order = order
        self.logits = self.value = torch.empty(0)

    def __call__(self, weights: Sequence[Tensor] | None = None) -> Tensor:
        """The loss, with a graph."""
        logits = self._logits(weights)
        loss = cross_entropy(logits, self.labels)
        self.logits, self.value = logits.detach(), loss.detach()
        return loss

    def _logits(self, weights: Sequence[Tensor] | None) -> Tensor:
        mixing = dict(zip(self.mixing, replicated(*self.mixing.values()), strict=True))
        if weights is None:
            return self.supernet(self.images, mixing)
        names = {parameter: name for name, parameter in self.supernet.named_parameters()}
        others = replicated(*weights)
        state = {names[own]: other for own, other in zip(self.order, others, strict=True)}
        state |= {name: buffer.clone() for name, buffer in self.supernet.named_buffers()}
        return functional_call(self.supernet, state, (self.images, mixing))


def evaluated(
    supernet: Supernet, mixing: Mapping[str, Tensor], batches: Iterable[tuple[Tensor, Tensor]]
) -> tuple[float, float]:
    """Loss and accuracy with norms that use the statistics of each batch, and change none.

    For mixing weights that the running statistics do not belong to.
    """
    statistics = [buffer.clone() for buffer in supernet.buffers()]
    training, dtype = supernet.training, next(supernet.parameters()).dtype
    supernet.train()
    with torch.no_grad():
        outputs = [(supernet(images.to(dtype), mixing), labels) for images, labels in batches]
        for buffer, value in zip(supernet.buffers(), statistics, strict=True):
            buffer.copy_(value)
    supernet.train(training)
    logits, labels = (torch.cat(parts) for parts in zip(*outputs, strict=True))
    accuracy = (logits.argmax(dim=1) == labels).float().mean()
    return float(cross_entropy(logits.float(), labels)), float(accuracy)
