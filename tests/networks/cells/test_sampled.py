"""The executor that leaves out what is multiplied by 0."""

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from darts_lite.networks.cells.mixed import Literal, MixedOperation
from darts_lite.networks.cells.sampled import Sampled
from darts_lite.networks.supernet import Supernet
from darts_lite.search.relaxations import GumbelMax
from darts_lite.space.cells.search_space import darts_space

SPACE = darts_space(channels=4, cells=3, nodes=3)


def pair(**settings: Any) -> tuple[Supernet, Supernet]:
    """A literal and a sampling supernet of one state dict."""
    literal, sampled = (Supernet(SPACE, 1, 10, run, **settings) for run in (Literal(), Sampled()))
    sampled.load_state_dict(literal.state_dict())
    return literal.double(), sampled.double()


def drawn(supernet: Supernet) -> dict[str, Tensor]:
    return {kind: GumbelMax().mixing_weights(alpha, 0.5) for kind, alpha in supernet.alphas.items()}


@pytest.mark.parametrize("partial", [1, 2])
def test_it_computes_what_the_literal_executor_does(partial: int) -> None:
    torch.manual_seed(0)
    literal, sampled = pair(partial_channels=partial)
    images = torch.randn(4, 1, 12, 12, dtype=torch.float64)
    for _ in range(5):  # `none` on some edges too
        mixing = drawn(literal)
        assert torch.allclose(sampled(images, mixing), literal(images, mixing))
    soft = {kind: alpha.softmax(dim=-1) for kind, alpha in literal.alphas.items()}
    assert torch.allclose(sampled(images, soft), literal(images, soft))


def test_it_runs_the_drawn_candidates_only() -> None:
    _, sampled = pair()
    runs: Counter[nn.Module] = Counter()
    edges = [m for m in sampled.modules() if isinstance(m, MixedOperation)]
    for edge in edges:
        for operation in edge.candidates.values():
            operation.register_forward_hook(lambda module, *_: runs.update([module]))
    none = SPACE.candidates.index("none")
    mixing = drawn(sampled)
    sampled(torch.randn(2, 1, 12, 12, dtype=torch.float64), mixing)
    kinds = [cell.kind for cell in sampled.skeleton.cells]
    expected = sum(int((mixing[kind].argmax(dim=-1) != none).sum()) for kind in kinds)
    assert runs.total() == expected


def test_a_cell_of_nothing_passes_zeros() -> None:
    _, sampled = pair()
    nothing = {kind: torch.zeros_like(alpha) for kind, alpha in sampled.alphas.items()}
    logits = sampled(torch.randn(2, 1, 11, 11, dtype=torch.float64), nothing)
    assert torch.allclose(logits, sampled.skeleton.classifier.bias.expand(2, -1))


def test_only_the_drawn_candidate_tells_the_alphas_something() -> None:
    torch.manual_seed(0)
    _, sampled = pair()
    mixing = {kind: rows.detach().requires_grad_() for kind, rows in drawn(sampled).items()}
    loss = sampled(torch.randn(2, 1, 12, 12, dtype=torch.float64), mixing).square().sum()
    slopes = torch.autograd.grad(loss, list(mixing.values()))
    for rows, slope in zip(mixing.values(), slopes, strict=True):
        assert (slope[rows == 0] == 0).all()
        assert (slope != 0).any()
