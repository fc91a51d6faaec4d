"""Does the search find a planted best candidate? The alphas' settings, measured.

A space where each edge offers one convolution among candidates that emit noise, searched on real
digits with the alphas' optimizer and beta-decay of a preset, for several learning rates and
strengths: share of edges whose largest alpha is the convolution's, drift and median top-2 margin.

    python benchmarks/planted.py --steps 800 --rates 3e-4 3e-3 --strengths 0 0.5 25 --seeds 3

Results: docs/benchmarks/methods.md.
"""

import argparse
import logging
import statistics
import warnings
from collections.abc import Sequence

import torch
from lightning.pytorch import seed_everything
from quiet import quiet_trainer
from torch import Tensor, nn

from darts_lite import ArchitectureSearch, BetaDecay, ImageData, SearchSpace


class Noise(nn.Module):
    """A candidate that ignores its input: fresh noise of unit variance in the output's shape."""

    def __init__(self, channels: int, stride: int, affine: bool) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` -> noise ``(B, C, H / stride, W / stride)``."""
        return torch.randn_like(x[:, :, :: self.stride, :: self.stride])


class OtherNoise(Noise):
    """The same under another name."""


class MoreNoise(Noise):
    """And once more."""


USEFUL = "conv_3x3"


def planted_space() -> SearchSpace:
    """Two cells of two nodes; on each edge a convolution among three noises."""
    noises = [f"{kind.__module__}.{kind.__name__}" for kind in (Noise, OtherNoise, MoreNoise)]
    candidates = (noises[0], USEFUL, *noises[1:])
    return SearchSpace(candidates, 2, 2, 4, 2, (1,), "conv3x3_stride2", "planted")


def found_share(search: ArchitectureSearch) -> float:
    """Share of all edges whose strongest candidate is the convolution."""
    best = torch.cat([shares.argmax(dim=-1) for shares in search.shares().values()])
    useful = search.space.groups["normal"].options.index(USEFUL)
    return float((best == useful).float().mean())


def sgd(parameters: object) -> torch.optim.Optimizer:
    """The optimizer of the weights."""
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)  # type: ignore[arg-type]


def search_once(rate: float, strength: float, steps: int, seed: int) -> ArchitectureSearch:
    """A search of so many architecture steps."""
    seed_everything(seed, verbose=False)
    search = ArchitectureSearch(
        planted_space(),
        weights_optimizer=sgd,
        alphas_optimizer=lambda p: torch.optim.Adam(
            p, lr=rate, betas=(0.5, 0.999), weight_decay=1e-3
        ),
        regularizers=[BetaDecay(strength)],
    )
    trainer = quiet_trainer(
        max_epochs=-1,
        max_steps=steps,
        limit_val_batches=0,
    )
    trainer.fit(search, datamodule=ImageData(search_batch_size=32))
    return search


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table row per setting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--rates", type=float, nargs="+", default=[3e-4, 3e-3, 1e-2])
    parser.add_argument("--strengths", type=float, nargs="+", default=[0.0, 0.5, 5.0, 25.0])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(arguments)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)
    print("| rate | strength | edges found | drift | median top-2 margin |")
    print("| --- | --- | --- | --- | --- |")
    for rate in options.rates:
        for strength in options.strengths:
            runs = [
                search_once(rate, strength, options.steps, seed) for seed in range(options.seeds)
            ]
            found = statistics.mean(map(found_share, runs))
            drift = statistics.mean(run.diagnostics()["drift"] for run in runs)
            margin = statistics.mean(run.diagnostics()["median_top2_margin"] for run in runs)
            print(
                f"| {rate:g} | {strength:g} | {found:.0%} | {drift:.3f} | {margin:.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
