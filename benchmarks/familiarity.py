"""Which measure tells images that are unlike those a net was trained on?

    python benchmarks/familiarity.py logs/mnist/version_0/net.ckpt --root DATA

A net of MNIST is shown MNIST's test images and what is none of it: FashionMNIST, negatives, noise
and digits upside down. Each measure marks what is beyond 99 % of the validation images, here the
training images from 2,000 on; references are the first ones. Printed is the share that is marked:
of MNIST as little as possible, of the others as much. Results: docs/benchmarks/data.md.
"""

import argparse
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from darts_lite.data.images.image_data import ImageData
from darts_lite.export.inference import Answer, load_answer
from darts_lite.retraining.familiarity import FAMILIAR, measure_distances, reading_features

COUNT = 1000  # images of each kind
REFERENCES = (100, 256, 1000)

Seen = tuple[Tensor, Tensor, Tensor]  # pixels (N, C, H, W), logits (N, classes), features (N, D)


def look(net: Answer, pixels: Tensor) -> Seen:
    """Runs a net once on pixels in 0..1."""
    with torch.no_grad(), reading_features(net.net) as seen:
        parts = [net.net((part - net.mean) / net.std) for part in pixels.split(250)]
    return pixels, torch.cat(parts), torch.cat(seen)


def describe_pixels(pixels: Tensor) -> Tensor:
    """Returns brightness, contrast and fineness of each channel, ``(N, 3 C)``."""
    fine = pixels.diff(dim=-1).abs().mean((2, 3)) + pixels.diff(dim=-2).abs().mean((2, 3))
    return torch.cat([pixels.mean((2, 3)), pixels.std((2, 3)), fine], dim=1)


def make_measures(known: Seen) -> dict[str, Callable[[Seen], Tensor]]:
    """Returns measures ``(N,)`` that grow with strangeness, made of training images."""
    figures = describe_pixels(known[0])
    inverse = torch.linalg.inv(torch.cov(figures.T) + 1e-8 * torch.eye(figures.shape[1]))

    def measure_pixels(seen: Seen) -> Tensor:  # Mahalanobis' distance
        apart = describe_pixels(seen[0]) - figures.mean(dim=0)
        return torch.einsum("nd,de,ne->n", apart, inverse, apart)

    def measure_nearest(count: int) -> Callable[[Seen], Tensor]:
        references = torch.nn.functional.normalize(known[2][:count], dim=1)
        return lambda seen: measure_distances(seen[2], references)

    return {
        "probability": lambda seen: -seen[1].softmax(dim=1).amax(dim=1),
        "largest logit": lambda seen: -seen[1].amax(dim=1),
        "energy": lambda seen: -seen[1].logsumexp(dim=1),
        "pixels": measure_pixels,
        **{f"nearest of {count}": measure_nearest(count) for count in REFERENCES},
    }


def read_pixels(dataset: str, root: str | None, part: str) -> Tensor:
    """Returns images of a data set in 0..1."""
    data = ImageData(dataset=dataset, root=root)
    data.setup("test")
    return getattr(data.items, f"{part}_items")[: 3 * COUNT].float() / 255


def main(args: Sequence[str] | None = None) -> None:
    """Prints a row per measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", help="net.ckpt of a net of MNIST")
    parser.add_argument("--root", help="data folder with MNIST and FashionMNIST")
    options = parser.parse_args(args)
    net, _ = load_answer(options.checkpoint)
    training = read_pixels("MNIST", options.root, "train")
    digits = read_pixels("MNIST", options.root, "test")[:COUNT]
    kinds = {
        "MNIST": digits,
        "clothes": read_pixels("FashionMNIST", options.root, "test")[:COUNT],
        "negatives": 1 - digits,
        "noise": torch.rand(digits.shape, generator=torch.Generator().manual_seed(0)),
        "upside down": digits.flip(-2),
    }
    measures = make_measures(look(net, training[: 2 * COUNT]))
    validation = look(net, training[2 * COUNT :])
    seen = {kind: look(net, pixels) for kind, pixels in kinds.items()}
    print("| measure |", " | ".join(kinds), "|\n|", " | ".join("---" for _ in [0, *kinds]), "|")
    for name, measure in measures.items():
        limit = measure(validation).quantile(FAMILIAR)
        marked = [100 * float((measure(each) > limit).float().mean()) for each in seen.values()]
        print(f"| {name} |", " | ".join(f"{share:.1f} %" for share in marked), "|")


if __name__ == "__main__":
    main()
