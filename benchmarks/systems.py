"""What the benchmarks measure: settings, batches, systems, and the process each system runs in.

A search step is one architecture step (first order; Adam) and one weight step (SGD, gradient
clipped to norm 5) with the published settings (arXiv 1806.09055, appendix A.1), each on its own
fixed batch of real digits. A system makes such steps in a process of its own, and tells what each
took. Its memory is what the process held at most, resident on the CPU and allocated on a GPU (there
after the warm-up, whose trials of algorithms need more), and the same less what it held before it
built the supernet. On a GPU it is also what torch reserved: CUDA graphs keep memory that does not
count as allocated.
"""

import importlib
import itertools
import multiprocessing
import sys
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch
from measuring import memory, now, reason, refuse
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate

from darts_lite.data.images.datasets import find_root, find_spec, load
from darts_lite.data.splits import stratified_order
from darts_lite.networks.cells.mixed import Executor, Literal
from darts_lite.networks.folded.executor import Folded
from darts_lite.networks.supernet import Supernet
from darts_lite.search.bilevel import frozen, gradients_of
from darts_lite.search.cuda_graphs import Step as Gradients
from darts_lite.search.cuda_graphs import capture_graphs
from darts_lite.search.executors import EXECUTORS, choose_faster
from darts_lite.space.cells.search_space import SearchSpace, darts_space
from darts_lite.training.optimizers import darts_adam, darts_sgd

OWN = ("auto", "folded", "literal", "graphed", "compiled")
PEERS = {"peer": torch.contiguous_format, "peer_channels_last": torch.channels_last}
PRECISIONS = {"32": torch.float32, "bf16": torch.bfloat16, "16": torch.float16}
CLASSES = 10
CLIP = 5.0
CONTEXT = multiprocessing.get_context("spawn")  # of the processes

Arrays = tuple[NDArray[Any], NDArray[Any]]  # images (B, 1, H, W) float32, labels (B,) int64
Batches = tuple[Arrays, Arrays]  # of the alphas, of the weights


@dataclass(frozen=True)
class Settings:
    """A space to search, its batches, and where and how the supernet runs."""

    space: SearchSpace = darts_space()
    batch: int = 32
    size: int = 28
    image_channels: int = 1
    device: str = "cpu"
    precision: str = "32"
    threads: int | None = None
    warmup: int = 2
    peer: str = ""

    def autocast(self) -> torch.autocast:
        """Where forward passes run."""
        dtype = PRECISIONS[self.precision]
        return torch.autocast(self.device, dtype, enabled=dtype != torch.float32)


@dataclass(frozen=True)
class Step:
    """What one step took, in seconds, its weights' loss, and the process' memory so far, bytes."""

    architecture: float
    weights: float
    loss: float
    peak: int
    added: int
    reserved: int = 0

    @property
    def seconds(self) -> float:
        """Of the whole step."""
        return self.architecture + self.weights


class OwnSearch:
    """This package's supernet, run by an executor; the steps of `ArchitectureSearch`.

    Args:
        settings: What is searched, and where.
        executor: Computes the cells.
        graphs: Whether both steps' gradients are replayed as CUDA graphs, where there is a GPU.
    """

    layout = torch.channels_last

    def __init__(self, settings: Settings, executor: Executor, graphs: bool = False) -> None:
        self.autocast, self.image_channels = settings.autocast, settings.image_channels
        self.supernet = Supernet(settings.space, self.image_channels, CLASSES, executor=executor)
        self.supernet.to(settings.device).to(memory_format=self.layout)
        self.alphas = dict(self.supernet.alphas.items())
        self.alphas_optimizer = darts_adam(self.alphas.values())
        self.weights_optimizer = darts_sgd(self.supernet.weights())
        self.gradients: tuple[Gradients, Gradients] = self.alphas_gradients, self.weights_gradients
        if graphs:
            self.gradients = capture_graphs(self.gradients, self.supernet.buffers, possible=True)

    def architecture_step(self, images: Tensor, labels: Tensor) -> None:
        """One step of the alphas."""
        gradients = self.gradients[0](images, labels)
        for alpha, gradient in zip(self.alphas.values(), gradients, strict=True):
            alpha.grad = gradient
        self.alphas_optimizer.step()

    def weight_step(self, images: Tensor, labels: Tensor) -> Tensor:
        """One step of the weights; returns the loss before it."""
        loss, *gradients = self.gradients[1](images, labels)
        for weight, gradient in zip(self.supernet.weights(), gradients, strict=True):
            weight.grad = gradient
        torch.nn.utils.clip_grad_norm_(self.supernet.weights(), CLIP)
        self.weights_optimizer.step()
        return loss

    def alphas_gradients(self, images: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """The loss's gradients in the alphas; no gradient of a weight is computed."""
        with frozen(self.supernet.weights()):
            loss = self.loss(images, labels, self.alphas)
            return tuple(gradients_of(loss, list(self.alphas.values())))

    def weights_gradients(self, images: Tensor, labels: Tensor) -> tuple[Tensor | None, ...]:
        """The loss, and its gradients in the weights; no gradient of an alpha is computed."""
        self.supernet.zero_grad()
        loss = self.loss(images, labels, {k: alpha.detach() for k, alpha in self.alphas.items()})
        loss.backward()
        return loss.detach(), *(weight.grad for weight in self.supernet.weights())

    def loss(self, images: Tensor, labels: Tensor, alphas: Mapping[str, Tensor]) -> Tensor:
        """Cross-entropy with softmax mixing weights."""
        with self.autocast():
            shares = {kind: alpha.softmax(-1) for kind, alpha in alphas.items()}
            return cross_entropy(self.supernet(images, shares), labels)


class PeerSearch:
    """The published code, called as its ``train_search.py`` calls it, first order."""

    image_channels = 3

    def __init__(self, settings: Settings, layout: torch.memory_format) -> None:
        if settings.device == "cpu":
            # Its alphas are made by ``.cuda()``, which a machine without a GPU refuses.
            torch.Tensor.cuda = lambda self, *_, **__: self  # type: ignore[method-assign]
        sys.path.insert(0, settings.peer)  # its modules import each other by bare names
        self.layout, self.autocast = layout, settings.autocast
        self.criterion = torch.nn.CrossEntropyLoss()
        space = settings.space
        self.model = importlib.import_module("model_search").Network(
            space.channels,
            CLASSES,
            space.cells,
            self.criterion,
            steps=space.nodes,
            multiplier=space.nodes,
        )
        self.model.to(settings.device).to(memory_format=layout)
        options = Namespace(
            momentum=0.9, weight_decay=3e-4, arch_learning_rate=3e-4, arch_weight_decay=1e-3
        )
        self.architect = importlib.import_module("architect").Architect(self.model, options)
        self.optimizer = darts_sgd(self.model.parameters())

    def architecture_step(self, images: Tensor, labels: Tensor) -> None:
        """Its architect's step; the batch of the weights is for second order only."""
        rate = self.optimizer.param_groups[0]["lr"]
        with self.autocast():
            self.architect.step(
                images, labels, images, labels, rate, self.optimizer, unrolled=False
            )

    def weight_step(self, images: Tensor, labels: Tensor) -> Tensor:
        """The weight step of its training loop."""
        self.optimizer.zero_grad()
        with self.autocast():
            loss = self.criterion(self.model(images), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()
        return loss.detach()


Search = OwnSearch | PeerSearch


def build(system: str, settings: Settings) -> Search:
    """A system, from the same seed each time."""
    torch.manual_seed(0)
    if system in PEERS:
        return PeerSearch(settings, PEERS[system])
    executors: Mapping[str, Executor] = {
        "folded": Folded(),
        "graphed": Folded(),
        "compiled": Folded(compiled=True),
        "literal": Literal(),
        "auto": EXECUTORS[
            choose_faster(settings.device, settings.space.channels, settings.precision != "32")
        ](),
    }
    return OwnSearch(settings, executors[system], graphs=system == "graphed")


class Worker:
    """A system in a process of its own, which is built and warmed up when this is entered.

    Args:
        system: Its name.
        settings: What it searches.
        batches: On which it makes its steps.
        patience: Seconds that a step may take, the first one with all that comes before it; None
            for any.

    Attributes:
        first: Its very first step.
    """

    first: Step

    def __init__(
        self, system: str, settings: Settings, batches: Batches, patience: float | None = None
    ) -> None:
        self.system, self.warmup, self.patience = system, settings.warmup, patience
        self.pipe, theirs = CONTEXT.Pipe()
        arguments = (theirs, system, settings, batches)
        self.process = CONTEXT.Process(target=serve, args=arguments, daemon=True)
        self.process.start()
        theirs.close()

    def warm_up(self) -> Step:
        """Makes the steps that do not count, and returns the first one."""
        self.first, *_ = [self.step() for _ in range(self.warmup)]
        return self.first

    def step(self) -> Step:
        """Lets it make one step, and waits for it.

        Raises:
            SystemExit: in one line, if it fails or takes too long.
        """
        try:
            self.pipe.send(True)
            if not self.pipe.poll(self.patience):
                self.process.kill()
                raise SystemExit(f"{self.system} was ended after {self.patience:.0f} s")
            made = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            made = f"exit status {self.process.exitcode}"
        if isinstance(made, str):
            raise SystemExit(f"{self.system} failed: {made}")
        return made

    def __enter__(self) -> "Worker":
        self.warm_up()
        return self

    def __exit__(self, *_: object) -> None:
        self.pipe.close()  # which ends the process
        self.process.join()


def serve(pipe: Connection, system: str, settings: Settings, batches: Batches) -> None:
    """The worker's process: answers with steps, and when it fails with the reason."""
    try:
        work(pipe, system, settings, batches)
    except Exception as error:
        pipe.send(reason(error))


def work(pipe: Connection, system: str, settings: Settings, batches: Batches) -> None:
    """Builds a system and answers each message with a step."""
    if settings.threads:
        torch.set_num_threads(settings.threads)
    torch.backends.cudnn.benchmark = True  # as the published code sets it
    held, *_ = memory(settings.device)
    search = build(system, settings)
    for_alphas, for_weights = (search_batch(search, batch, settings.device) for batch in batches)
    for count in itertools.count():
        try:
            pipe.recv()
        except EOFError:
            return
        if count == settings.warmup and settings.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        start = now(settings.device)
        search.architecture_step(*for_alphas)
        middle = now(settings.device)
        loss = search.weight_step(*for_weights)
        end = now(settings.device)
        _, peak, reserved = memory(settings.device)
        pipe.send(Step(middle - start, end - middle, float(loss), peak, peak - held, reserved))


def search_batch(search: Search, batch: Arrays, device: str) -> tuple[Tensor, Tensor]:
    """Images ``(B, C, H, W)`` and labels as a system reads them."""
    images, labels = map(torch.from_numpy, batch)
    images = images.repeat(1, search.image_channels, 1, 1)  # grey
    return images.to(device, memory_format=search.layout), labels.to(device)


def digits(batch: int, size: int) -> tuple[Batches, str]:
    """Two disjoint batches of real digits, normalised, and where they come from."""
    spec, data = find_spec("MNIST"), load("MNIST", find_root(None))
    if 2 * batch > len(data.train_labels):
        refuse(f"there are only {len(data.train_labels)} digits for two batches of {batch}")
    chosen = stratified_order(data.train_labels, seed=0)[: 2 * batch]
    images = (data.train_items[chosen].float() / 255 - spec.mean[0]) / spec.std[0]
    if size != spec.size:
        images = interpolate(images, (size, size), mode="bilinear")
    alphas, weights = (
        (x.numpy(), y.numpy())
        for x, y in zip(images.split(batch), data.train_labels[chosen].split(batch), strict=True)
    )
    return (alphas, weights), data.source
