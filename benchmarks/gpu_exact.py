"""Whether a device computes the same in different ways, for `gpu.py`.

Each check returns how far two ways are apart, and fails where that is further than rounding goes.
"""

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from gpu_jobs import Job, Jobs, quiet
from gpu_record import Figures, Record, in_own_process
from lightning.pytorch.callbacks import Callback
from systems import CLASSES, digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from darts_lite.networks.cells.mixed import Executor, Literal
from darts_lite.networks.folded.executor import Folded
from darts_lite.networks.supernet import Supernet
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.bilevel import SecondOrder, list_weights
from darts_lite.search.cuda_graphs import Graphed
from darts_lite.search.supernet_loss import SupernetLoss
from darts_lite.space.cells.search_space import SearchSpace, darts_space, mnist_space
from darts_lite.training.optimizers import darts_sgd
from darts_lite.training.signals import Stopped

SPACES = {
    "darts": darts_space(channels=8, cells=3, nodes=3),
    "mnist": mnist_space(channels=8),
}
ROUNDING = 1e-8
"""Of float64."""
REPLAYED = {"32-true": 1e-4, "bf16-mixed": 5e-2}
"""How far a search with CUDA graphs may be from the one without."""
RESUMED = {"cpu": 0.0, "cuda": 1e-3}
"""How far a search that was interrupted may be from the one that was not, on a device."""
GRAPH_SECONDS = 90.0
EXACT: Mapping[str, Any] = {"trainer": {"deterministic": "warn"}}
"""Settings with which searches are compared."""


def check_exactness(record: Record, jobs: Jobs) -> None:
    """Runs all checks."""
    for name, space in SPACES.items():
        step = partial(folded_against_literal, space, jobs.device)
        record.step(3, f"folded against literal, {name}", step)
    for precision in jobs.some(REPLAYED):
        graphed, eager = (
            jobs.tiny(f"graphs {on} {precision}", precision, [], EXACT, graphs_set(on))
            for on in (True, False)
        )
        step = partial(graphs_against_eager, graphed, eager, REPLAYED[precision])
        limit = min(GRAPH_SECONDS, record.remaining)
        name = f"CUDA graphs against eager, {precision}"
        record.step(3, name, partial(in_own_process, step, limit))
    record.step(3, "resumed against uninterrupted", lambda: resumed_against_whole(jobs))
    space = SPACES["mnist" if jobs.quick else "darts"]
    step = partial(second_order_against_cpu, space, jobs.device)
    record.step(3, "second order against the CPU", step)


def graphs_set(on: bool) -> Mapping[str, Any]:
    """Returns settings of a search with CUDA graphs or without."""
    return {"model": {"init_args": {"cuda_graphs": on}}}


# ---------------------------------------------------------------------- one supernet


def folded_against_literal(space: SearchSpace, device: str) -> Figures:
    """Compares loss and gradients of both executors in float64."""
    losses, gradients = [], []
    for executor in (Literal(), Folded()):
        net, (images, labels), _ = supernet(space, executor, device)
        loss = cross_entropy(net(images, shares(net)), labels)
        alphas = list(net.alphas.values())
        parameters = [*alphas, *net.weights()]
        found = torch.autograd.grad(loss, parameters, materialize_grads=True)
        losses.append(loss)
        gradients.append((join_flat(found[: len(alphas)]), join_flat(found[len(alphas) :])))
    (literal_alphas, literal_weights), (folded_alphas, folded_weights) = gradients
    return within(
        ROUNDING,
        loss=distance(losses[1], losses[0]),
        alphas=distance(folded_alphas, literal_alphas),
        weights=distance(folded_weights, literal_weights),
    )


def second_order_against_cpu(space: SearchSpace, device: str) -> Figures:
    """Compares the second-order gradient of the alphas on the device with that on the CPU."""
    found = [second_order(space, place) for place in (device, "cpu")]
    return within(ROUNDING, alphas=distance(*found))


def second_order(space: SearchSpace, device: str) -> Tensor:
    """Returns the exact second-order gradient of the alphas, in float64."""
    net, *batches = supernet(space, Folded(), device)
    optimizer = darts_sgd(net.weights())
    alphas = list(net.alphas.values())

    def loss(weights: Sequence[Tensor] | None, batch: tuple[Tensor, Tensor]) -> Tensor:
        return SupernetLoss(net, *batch, shares(net), list_weights(optimizer))(weights)

    training, validation = (partial(loss, batch=batch) for batch in batches)
    return join_flat(SecondOrder()(training, validation, alphas, optimizer, 1.0))


def supernet(
    space: SearchSpace, executor: Executor, device: str
) -> tuple[Supernet, tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Returns a supernet in float64 with random alphas, always the same, and two batches."""
    torch.manual_seed(0)
    net = Supernet(space, 1, CLASSES, executor)
    for alpha in net.alphas.values():
        nn.init.normal_(alpha)
    halves, _ = digits(batch=16, size=14)
    batches = [
        (torch.from_numpy(images).double().to(device), torch.from_numpy(labels).to(device))
        for images, labels in halves
    ]
    return net.double().to(device), batches[0], batches[1]


def shares(net: Supernet) -> dict[str, Tensor]:
    """Returns softmax mixing weights."""
    return {kind: alpha.softmax(dim=-1) for kind, alpha in net.alphas.items()}


# ---------------------------------------------------------------------- two searches


def graphs_against_eager(graphed: Job, eager: Job, tolerance: float) -> Figures:
    """Compares a search that replays CUDA graphs with one that does not.

    Raises:
        ValueError: if they differ, or on a GPU no graphs were replayed.
    """
    quiet()  # as this is a process of its own
    found, seconds, replayed = [], {}, False
    for name, job in (("graphed", graphed), ("eager", eager)):
        start = time.monotonic()
        with as_before():
            model, _ = job.search()
        seconds[f"{name}_seconds"] = round(time.monotonic() - start, 1)
        assert isinstance(model, ArchitectureSearch)
        replayed |= isinstance(model._alphas_step, Graphed)
        found.append(join_flat(model.mixture.parameters()))
    if not replayed and graphed.device != "cpu":
        raise ValueError("the search has not used CUDA graphs")
    figures = within(tolerance, alphas=distance(*found))
    return {**figures, **seconds, "steps": "replayed" if replayed else "eager, without a GPU"}


def resumed_against_whole(jobs: Jobs) -> Figures:
    """Compares a search that a signal stopped, and that went on, with one that was left alone.

    Raises:
        ValueError: if they differ, or the signal did not stop it.
    """
    with as_before():
        whole, _ = jobs.tiny("whole", "32-true", [], EXACT).search()
        cut = jobs.tiny("cut", "32-true", [], EXACT)
        try:
            cut.search([Interruption(6)])
        except Stopped:
            checkpoint = cut.trainers.folder.checkpoint("search")
        else:
            raise ValueError("the signal has not stopped the search")
        again, _ = jobs.tiny("again", "32-true", [], EXACT).search(resume_from=checkpoint)
    states = zip(again.state_dict().values(), whole.state_dict().values(), strict=True)
    furthest = max(float((a - b).double().abs().max()) for a, b in states)
    limit = RESUMED[jobs.device]
    if not furthest <= limit:
        raise ValueError(f"parameters are up to {furthest:.1e} apart, not {limit:g}")
    return {"furthest": furthest}


class Interruption(Callback):
    """Asks the run to stop, as a batch system does, in one of its steps."""

    def __init__(self, step: int) -> None:
        self.steps_left = step

    def on_train_batch_start(self, *_: object) -> None:
        """Raises the signal when its step has come."""
        self.steps_left -= 1
        if self.steps_left == 0:
            signal.raise_signal(signal.SIGTERM)


@contextmanager
def as_before() -> Iterator[None]:
    """Puts back what `EXACT` lets Lightning set for the whole process."""
    benchmark = torch.backends.cudnn.benchmark
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.benchmark = benchmark


# ---------------------------------------------------------------------- distances


def join_flat(tensors: Sequence[Tensor]) -> Tensor:
    """Returns all values in a row, in float64 on the CPU."""
    return torch.cat([tensor.detach().double().cpu().flatten() for tensor in tensors])


def distance(found: Tensor, expected: Tensor) -> float:
    """Returns how far two tensors are apart, relative to the second."""
    found, expected = join_flat([found]), join_flat([expected])
    return float((found - expected).norm() / expected.norm().clamp_min(1e-12))


def within(tolerance: float, **distances: float) -> Figures:
    """Returns distances.

    Raises:
        ValueError: if one is too large.
    """
    told = ", ".join(f"{name} {value:.1e}" for name, value in distances.items())
    if not all(value <= tolerance for value in distances.values()):
        raise ValueError(f"relative distances above {tolerance:g}: {told}")
    return distances
