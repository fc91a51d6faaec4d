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

from darts_lite.distributed.batch_norm import EPSILON, normalize_batch, widen
from darts_lite.networks.folded.moments import (
    DepthwiseCall,
    compute_depthwise_moments,
    compute_row_moments,
    to_rows,
)
from darts_lite.networks.folded.norms import (
    MOMENTUM,
    RunningStatistics,
    Statistics,
    compute_batch_statistics,
    read_running_statistics,
)
from darts_lite.networks.folded.products import Term, pointwise_relu
from darts_lite.space.depthwise import DepthwiseConv2d, depthwise, repeat_channels
from darts_lite.space.operations import FactorizedReduce, Subsample


class BankInput:
    """The state that a bank of edges leaves, and its ReLU, which several candidates read."""

    def __init__(self, state: Tensor, edges: int, stride: int) -> None:
        self.state = state  # (B, C, H, W)
        self.edges = edges
        self.reduced_size = (len(state), *(-(-side // stride) for side in state.shape[2:]))
        self._relu: dict[int, Tensor] = {}

    def relu(self, step: int = 1) -> Tensor:
        """Returns every `step`-th pixel of the state's ReLU, ``(B, C, H', W')``."""
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
        # With dilation = stride, all pixels that are read lie on one grid, on which both are 1.
        self.step = stride if stride == dilation else 1
        self.stride, self.dilation = stride // self.step, dilation // self.step

    def call(self, x: Tensor) -> DepthwiseCall:
        """Prepares the depthwise convolution of ``(B, edges * C, H, W)`` or ``(B, C, H, W)``."""
        kernels = torch.cat([module.weight for module in self.depthwises])  # (edges * C, 1, k, k)
        return DepthwiseCall(x, kernels.to(x.dtype), self.stride, self.dilation)


def build_chain(edges: Sequence[nn.Sequential]) -> list[Stage]:
    """Builds the stages of separable or dilated convolutions; four layers make a stage."""
    layers: list[Any] = list(zip(*edges, strict=True))
    return [Stage(*layers[first : first + 3]) for first in range(1, len(layers), 4)]


class Normalization(NamedTuple):
    """Norms behind the 1x1 convolutions of several operations' rows."""

    rows: Sequence[Tensor]  # each (edges or 1, N, C_in)
    matrix: Tensor  # (operations, C, C_in)
    statistics: Statistics

    def to_terms(self, mixing: Tensor) -> list[Term]:
        """Folds norms and mixing weights ``(edges, len(rows))`` into the convolutions."""
        edges = len(mixing)
        # w / std, w P / std and -w mean / std; operations run over the rows, then over the edges.
        factors = mixing.T.reshape(-1, 1) * self.statistics.scale  # (operations, C)
        matrices = (factors.unsqueeze(2) * self.matrix).split(edges)
        biases = (-factors * self.statistics.mean).split(edges)
        return [Term(*parts) for parts in zip(self.rows, matrices, biases, strict=True)]


class Chains:
    """All candidates of a bank that are chains of stages, computed together.

    Args:
        positions: Columns of these candidates in the mixing weights.
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

    def __call__(self, bank: BankInput, mixing: Tensor, running: RunningStatistics) -> list[Term]:
        xs: list[Tensor] = []
        scale: Tensor | None = None  # factors that the xs still lack, (len(xs) * edges, C)
        for stages in self.waves:
            # Chains that begin with this wave, which come last, read the state.
            xs += [bank.relu(stage.step) for stage in stages[len(xs) :]]
            calls = [stage.call(x) for stage, x in zip(stages, xs, strict=True)]
            normal = normalize_wave(calls, stages, scale, running)
            if stages is not self.waves[-1]:
                xs, scale = rectify(normal, bank), normal.statistics.scale
        return normal.to_terms(mixing[:, self.positions])


def normalize_wave(
    calls: Sequence[DepthwiseCall],
    stages: Sequence[Stage],
    scale: Tensor | None,
    running: RunningStatistics,
) -> Normalization:
    """Computes the depthwise convolutions and the norms of one wave.

    A depthwise convolution commutes with a factor per channel, so the factors that its input lacks
    scale the columns of the 1x1 convolution: a small matrix instead of maps or kernels.
    """
    norms = [norm for stage in stages for norm in stage.norms]
    edges = len(stages[0].norms)
    matrix = stack_weights([module for stage in stages for module in stage.pointwises])
    if scale is not None:
        # P diag(scale) for the chains that began earlier, which come first.
        scaled = matrix[: len(scale)] * scale.unsqueeze(1)
        matrix = torch.cat([scaled, matrix[len(scale) :]])
    matrix = round_to(matrix, calls[0].x.dtype)  # (operations, C, C)
    if not norms[0].training:
        maps = [
            depthwise(repeat_channels(x, len(kernels) // x.shape[1]), kernels, *step)
            for x, kernels, *step in calls
        ]
        rows = [to_rows(x, edges) for x in maps]
        return Normalization(rows, matrix, read_running_statistics(norms))
    moments = compute_depthwise_moments(calls, edges)
    statistics = compute_batch_statistics(moments, matrix, norms, running)
    return Normalization(moments.rows, matrix, statistics)


def rectify(normal: Normalization, bank: BankInput) -> list[Tensor]:
    """Computes ``relu(matrix @ row - mean)`` per operation, as maps ``(B, edges * C, H', W')``."""
    matrices = normal.matrix.split(bank.edges)
    means = normal.statistics.mean.split(bank.edges)
    return [
        pointwise_relu(rows, matrix, mean, bank.reduced_size)
        for rows, matrix, mean in zip(normal.rows, matrices, means, strict=True)
    ]


class FoldedCandidate(Protocol):
    """One candidate, or several, on all edges of a bank, as affine functions of rows."""

    def __call__(self, bank: BankInput, mixing: Tensor, running: RunningStatistics) -> list[Term]:
        """Computes the candidates times their mixing weights ``(edges, all candidates)``."""
        ...


class Pointwise:
    """ReLU, 1x1 convolution and norm; the edges share the convolution's input."""

    def __init__(self, edges: Sequence[nn.Sequential], position: int) -> None:
        self.step = next((m.stride for m in edges[0] if isinstance(m, Subsample)), 1)
        self.convolutions: list[Any] = [edge[-2] for edge in edges]
        self.norms: list[Any] = [edge[-1] for edge in edges]
        self.positions = [position]

    def __call__(self, bank: BankInput, mixing: Tensor, running: RunningStatistics) -> list[Term]:
        rows = to_rows(bank.relu(self.step), 1)
        normal = normalize_rows(rows, stack_weights(self.convolutions), self.norms, running)
        return normal.to_terms(mixing[:, self.positions])


class ShiftedPointwise:
    """A factorized reduction: a 1x1 convolution of two shifted grids as twice the channels."""

    def __init__(self, edges: Sequence[FactorizedReduce], position: int) -> None:
        self.edges = edges
        self.norms = [edge.norm for edge in edges]
        self.positions = [position]

    def __call__(self, bank: BankInput, mixing: Tensor, running: RunningStatistics) -> list[Term]:
        rows = to_rows(torch.cat(self.edges[0].cut_grids(bank.relu()), dim=1), 1)  # (1, N, 2C)
        # Half of the output channels read each grid: a block-diagonal matrix.
        blocks = [(edge.even.weight.flatten(1), edge.odd.weight.flatten(1)) for edge in self.edges]
        matrix = torch.stack([torch.block_diag(*pair) for pair in blocks])  # (edges, C, 2C)
        normal = normalize_rows(rows, matrix, self.norms, running)
        return normal.to_terms(mixing[:, self.positions])


class Dense:
    """ReLU, convolution and norm; all edges' kernels in one call."""

    def __init__(self, edges: Sequence[nn.Sequential], position: int) -> None:
        self.convolutions: list[Any] = [edge[1] for edge in edges]
        self.norms: list[Any] = [edge[2] for edge in edges]
        self.positions = [position]

    def __call__(self, bank: BankInput, mixing: Tensor, running: RunningStatistics) -> list[Term]:
        x, first = bank.relu(), self.convolutions[0]
        kernels = torch.cat([module.weight for module in self.convolutions]).to(x.dtype)
        x = conv2d(x, kernels, None, first.stride, first.padding, first.dilation)
        # The convolution's result is d itself: P is the identity, (edges, C, C).
        identity = torch.eye(first.out_channels, dtype=widen(x.dtype), device=x.device)
        matrix = identity.expand(bank.edges, -1, -1)
        normal = normalize_rows(to_rows(x, bank.edges), matrix, self.norms, running)
        return normal.to_terms(mixing[:, self.positions])


def normalize_rows(
    rows: Tensor, matrix: Tensor, norms: Sequence[nn.BatchNorm2d], running: RunningStatistics
) -> Normalization:
    """Computes the norms behind 1x1 convolutions of the rows of one operation."""
    matrix = round_to(matrix, rows.dtype)
    if not norms[0].training:
        return Normalization([rows], matrix, read_running_statistics(norms))
    moments = compute_row_moments(rows)
    statistics = compute_batch_statistics(moments, matrix, norms, running)
    return Normalization(moments.rows, matrix, statistics)


def round_to(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """Rounds a matrix to `dtype`, as the product that a norm normalizes does; returns it wide."""
    return matrix.to(dtype).to(widen(dtype))


def stack_weights(convolutions: Sequence[nn.Conv2d]) -> Tensor:
    """Returns the weights of 1x1 convolutions, ``(convolutions, C, C_in)``."""
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
        """True if the edges see one map; norms with running statistics differ per edge."""
        return not self.norms or self.norms[0].training

    def __call__(self, state: Tensor, running: RunningStatistics) -> Tensor:
        """Computes the shared map ``(B, C, H', W')``."""
        if self.pool is None:
            return state
        x, mean, variance = normalize_batch(self.pool(state))
        copies = len(self.norms)
        running.add(self.norms, mean.expand(copies, -1), variance.expand(copies, -1))
        return x


def is_chain(module: nn.Module) -> bool:
    """Returns whether this repeats ReLU, depthwise convolution, 1x1 convolution and norm.

    Only the first depthwise convolution may have a stride.
    """
    kinds = _list_types(module)
    layers: list[Any] = list(module.children())
    stage = [nn.ReLU, DepthwiseConv2d, nn.Conv2d, nn.BatchNorm2d]
    return (
        kinds == stage * max(len(kinds) // 4, 1)
        and all(layer.stride == (1, 1) for layer in layers[5::4])
        and all(map(_is_1x1, layers[2::4]))
        and all(map(_is_plain, layers[3::4]))
    )


def is_weightless(module: nn.Module) -> bool:
    """Returns whether this is the identity, or a pooling with its norm."""
    if type(module) is nn.Identity:
        return True
    layers: list[Any] = list(module.children())
    pools = [nn.MaxPool2d, nn.BatchNorm2d], [nn.AvgPool2d, nn.BatchNorm2d]
    return _list_types(module) in pools and _is_plain(layers[1])


def fold(edges: Sequence[Any], position: int) -> FoldedCandidate | None:
    """Returns the folded form of a candidate on all edges, or None if it has none by itself."""
    first = edges[0]
    if type(first) is FactorizedReduce:
        return ShiftedPointwise(edges, position) if _is_plain(first.norm) else None
    kinds = _list_types(first)
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


def _list_types(module: nn.Module) -> list[type]:
    return [type(layer) for layer in module] if type(module) is nn.Sequential else []


def _is_plain(norm: nn.BatchNorm2d) -> bool:
    usual = (norm.momentum, norm.eps) == (MOMENTUM, EPSILON)
    return usual and not norm.affine and norm.track_running_stats


def _is_dense(layer: nn.Conv2d) -> bool:
    zeros = layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return zeros and layer.groups == 1 and layer.bias is None


def _is_1x1(layer: nn.Conv2d) -> bool:
    shape = (layer.kernel_size, layer.stride, layer.padding)
    return _is_dense(layer) and shape == ((1, 1), (1, 1), (0, 0))
