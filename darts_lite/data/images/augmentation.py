"""Random augmentation of whole batches, on their own device.

To add one: an argument of `Augmentation`, its line in ``limits``, and a step in one of its methods.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from darts_lite.data.changes import AMOUNT, PIXELS, SHARE, RandomChanges
from darts_lite.distributed.ranks import WHOLE, Shard

KNOTS = 5  # points along each side of the grid on which an elastic displacement is drawn
GREY = (0.299, 0.587, 0.114)  # weights of red, green and blue, ITU-R 601-2
BORDERS = {"black": "zeros", "mirrored": "reflection"}
"""What lies outside of an image -> the padding of torch's `grid_sample`."""


def to_grey(images: Tensor) -> Tensor:
    """Returns the grey (B, 1, H, W) of images (B, C, H, W): the mean, unless these are colours."""
    if images.shape[1] != len(GREY):
        return images.mean(dim=1, keepdim=True)
    return (images * images.new_tensor(GREY).view(-1, 1, 1)).sum(dim=1, keepdim=True)


class Augmentation(RandomChanges):
    """Changes light and colours, flips, rotates, scales, shifts and bends images, erases parts.

    Each image is changed differently. Light and geometry come before normalisation; erasing fills
    with the mean, which is 0 after it (cutout, arXiv 1708.04552). Calling the module keeps that
    order.

    Args:
        shift: largest shift along each axis, in whole pixels, uniform
        rotation: largest rotation either way, in degrees, uniform
        scale: largest relative change of size, uniform between 1 - scale and 1 + scale
        elastic: standard deviation of a smooth random displacement, in pixels (Simard et al.,
            ICDAR 2003), drawn on a grid of `KNOTS` by `KNOTS` points and interpolated between them
        flip: mirror half of the images left to right
        erase: side in pixels of one square set to the mean, clipped at the border; 0 erases nothing
        brightness: largest relative change of all values, uniform as ``scale``
        contrast: largest relative change of the distances from an image's mean grey, uniform
        saturation: largest relative change of a pixel's distances from its grey, uniform; images
            that do not have three channels keep theirs
        border: what geometry finds outside of an image, ``black`` or the image ``mirrored``

    Raises:
        ValueError: if an argument is out of its range.
    """

    limits = {
        "shift": PIXELS,
        "rotation": (lambda value: 0 <= value <= 180, "between 0 and 180 degrees"),
        "scale": SHARE,
        "elastic": AMOUNT,
        "erase": PIXELS,
        "brightness": SHARE,
        "contrast": SHARE,
        "saturation": (lambda value: 0 <= value <= 1, "between 0 and 1"),
        "border": (lambda value: value in BORDERS, " or ".join(BORDERS)),
    }

    def __init__(
        self,
        shift: int = 0,
        rotation: float = 0.0,
        scale: float = 0.0,
        elastic: float = 0.0,
        flip: bool = False,
        erase: int = 0,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        border: Literal["black", "mirrored"] = "black",
    ) -> None:
        super().__init__()
        self.shift, self.rotation, self.scale = shift, rotation, scale
        self.elastic, self.flip, self.erase = elastic, flip, erase
        self.brightness, self.contrast, self.saturation = brightness, contrast, saturation
        self.border = border
        self.check()

    def forward(
        self,
        images: Tensor,
        normalize: Callable[[Tensor], Tensor] = lambda images: images,
        part: Shard = WHOLE,
    ) -> Tensor:
        """Augments float images (B, C, H, W) in 0..1, normalised between geometry and erasing."""
        changed = self.geometry(self.light(images, part), part)
        return self.erasing(normalize(changed), part)

    def light(self, images: Tensor, part: Shard = WHOLE) -> Tensor:
        """Changes brightness, contrast and saturation of images (B, C, H, W), kept in 0..1."""
        if self.brightness:
            images = (images * self.draw_factors(self.brightness, images, part)).clamp(0, 1)
        if self.contrast:
            middle = to_grey(images).mean(dim=(2, 3), keepdim=True)  # (B, 1, 1, 1)
            factors = self.draw_factors(self.contrast, images, part)
            images = (middle + factors * (images - middle)).clamp(0, 1)
        if self.saturation and images.shape[1] == len(GREY):
            grey, factors = to_grey(images), self.draw_factors(self.saturation, images, part)
            images = (grey + factors * (images - grey)).clamp(0, 1)
        return images

    def geometry(self, images: Tensor, part: Shard = WHOLE) -> Tensor:
        """Flips, rotates, scales, shifts and bends images (B, C, H, W)."""
        batch, _, height, width = images.shape
        device = images.device
        if self.flip:
            draws = part.local_random(lambda n: torch.rand(n, 1, 1, 1, device=device), batch)
            images = torch.where(draws < 0.5, images.flip(-1), images)
        if not (self.shift or self.rotation or self.scale or self.elastic):
            return images
        angle = torch.deg2rad(self.rotation * self.draw_uniform(images, part))  # (B,)
        size = 1 + self.scale * self.draw_uniform(images, part)  # (B,)
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
        return F.grid_sample(images, grid, padding_mode=BORDERS[self.border], align_corners=False)

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
