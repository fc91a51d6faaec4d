"""Candidates in folded form: affine functions of rows, with the norms inside the matrix.

A candidate on all edges that leave one state (a *bank*) is computed at once. Its norm is known
before its last 1x1 convolution is computed (`darts_lite.networks.folded.moments`), so norm and
mixing weight become part of that convolution:

    w (P d - mean) / std  =  (w / std) P d  -  w mean / std

The norm inside a separable convolution folds as well: ``relu((z - mean) / std)`` is
``relu(z - mean) / std``, and the next 1x1 convolution takes the factor ``1 / std``.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from darts_lite.distributed.batch_norm import EPSILON, batch_normalized, wide
from darts_lite.networks.folded.moments import (
    DepthwiseCall,
    depthwise_moments,
    row_moments,
    rows_of,
)
from darts_lite.networks.folded.norms import (
    MOMENTUM,
    RunningStatistics,
    Statistics,
    batch_statistics,
    running_statistics,
)
from darts_lite.networks.folded.products import Term, pointwise_relu
from darts_lite.space.depthwise import DepthwiseConv2d, depthwise, repeated
from darts_lite.space.operations import FactorizedReduce, Subsample


class Source:
    """A state that a bank of edges leaves, and what several candidates read of it."""

    def __init__(self, state: Tensor, edges: int, stride: int) -> None:
        self.state = state  # (B, C, H, W)
        self.edges = edges
        self.reduced_size = (len(state), *(-(-side // stride) for side in state.shape[2:]))
        self._relu: dict[int, Tensor] = {}

    def relu(self, step: int = 1) -> Tensor:
        """Every `step`-th pixel of the state's ReLU, ``(B, C, H', W')``."""
        if step not in self._relu:
            x = self.state.relu() if step == 1 else self.relu()[:, :, ::step, ::step]
            self._relu[step] = x
        return self._relu[step]


class Stage:
    """Depthwise convolution, 1x1 convolution and norm behind a ReLU, on all edges of a bank."""

    def __init__(
        self,
        depthwises: Sequence[DepthwiseConv2d],
        pointwises: Sequence[nn.Conv2d],
        norms: Sequence[nn.BatchNorm2d],
    ) -> None:
        self.depthwises, self.pointwises, self.norms = depthwises, pointwises, norms
        stride, dilation = depthwises[0].stride[0], depthwises[0].dilation[0]
        # A dilation equal to the stride reads one pixel of `stride` only, and is none on those.
        self.step = stride if stride == dilation else 1
        self.stride, self.dilation = stride // self.step, dilation // self.step

    def call(self, x: Tensor) -> DepthwiseCall:
        """The depthwise convolution of x, ``(B, edges * C, H, W)`` or shared ``(B, C, H, W)``."""
        kernels = torch.cat([module.weight for module in self.depthwises])  # (edges * C, 1, k, k)
        return DepthwiseCall(x, kernels.to(x.dtype), self.stride, self.dilation)


def chain_of(edges: Sequence[nn.Sequential]) -> list[Stage]:
    """The stages of a separable or dilated convolution: a ReLU and a stage's three, repeatedly."""
    layers: list[Any] = list(zip(*edges, strict=True))
    return [Stage(*layers[first : first + 3]) for first in range(1, len(layers), 4)]


class Normalization(NamedTuple):
    """Norms behind the 1x1 convolutions of several operations' rows."""

    rows: Sequence[Tensor]  # each (edges or 1, N, C_in)
    matrix: Tensor  # (operations, C, C_in)
    statistics: Statistics

    def weighted(self, weights: Tensor) -> list[Term]:
        """Times mixing weights ``(edges, len(rows))``, as part of the convolutions."""
        edges = len(weights)
        factors = weights.T.reshape(-1, 1) * self.statistics.scale  # (operations, C)
        matrices = (factors.unsqueeze(2) * self.matrix).split(edges)
        biases = (-factors * self.statistics.mean).split(edges)
        return [Term(*parts) for parts in zip(self.rows, matrices, biases, strict=True)]


class Chains:
    """All candidates of a bank that are chains of stages, computed together.

    Args:
        chains: The candidates' stages.
        positions: The candidates' places among all.
    """

    def __init__(self, chains: Sequence[Sequence[Stage]], positions: Sequence[int]) -> None:
        by_length = sorted(range(len(chains)), key=lambda i: -len(chains[i]))
        self.positions = [positions[i] for i in by_length]
        longest_first = [chains[i] for i in by_length]
        # Aligned at their ends, so that the last stages, which are mixed, are one wave.
        self.waves = [
            [chain[-remaining] for chain in longest_first if len(chain) >= remaining]
            for remaining in range(len(longest_first[0]), 0, -1)
        ]

    def __call__(self, source: Source, weights: Tensor, running: RunningStatistics) -> list[Term]:
        """See `FoldedCandidate`."""
        xs: list[Tensor] = []
        scale: Tensor | None = None  # that the xs still lack, (len(xs) * edges, C)
        for stages in self.waves:
            xs += [source.relu(stage.step) for stage in stages[len(xs) :]]
            calls = [stage.call(x) for stage, x in zip(stages, xs, strict=True)]
            normal = normalized(calls, stages, scale, running)
            if stages is not self.waves[-1]:
                xs, scale = rectified(normal, source), normal.statistics.scale
        return normal.weighted(weights[:, self.positions])


def normalized(
    calls: Sequence[DepthwiseCall],
    stages: Sequence[Stage],
    scale: Tensor | None,
    running: RunningStatistics,
) -> Normalization:
    """The norms of one wave.

    A depthwise convolution commutes with a factor per channel, so the factors that its input lacks
    scale the columns of the 1x1 convolution: a small matrix instead of maps or kernels.
    """
    norms = [norm for stage in stages for norm in stage.norms]
    edges = len(stages[0].norms)
    matrix = stacked([module for stage in stages for module in stage.pointwises])
    if scale is not None:
        scaled = matrix[: len(scale)] * scale.unsqueeze(1)
        matrix = torch.cat([scaled, matrix[len(scale) :]])
    matrix = as_computed(matrix, calls[0].x.dtype)
    if not norms[0].training:
        maps = [
            depthwise(repeated(x, len(kernels) // x.shape[1]), kernels, *step)
            for x, kernels, *step in calls
        ]
        rows = [rows_of(x, edges) for x in maps]
        return Normalization(rows, matrix, running_statistics(norms))
    moments = depthwise_moments(calls, edges)
    return Normalization(moments.rows, matrix, batch_statistics(moments, matrix, norms, running))


def rectified(normal: Normalization, source: Source) -> list[Tensor]:
    """``relu(matrix @ row - mean)`` of each operation, as maps ``(B, edges * C, H', W')``."""
    matrices = normal.matrix.split(source.edges)
    means = normal.statistics.mean.split(source.edges)
    return [
        pointwise_relu(rows, matrix, mean, source.reduced_size)
        for rows, matrix, mean in zip(normal.rows, matrices, means, strict=True)
    ]


class FoldedCandidate(Protocol):
    """One candidate, or several, on all edges of a bank, as affine functions of rows."""

    def __call__(self, source: Source, weights: Tensor, running: RunningStatistics) -> list[Term]:
        """The candidates times their mixing weights ``(edges, all candidates)``."""
        ...


class Pointwise:
    """ReLU, 1x1 convolution and norm; the edges share the convolution's input."""

    def __init__(self, edges: Sequence[nn.Sequential], position: int) -> None:
        self.step = next((m.stride for m in edges[0] if isinstance(m, Subsample)), 1)
        self.convolutions: list[Any] = [edge[-2] for edge in edges]
        self.norms: list[Any] = [edge[-1] for edge in edges]
        self.positions = [position]

    def __call__(self, source: Source, weights: Tensor, running: RunningStatistics) -> list[Term]:
        """See `FoldedCandidate`."""
        rows = rows_of(source.relu(self.step), 1)
        normal = normalized_rows(rows, stacked(self.convolutions), self.norms, running)
        return normal.weighted(weights[:, self.positions])


class ShiftedPointwise:
    """A factorized reduction: a 1x1 convolution of two shifted grids as twice the channels."""

    def __init__(self, edges: Sequence[FactorizedReduce], position: int) -> None:
        self.edges = edges
        self.norms = [edge.norm for edge in edges]
        self.positions = [position]

    def __call__(self, source: Source, weights: Tensor, running: RunningStatistics) -> list[Term]:
        """See `FoldedCandidate`."""
        rows = rows_of(torch.cat(self.edges[0].grids(source.relu()), dim=1), 1)  # (1, N, 2C)
        blocks = [(edge.even.weight.flatten(1), edge.odd.weight.flatten(1)) for edge in self.edges]
        matrix = torch.stack([torch.block_diag(*pair) for pair in blocks])  # (edges, C, 2C)
        normal = normalized_rows(rows, matrix, self.norms, running)
        return normal.weighted(weights[:, self.positions])


class Dense:
    """ReLU, convolution and norm; the edges' kernels in one call."""

    def __init__(self, edges: Sequence[nn.Sequential], position: int) -> None:
        self.convolutions: list[Any] = [edge[1] for edge in edges]
        self.norms: list[Any] = [edge[2] for edge in edges]
        self.positions = [position]

    def __call__(self, source: Source, weights: Tensor, running: RunningStatistics) -> list[Term]:
        """See `FoldedCandidate`."""
        x, first = source.relu(), self.convolutions[0]
        kernels = torch.cat([module.weight for module in self.convolutions]).to(x.dtype)
        x = conv2d(x, kernels, None, first.stride, first.padding, first.dilation)
        identity = torch.eye(first.out_channels, dtype=wide(x.dtype), device=x.device)
        matrix = identity.expand(source.edges, -1, -1)
        normal = normalized_rows(rows_of(x, source.edges), matrix, self.norms, running)
        return normal.weighted(weights[:, self.positions])


def normalized_rows(
    rows: Tensor, matrix: Tensor, norms: Sequence[nn.BatchNorm2d], running: RunningStatistics
) -> Normalization:
    """Norms behind 1x1 convolutions of the rows of one operation."""
    matrix = as_computed(matrix, rows.dtype)
    if not norms[0].training:
        return Normalization([rows], matrix, running_statistics(norms))
    moments = row_moments(rows)
    return Normalization(moments.rows, matrix, batch_statistics(moments, matrix, norms, running))


def as_computed(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """A matrix as a product in `dtype` sees it, which is what a norm normalizes."""
    return matrix.to(dtype).to(wide(dtype))


def stacked(convolutions: Sequence[nn.Conv2d]) -> Tensor:
    """Weights of 1x1 convolutions, ``(convolutions, C, C_in)``."""
    return torch.stack([module.weight for module in convolutions]).flatten(2)


class Weightless:
    """A pooling with its norm, or the identity: the same map on all edges of a bank."""

    def __init__(self, edges: Sequence[nn.Module]) -> None:
        self.edges = edges
        pools = [list(edge.children()) for edge in edges]
        self.pool: nn.Module | None = pools[0][0] if pools[0] else None
        self.norms: list[Any] = [pool[1] for pool in pools if pool]

    @property
    def is_shared(self) -> bool:
        """Whether the edges see one map: not where their norms use running statistics."""
        return not self.norms or self.norms[0].training

    def __call__(self, state: Tensor, running: RunningStatistics) -> Tensor:
        """The shared map ``(B, C, H', W')``."""
        if self.pool is None:
            return state
        x = self.pool(state)
        x, mean, variance = batch_normalized(x)
        copies = len(self.norms)
        running.add(self.norms, mean.expand(copies, -1), variance.expand(copies, -1))
        return x


def is_chain(module: nn.Module) -> bool:
    """Whether this is ReLU, depthwise convolution, 1x1 convolution and norm, once or repeatedly.

    Only the first depthwise convolution may have a stride.
    """
    kinds = _kinds(module)
    layers: list[Any] = list(module.children())
    stage = [nn.ReLU, DepthwiseConv2d, nn.Conv2d, nn.BatchNorm2d]
    return (
        kinds == stage * max(len(kinds) // 4, 1)
        and all(layer.stride == (1, 1) for layer in layers[5::4])
        and all(map(_is_1x1, layers[2::4]))
        and all(map(_is_plain, layers[3::4]))
    )


def is_weightless(module: nn.Module) -> bool:
    """Whether this is the identity, or a pooling with its norm."""
    if type(module) is nn.Identity:
        return True
    kinds = _kinds(module)
    pools = [nn.MaxPool2d, nn.BatchNorm2d], [nn.AvgPool2d, nn.BatchNorm2d]
    return kinds in pools and _is_plain(list(module.children())[1])


def fold(edges: Sequence[Any], position: int) -> FoldedCandidate | None:
    """The folded form of a candidate on all edges, if it has one by itself."""
    first = edges[0]
    if type(first) is FactorizedReduce:
        return ShiftedPointwise(edges, position) if _is_plain(first.norm) else None
    kinds = _kinds(first)
    if kinds not in (
        [nn.ReLU, Subsample, nn.Conv2d, nn.BatchNorm2d],
        [nn.ReLU, nn.Conv2d, nn.BatchNorm2d],
    ):
        return None
    *_, convolution, norm = first.children()
    if not _is_plain(norm):
        return None
    if _is_1x1(convolution):
        return Pointwise(edges, position)
    return Dense(edges, position) if len(kinds) == 3 and _is_dense(convolution) else None


def _kinds(module: nn.Module) -> list[type]:
    return [type(layer) for layer in module] if type(module) is nn.Sequential else []


def _is_plain(norm: nn.Module) -> bool:
    assert isinstance(norm, nn.BatchNorm2d)
    usual = (norm.momentum, norm.eps) == (MOMENTUM, EPSILON)
    return usual and not norm.affine and norm.track_running_stats


def _is_dense(layer: nn.Module) -> bool:
    assert isinstance(layer, nn.Conv2d)
    zeros = layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return zeros and layer.groups == 1 and layer.bias is None


def _is_1x1(layer: nn.Module) -> bool:
    assert isinstance(layer, nn.Conv2d)
    shape = (layer.kernel_size, layer.stride, layer.padding)
    return _is_dense(layer) and shape == ((1, 1), (1, 1), (0, 0))
