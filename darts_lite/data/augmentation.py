"""Random augmentation of whole batches, on their own device."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from darts_lite.distributed.ranks import WHOLE, Shard
from darts_lite.storage.components import class_path

KNOTS = 5  # points along each side of the grid on which an elastic displacement is drawn


class Augmentation(nn.Module):
    """Shifts, rotates, scales, bends, flips and partly erases images, each image differently.

    The geometry fills with black, so it comes before normalisation. Erasing fills with the mean,
    which is 0 after normalisation (cutout, arXiv 1708.04552). Calling the module keeps that order.
    All draws come from the device's global random generator.

    Args:
        shift: largest shift along each axis, in whole pixels, uniform
        rotation: largest rotation either way, in degrees, uniform
        scale: largest relative change of size, uniform between 1 - scale and 1 + scale
        elastic: standard deviation of a smooth random displacement, in pixels (Simard et al.,
            ICDAR 2003), drawn on a grid of `KNOTS` by `KNOTS` points and interpolated between them
        flip: mirror half of the images left to right
        erase: side in pixels of one square set to the mean, clipped at the border; 0 erases nothing

    Raises:
        ValueError: if an argument is out of its range.
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
        normalize: Callable[[Tensor], Tensor] = lambda images: images,
        part: Shard = WHOLE,
    ) -> Tensor:
        """Augments float images (B, C, H, W) in 0..1, normalised between geometry and erasing."""
        return self.erasing(normalize(self.geometry(images, part)), part)

    def geometry(self, images: Tensor, part: Shard = WHOLE) -> Tensor:
        """Flips, rotates, scales, shifts and bends images (B, C, H, W); uncovered pixels are 0."""
        batch, _, height, width = images.shape
        device = images.device
        if self.flip:
            draws = part.local_random(lambda n: torch.rand(n, 1, 1, 1, device=device), batch)
            images = torch.where(draws < 0.5, images.flip(-1), images)
        if not (self.shift or self.rotation or self.scale or self.elastic):
            return images
        angle = torch.deg2rad(self.rotation * self._uniform(images, part))  # (B,)
        size = 1 + self.scale * self._uniform(images, part)  # (B,)
        limits = (-self.shift, self.shift + 1)
        shifts = part.local_random(lambda n: torch.randint(*limits, (2, n), device=device).T, batch)
        right, down = shifts.T  # (B,) each
        # The map from output to input pixels; affine_grid measures each axis in half image sides,
        # so height / width keeps right angles.
        cosine, sine = angle.cos() / size, angle.sin() / size
        rows = (
            torch.stack((cosine, -sine * height / width, -2 * right / width), dim=-1),
            torch.stack((sine * width / height, cosine, -2 * down / height), dim=-1),
        )
        matrix = torch.stack(rows, dim=1).to(images.dtype)  # (B, 2, 3)
        grid = F.affine_grid(matrix, list(images.shape), align_corners=False)  # (B, H, W, 2)
        if self.elastic:
            shape = (2, KNOTS, KNOTS)
            knots = part.local_random(lambda n: torch.randn(n, *shape, device=device), batch)
            # Displacements of all pixels, (B, 2, H, W), in pixels -> in half image sides.
            bent = F.interpolate(knots, (height, width), mode="bicubic", align_corners=True)
            sides = torch.tensor([width, height], device=device)
            grid = grid + self.elastic * 2 / sides * bent.permute(0, 2, 3, 1)
        return F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)

    def erasing(self, images: Tensor, part: Shard = WHOLE) -> Tensor:
        """Sets one square of each normalised image (B, C, H, W) to 0."""
        if not self.erase:
            return images
        batch, device = len(images), images.device

        def draw_inside(side: int) -> Tensor:  # (B, side)
            centre = part.local_random(lambda n: torch.randint(side, (n, 1), device=device), batch)
            offset = torch.arange(side, device=device) - centre + self.erase // 2
            return (offset >= 0) & (offset < self.erase)

        rows, columns = map(draw_inside, images.shape[-2:])
        # A pixel is erased where both its row and its column lie in the square.
        square = rows[:, None, :, None] & columns[:, None, None, :]  # (B, 1, H, W)
        return images.masked_fill(square, 0.0)

    def describe(self) -> dict[str, Any]:
        """Returns the class and its arguments as plain values, to build the object again."""
        names = ("shift", "rotation", "scale", "elastic", "flip", "erase")
        settings = {name: getattr(self, name) for name in names}
        return {"class_path": class_path(type(self)), "init_args": settings}

    @staticmethod
    def _uniform(images: Tensor, part: Shard) -> Tensor:
        draws = part.local_random(lambda n: torch.rand(n, device=images.device), len(images))
        return 2 * draws - 1  # (B,)
