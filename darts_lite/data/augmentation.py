"""Random augmentation of whole batches, on the device they lie on."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from darts_lite.distributed.ranks import WHOLE, Part
from darts_lite.storage.components import class_path

KNOTS = 5
"""Points along each side between which an elastic displacement is interpolated."""


def _unchanged(images: Tensor) -> Tensor:
    return images


class Augmentation(nn.Module):
    """Shift, rotate, scale, bend, flip and partly erase images, each image differently.

    The geometry fills with black, so it belongs before normalisation; erasing fills with the mean,
    0 after normalisation (cutout, arXiv 1708.04552): calling the module keeps that order. All draws
    come from the device's global random generator.

    Args:
        shift: largest shift along each axis, in whole pixels, uniform
        rotation: largest rotation either way, in degrees, uniform
        scale: largest relative change of size, uniform between 1 - scale and 1 + scale
        elastic: standard deviation of a smooth random displacement of pixels, in pixels (Simard et
            al., ICDAR 2003): drawn on a grid of `KNOTS` by `KNOTS` points and interpolated between
        flip: mirror half of the images left to right
        erase: side in pixels of one square set to the mean, clipped at the border; 0 erases nothing

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        shift: int = 0,
        rotation: float = 0.0,
        scale: float = 0.0,
        elastic: float = 0.0,
        flip: bool = False,
        erase: int = 0,
    ) -> None:
        super().__init__()
        for name, pixels in (("shift", shift), ("erase", erase)):
            if pixels != int(pixels) or pixels < 0:
                raise ValueError(f"{name} must be a whole number of pixels >= 0, got {pixels}")
        if not 0 <= rotation <= 180:
            raise ValueError(f"rotation must be between 0 and 180 degrees, got {rotation}")
        if not 0 <= scale < 1:
            raise ValueError(f"scale must be at least 0 and below 1, got {scale}")
        if not 0 <= elastic < float("inf"):
            raise ValueError(f"elastic must be at least 0 pixels and finite, got {elastic}")
        self.shift, self.rotation, self.scale = shift, rotation, scale
        self.elastic, self.flip, self.erase = elastic, flip, erase

    def forward(
        self,
        images: Tensor,
        normalize: Callable[[Tensor], Tensor] = _unchanged,
        part: Part = WHOLE,
    ) -> Tensor:
        """Augment float images (B, C, H, W) in 0..1; they come back normalised.

        Args:
            images: (B, C, H, W)
            normalize: applied between geometry and erasing
            part: which images of a joint batch these are
        """
        return self.erasing(normalize(self.geometry(images, part)), part)

    def geometry(self, images: Tensor, part: Part = WHOLE) -> Tensor:
        """Flip, rotate, scale, shift and bend float images (B, C, H, W); what is uncovered is 0."""
        batch, _, height, width = images.shape
        device = images.device
        if self.flip:
            mirrored = part.drawn(lambda n: torch.rand(n, 1, 1, 1, device=device) < 0.5, batch)
            images = torch.where(mirrored, images.flip(-1), images)
        if not (self.shift or self.rotation or self.scale or self.elastic):
            return images
        angle = torch.deg2rad(self.rotation * self._uniform(images, part))  # (B,)
        size = 1 + self.scale * self._uniform(images, part)  # (B,)
        limits = (-self.shift, self.shift + 1)
        shifts = part.drawn(lambda n: torch.randint(*limits, (2, n), device=device).T, batch)
        right, down = shifts.T  # (B,) each
        # affine_grid measures each axis in half image sides: height / width keeps right angles
        cosine, sine = angle.cos() / size, angle.sin() / size
        rows = (
            torch.stack((cosine, -sine * height / width, -2 * right / width), dim=-1),
            torch.stack((sine * width / height, cosine, -2 * down / height), dim=-1),
        )
        matrix = torch.stack(rows, dim=1).to(images.dtype)  # (B, 2, 3)
        grid = F.affine_grid(matrix, list(images.shape), align_corners=False)  # (B, H, W, 2)
        if self.elastic:
            knots = part.drawn(lambda n: torch.randn(n, 2, KNOTS, KNOTS, device=device), batch)
            bent = F.interpolate(knots, (height, width), mode="bicubic", align_corners=True)
            sides = torch.tensor([width, height], device=device)  # in units of half of them
            grid = grid + self.elastic * 2 / sides * bent.permute(0, 2, 3, 1)
        return F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)

    def erasing(self, images: Tensor, part: Part = WHOLE) -> Tensor:
        """Set one square of each normalised image (B, C, H, W) to 0."""
        if not self.erase:
            return images
        inside = []
        for side in images.shape[-2:]:
            centre = part.drawn(partial(_places, side, images.device), len(images))  # (B, 1)
            offset = torch.arange(side, device=images.device) - centre + self.erase // 2
            inside.append((offset >= 0) & (offset < self.erase))  # (B, side)
        square = inside[0][:, None, :, None] & inside[1][:, None, None, :]  # (B, 1, H, W)
        return images.masked_fill(square, 0.0)

    def describe(self) -> dict[str, Any]:
        """The class and its arguments as plain values, from which a parser builds it again."""
        names = ("shift", "rotation", "scale", "elastic", "flip", "erase")
        settings = {name: getattr(self, name) for name in names}
        return {"class_path": class_path(type(self)), "init_args": settings}

    @staticmethod
    def _uniform(images: Tensor, part: Part) -> Tensor:
        draws = part.drawn(lambda n: torch.rand(n, device=images.device), len(images))
        return 2 * draws - 1  # (B,)


def _places(side: int, device: torch.device, count: int) -> Tensor:
    return torch.randint(side, (count, 1), device=device)
