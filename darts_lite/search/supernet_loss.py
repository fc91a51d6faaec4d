"""The loss of a supernet on one batch, as a function of its weights."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from darts_lite.distributed.ranks import replicate
from darts_lite.networks.supernet import Supernet

Loss = Callable[[Tensor, Tensor], Tensor]
"""Maps answers and targets ``(B, …)`` to their mean loss."""


class SupernetLoss:
    """The loss of one batch, at the supernet's weights or at others.

    At other weights the supernet stays unchanged: norms update copies of their statistics. With
    several ranks, the gradients in mixing weights and other weights are those of the joint batch.

    Args:
        images: ``(B, C, H, W)``.
        labels: ``(B,)``, or other targets ``(B, …)``.
        mixing: Mixing weights, group -> ``(rows, options)``.
        order: The supernet's weights, in the order in which others will be given.
        loss: Computes the mean loss of a batch from logits and labels.

    Attributes:
        logits, value: Logits ``(B, classes)`` and loss of the last call, without a graph.
    """

    def __init__(
        self,
        supernet: Supernet,
        images: Tensor,
        labels: Tensor,
        mixing: Mapping[str, Tensor],
        order: Sequence[nn.Parameter],
        loss: Loss = cross_entropy,
    ) -> None:
        self.supernet, self.images, self.labels, self.mixing = supernet, images, labels, mixing
        self.order, self.loss = order, loss
        self.logits = self.value = torch.empty(0)

    def __call__(self, weights: Sequence[Tensor] | None = None) -> Tensor:
        """Computes the loss, with a graph; at the supernet's own weights if none are given."""
        logits = self._compute_logits(weights)
        loss = self.loss(logits, self.labels)
        self.logits, self.value = logits.detach(), loss.detach()
        return loss

    def _compute_logits(self, weights: Sequence[Tensor] | None) -> Tensor:
        # Identities whose gradients become means over all ranks; (rows, options) per group.
        mixing = dict(zip(self.mixing, replicate(*self.mixing.values()), strict=True))
        if weights is None:
            return self.supernet(self.images, mixing)
        # Name -> other weight, which takes the place of the supernet's weight of its shape.
        names = {parameter: name for name, parameter in self.supernet.named_parameters()}
        others = replicate(*weights)
        state = {names[own]: other for own, other in zip(self.order, others, strict=True)}
        # Copies of the running statistics take the updates of this pass.
        state |= {name: buffer.clone() for name, buffer in self.supernet.named_buffers()}
        return functional_call(self.supernet, state, (self.images, mixing))


def answer(
    supernet: Supernet, mixing: Mapping[str, Tensor], batches: Iterable[tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """Returns answers ``(N, …)`` and targets, by norms that use each batch and change nothing.

    It suits mixing weights that the running statistics do not belong to.
    """
    # In training mode norms use the batch; their running statistics are put back afterwards.
    statistics = [buffer.clone() for buffer in supernet.buffers()]
    training, dtype = supernet.training, next(supernet.parameters()).dtype
    supernet.train()
    with torch.no_grad():
        outputs = [(supernet(images.to(dtype), mixing), labels) for images, labels in batches]
        for buffer, value in zip(supernet.buffers(), statistics, strict=True):
            buffer.copy_(value)
    supernet.train(training)
    logits, labels = (torch.cat(parts) for parts in zip(*outputs, strict=True))
    return logits.float(), labels


def evaluate(
    supernet: Supernet, mixing: Mapping[str, Tensor], batches: Iterable[tuple[Tensor, Tensor]]
) -> tuple[float, float]:
    """Computes loss and accuracy of a supernet that tells classes apart, as `answer` does."""
    logits, labels = answer(supernet, mixing, batches)
    accuracy = (logits.argmax(dim=1) == labels).float().mean()
    return float(cross_entropy(logits, labels)), float(accuracy)
