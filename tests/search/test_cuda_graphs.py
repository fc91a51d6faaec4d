"""Steps as CUDA graphs: on a GPU where there is one, and the way back on the CPU."""

import pytest
import torch
from run_helpers import SMALL, fast_sgd, quiet_trainer
from torch import Tensor

from darts_lite.data.images.image_data import ImageData
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.cuda_graphs import Graphed

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def test_on_the_cpu_the_step_runs_as_it_is_written() -> None:
    calls: list[int] = []

    def step(images: Tensor, labels: Tensor) -> tuple[Tensor]:
        calls.append(len(images))
        return (images.sum() + labels.sum(),)

    graphed = Graphed(step, list)
    assert graphed(torch.ones(2, 1), torch.ones(2))[0] == 4
    assert graphed(torch.ones(3, 1), torch.ones(3))[0] == 6
    assert calls == [2, 3]


def test_without_a_gpu_a_search_says_so_and_goes_on(digits: ImageData) -> None:
    search = ArchitectureSearch(SMALL, weights_optimizer=fast_sgd, cuda_graphs=True)
    run = quiet_trainer(max_epochs=1, limit_train_batches=2, limit_val_batches=0)
    with pytest.warns(UserWarning, match="cuda_graphs needs one GPU"):
        run.fit(search, datamodule=digits)
    assert search.architecture_steps == 2


@needs_gpu
def test_a_replay_is_the_step() -> None:
    weight = torch.ones(3, device="cuda", requires_grad=True)
    seen = torch.zeros((), device="cuda")

    def step(images: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        seen.add_(1)
        loss = (images @ weight - labels).square().mean()
        return loss.detach(), *torch.autograd.grad(loss, [weight])

    graphed = Graphed(step, lambda: [seen])
    for count in range(1, 4):
        images, labels = torch.randn(5, 3, device="cuda"), torch.randn(5, device="cuda")
        found = [tensor.clone() for tensor in graphed(images, labels)]
        assert seen == count
        for a, b in zip(found, step(images, labels), strict=True):
            assert torch.allclose(a, b)
        seen.fill_(count)
