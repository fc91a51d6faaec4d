"""The folded executor computes what the literal one does."""

from collections.abc import Callable, Sequence

import pytest
import torch
from run_helpers import some_digits, some_slow
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from darts_lite.networks.cells.mixed import Literal
from darts_lite.networks.folded.executor import Folded, choose_dtype
from darts_lite.networks.supernet import Supernet
from darts_lite.search.bilevel import gradients_of
from darts_lite.space.cells.search_space import SearchSpace, darts_space, nasbench201_space
from darts_lite.space.operations import FactorizedReduce

ALL = (
    "none",
    "skip_connect",
    "avg_pool_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "conv_1x1",
    "conv_3x3",
)


class Shifted(nn.Module):
    """A candidate that only its author knows."""

    def __init__(self, channels: int, stride: int, affine: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, 3, stride, padding=1)
        self.norm = nn.BatchNorm2d(channels, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.convolution(x).tanh())


def pair(space: SearchSpace, dtype: torch.dtype, partial: int = 1) -> list[Supernet]:
    """A literal and a folded supernet of one state dict, with random alphas."""
    torch.manual_seed(0)
    nets = [Supernet(space, 1, 10, execute, partial) for execute in (Literal(), Folded())]
    for alpha in nets[0].alphas.values():
        nn.init.normal_(alpha)
    nets[1].load_state_dict(nets[0].state_dict())
    return [net.to(dtype).to(memory_format=torch.channels_last) for net in nets]


def digits(size: Sequence[int], dtype: torch.dtype, count: int = 8) -> tuple[Tensor, Tensor]:
    """Real digits of any size."""
    images, labels = some_digits()
    x = images[:count].unsqueeze(1).to(dtype) / 255
    return nn.functional.interpolate(x, tuple(size), mode="bilinear"), labels[:count].long()


def mixing(net: Supernet) -> dict[str, Tensor]:
    return {kind: alpha.softmax(dim=-1) for kind, alpha in net.alphas.items()}


def loss_of(net: Supernet, images: Tensor, labels: Tensor) -> Tensor:
    return cross_entropy(net(images, mixing(net)), labels)


def distance(found: Tensor, expected: Tensor) -> float:
    """Relative, in float64."""
    found, expected = found.detach().double(), expected.detach().double()
    return float((found - expected).norm() / expected.norm().clamp_min(1e-12))


TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}
SPACES = {
    "darts": darts_space(channels=8, cells=3, nodes=3),
    "all kinds": SearchSpace(ALL, nodes=2, channels=8, cells=3),
    "literal beside folded": SearchSpace(
        ("dw_conv_3x3", f"{__name__}.Shifted", "skip_connect"), nodes=2, channels=4, cells=2
    ),
    "nothing folds": SearchSpace((f"{__name__}.Shifted",), nodes=1, channels=4, cells=2),
    "nasbench201": nasbench201_space(channels=4, cells=3),
    "one map": SearchSpace(("max_pool_3x3",), nodes=2, channels=4, cells=2),
}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("maps", some_slow([((9, 11), 1), ((9, 11), 2)], [((14, 14), 1)]))
def test_loss_gradients_and_running_statistics(
    name: str, maps: tuple[tuple[int, int], int], dtype: torch.dtype
) -> None:
    size, partial = maps
    literal, folded = pair(SPACES[name], dtype, partial)
    images, labels = digits(size, dtype)
    losses, gradients = [], []
    for net in (literal, folded):
        loss = loss_of(net, images, labels)
        parameters = [*net.alphas.values(), *net.weights()]
        losses.append(loss)
        gradients.append(torch.autograd.grad(loss, parameters, materialize_grads=True))
    assert distance(losses[1], losses[0]) < TOLERANCE[dtype]
    scale = max(float(gradient.norm()) for gradient in gradients[0])
    for found, expected in zip(gradients[1], gradients[0], strict=True):
        if expected.norm() > 1e-6 * scale:  # below, only rounding is left
            assert distance(found, expected) < TOLERANCE[dtype]
    for found, expected in zip(folded.buffers(), literal.buffers(), strict=True):
        assert torch.allclose(found, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] / 100)
    assert folded.state_dict().keys() == literal.state_dict().keys()


@pytest.mark.parametrize("name", SPACES)
def test_evaluation(name: str) -> None:
    literal, folded = (net.eval() for net in pair(SPACES[name], torch.float64))
    for buffer in literal.buffers():  # other statistics on every edge
        if buffer.is_floating_point():
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    folded.load_state_dict(literal.state_dict())
    images, labels = digits((9, 11), torch.float64)
    before = {key: value.clone() for key, value in folded.state_dict().items()}
    assert distance(loss_of(folded, images, labels), loss_of(literal, images, labels)) < 1e-10
    assert all(torch.equal(value, before[key]) for key, value in folded.state_dict().items())


@pytest.mark.parametrize("partial", [1, 2])
def test_second_order(partial: int) -> None:
    space = darts_space(channels=4, cells=3, nodes=2)
    images, labels = digits((11, 11), torch.float64)
    directions: list[Tensor] = []
    found = []
    for net in pair(space, torch.float64, partial):
        parameters = net.weights()
        first = torch.autograd.grad(
            loss_of(net, images, labels), parameters, create_graph=True, materialize_grads=True
        )
        directions = directions or [torch.randn_like(gradient) for gradient in first]
        along = torch.stack([(g * d).sum() for g, d in zip(first, directions, strict=True)]).sum()
        found.append(torch.autograd.grad(along, [*net.alphas.values(), *parameters]))
    scale = max(float(gradient.norm()) for gradient in found[0])
    for a, b in zip(found[1], found[0], strict=True):
        assert float((a - b).norm()) < 1e-10 * max(float(b.norm()), 1e-6 * scale)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_is_no_further_from_float64_than_the_literal_executor(dtype: torch.dtype) -> None:
    space = darts_space(channels=8, cells=3, nodes=3)
    errors = torch.zeros(2, 2)  # (executor, alphas or weights)
    for seed in range(4):
        literal, folded = pair(space, torch.float32)
        torch.manual_seed(seed)
        for net in (literal, folded):
            torch.manual_seed(seed)
            for parameter in net.parameters():
                nn.init.normal_(parameter, std=0.3)
        exact = Supernet(space, 1, 10, Literal()).double()
        exact.load_state_dict(literal.state_dict())
        images, labels = digits((14, 14), torch.float32, 16)
        expected = torch.autograd.grad(
            loss_of(exact, images.double(), labels), [*exact.alphas.values(), *exact.weights()]
        )
        for row, net in enumerate((literal, folded)):
            with torch.autocast("cpu", dtype):
                logits = net(images, mixing(net))
            loss = cross_entropy(logits.float(), labels)
            gradients = torch.autograd.grad(loss, [*net.alphas.values(), *net.weights()])
            distances = [distance(a, b) for a, b in zip(gradients, expected, strict=True)]
            kinds = len(net.alphas)
            errors[row, 0] += sum(distances[:kinds]) / kinds
            errors[row, 1] += sum(distances[kinds:]) / len(distances[kinds:])
    assert (errors[1] <= errors[0]).all(), errors


def test_the_way_back_keeps_its_bits_under_autocast() -> None:
    _, folded = pair(SPACES["darts"], torch.float32)
    images, labels = digits((14, 14), torch.float32)
    inputs = [*folded.alphas.values(), *folded.weights()]
    found = []
    for inside in (True, False):
        with torch.autocast("cpu", torch.float16):
            loss = cross_entropy(folded(images, mixing(folded)).float(), labels)
            if inside:  # as a training step has it
                found.append(gradients_of(loss, inputs, scale=64.0))
        if not inside:
            found.append(gradients_of(loss, inputs, scale=64.0))
    for within, outside in zip(*found, strict=True):
        assert torch.equal(within, outside)


def test_moments_are_float32_under_autocast() -> None:
    _, folded = pair(SPACES["darts"], torch.float32)
    images, _ = digits((14, 14), torch.float32)
    images = images * 1000  # float16 holds no squares of such values
    with torch.autocast("cpu", torch.float16):
        logits = folded(images, mixing(folded))
    assert logits.isfinite().all()
    assert all(buffer.isfinite().all() for buffer in folded.buffers())


def test_frozen_weights_get_no_gradient_and_keep_no_input() -> None:
    _, folded = pair(SPACES["darts"], torch.float32)
    for weight in folded.weights():
        weight.requires_grad_(False)
    images, labels = digits((14, 14), torch.float32)
    loss_of(folded, images, labels).backward()
    assert all(alpha.grad is not None for alpha in folded.alphas.values())
    assert all(weight.grad is None for weight in folded.weights())


class Twice(nn.Identity):
    """No identity, though it is one by descent."""

    def __init__(self, channels: int, stride: int, affine: bool) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


class Shrunk(FactorizedReduce):
    """No factorized reduction."""

    def __init__(self, channels: int, stride: int, affine: bool) -> None:
        super().__init__(channels, channels, affine)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(-x)


@pytest.mark.parametrize(("name", "reductions"), [("Twice", ()), ("Shrunk", (0, 1))])
def test_a_subclass_is_not_what_it_descends_from(name: str, reductions: tuple[int, ...]) -> None:
    candidates = (f"{__name__}.{name}", "conv_1x1")
    space = SearchSpace(candidates, nodes=1, channels=4, cells=2, reductions=reductions)
    literal, folded = pair(space, torch.float64)
    images, labels = digits((12, 12), torch.float64)
    expected = loss_of(literal, images, labels)
    assert distance(loss_of(folded, images, labels), expected) < 1e-10


def freeze_some(norms: Sequence[nn.BatchNorm2d]) -> None:
    for norm in norms[::2]:
        norm.eval()


def move_slowly(norms: Sequence[nn.BatchNorm2d]) -> None:
    for norm in norms:
        norm.momentum = 0.01


def add_more(norms: Sequence[nn.BatchNorm2d]) -> None:
    for norm in norms:
        norm.eps = 1e-3


@pytest.mark.parametrize("change", [freeze_some, move_slowly, add_more])
def test_norms_changed_after_construction(
    change: Callable[[Sequence[nn.BatchNorm2d]], None],
) -> None:
    nets = pair(SPACES["all kinds"], torch.float64)
    images, labels = digits((12, 12), torch.float64)
    found = []
    for net in nets:
        cells = net.skeleton.cells
        change([m for m in cells.modules() if isinstance(m, nn.BatchNorm2d) and not m.affine])
        loss = loss_of(net, images, labels)
        found.append([loss, *torch.autograd.grad(loss, list(net.alphas.values())), *net.buffers()])
    for ours, expected in zip(found[1], found[0], strict=True):
        assert torch.allclose(ours.double(), expected.double(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_model_in_low_precision_trains(dtype: torch.dtype) -> None:
    literal, folded = pair(SPACES["darts"], dtype)
    images, labels = digits((12, 12), dtype)
    for net in (literal, folded):
        loss = loss_of(net, images, labels)
        loss.backward()
        assert loss.isfinite()
    for ours, expected in zip(folded.buffers(), literal.buffers(), strict=True):
        assert ours.dtype == expected.dtype
        assert torch.allclose(ours.double(), expected.double(), rtol=0.1, atol=0.1)


@pytest.mark.parametrize("count", [0, 1])
def test_one_value_per_channel_is_refused(count: int) -> None:
    _, folded = pair(SearchSpace(("conv_1x1",), nodes=1, channels=4, cells=2), torch.float64)
    images = torch.zeros(count, 1, 3, 3, dtype=torch.float64)
    with pytest.raises(ValueError, match="more than (one|1) value per channel"):
        folded(images, mixing(folded))


def test_under_autocast_a_cpu_computes_in_float32() -> None:
    x = torch.zeros(1)
    assert choose_dtype(x.bfloat16()) == torch.bfloat16  # a model that is in it as a whole
    with torch.autocast("cpu", torch.bfloat16):
        assert choose_dtype(x.bfloat16()) == choose_dtype(x) == torch.float32
        assert choose_dtype(x.double()) == torch.float64
