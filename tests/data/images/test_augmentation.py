"""Augmentation: exact where it can be, reproducible where it is random."""

import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from darts_lite.data.images.augmentation import Augmentation, to_grey
from darts_lite.distributed.ranks import Shard


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(64, 2, 12, 12, generator=torch.Generator().manual_seed(0)) + 0.1


def shifted(image: torch.Tensor, right: int, down: int, margin: int) -> torch.Tensor:
    padded = F.pad(image, (margin,) * 4)
    height, width = image.shape[-2:]
    top, left = margin - down, margin - right
    return padded[..., top : top + height, left : left + width]


def test_nothing_to_do_leaves_images_alone(images: torch.Tensor) -> None:
    assert Augmentation()(images) is images


def test_a_shift_is_a_whole_number_of_pixels_filled_with_black(images: torch.Tensor) -> None:
    torch.manual_seed(0)
    result = Augmentation(shift=2).geometry(images)
    steps = range(-2, 3)
    seen = set()
    for image, moved in zip(images, result, strict=True):
        options = {(r, d): shifted(image, r, d, 2) for r in steps for d in steps}
        errors = {step: (moved - option).abs().max().item() for step, option in options.items()}
        best = min(errors, key=lambda step: errors[step])
        assert errors[best] < 5e-6
        seen.add(best)
    assert len(seen) > 15
    assert {right for right, _ in seen} == {down for _, down in seen} == set(steps)


def test_a_shift_is_exact_on_non_square_images() -> None:
    torch.manual_seed(1)
    image = torch.rand(1, 1, 6, 17)
    moved = Augmentation(shift=3).geometry(image.expand(20, 1, 6, 17))
    options = torch.cat([shifted(image, r, d, 3) for r in range(-3, 4) for d in range(-3, 4)])
    errors = (moved[:, None] - options[None]).abs().amax(dim=(2, 3, 4)).amin(dim=1)
    assert errors.max() < 5e-6


@pytest.mark.parametrize(("height", "width"), [(41, 41), (41, 81), (81, 41)])
def test_rotation_keeps_distances_on_any_shape(height: int, width: int) -> None:
    """A blob stays as far from the centre as it was; squeezed axes would move it."""
    image = torch.zeros(16, 1, height, width)
    image[..., height // 2 - 1 : height // 2 + 2, width // 2 + 11 : width // 2 + 14] = 1.0
    torch.manual_seed(0)
    rotated = Augmentation(rotation=180.0).geometry(image)
    mass = rotated.sum(dim=(1, 2, 3))
    rows = torch.arange(height) - height // 2
    columns = torch.arange(width) - width // 2
    y = (rotated.sum(dim=(1, 3)) * rows).sum(1) / mass
    x = (rotated.sum(dim=(1, 2)) * columns).sum(1) / mass
    torch.testing.assert_close(torch.hypot(x, y), torch.full((16,), 12.0), atol=0.1, rtol=0)
    torch.testing.assert_close(mass, torch.full((16,), 9.0), atol=0.3, rtol=0)
    assert torch.atan2(y, x).std() > 0.5


def test_scale_changes_the_area() -> None:
    image = torch.zeros(64, 1, 33, 33)
    image[..., 11:22, 11:22] = 1.0
    torch.manual_seed(0)
    sides = Augmentation(scale=0.25).geometry(image).sum(dim=(1, 2, 3)).sqrt()
    assert 11 * 0.74 < sides.min() < 9.5
    assert 12.5 < sides.max() < 11 * 1.26


def test_bending_moves_pixels_smoothly_by_so_many() -> None:
    """A ramp shows by its new values how far each pixel has come."""
    ramp = torch.linspace(0, 1, 61).expand(200, 1, 61, 61)
    torch.manual_seed(0)
    moved = 60 * (Augmentation(elastic=1.5).geometry(ramp) - ramp)  # pixels
    inside = moved[:, 0, 8:-8, 8:-8]
    assert inside.std() == pytest.approx(1.5, rel=0.35)  # less between the points of the grid
    assert inside.diff(dim=1).abs().max() < 1.0
    assert (inside.mean(dim=(1, 2)).abs() < 1.5).all()


def test_ranks_bend_as_the_joint_batch_is_bent(images: torch.Tensor) -> None:
    light: Any = {"brightness": 0.3, "contrast": 0.3, "saturation": 0.5, "border": "mirrored"}
    augmentation = Augmentation(shift=1, rotation=5.0, elastic=1.0, flip=True, erase=3, **light)
    images = torch.cat([images, images[:, :1]], dim=1)  # colours
    torch.manual_seed(5)
    whole = augmentation(images)
    for rank in range(2):
        torch.manual_seed(5)
        part = augmentation(images[rank::2], part=Shard(rank, 2))
        torch.testing.assert_close(part, whole[rank::2])


def test_brightness_multiplies_each_image_by_its_own_factor(images: torch.Tensor) -> None:
    torch.manual_seed(0)
    images = images * 0.6  # below 0.7, so that nothing is cut off
    factors = (Augmentation(brightness=0.4).light(images) / images).flatten(1)
    assert torch.allclose(factors, factors[:, :1].expand_as(factors))
    assert 0.6 <= factors.min() < 0.65 and 1.35 < factors.max() <= 1.4
    bright = Augmentation(brightness=0.4).light(torch.ones(64, 3, 4, 4))
    assert bright.max() == 1


def test_contrast_keeps_the_mean_grey_and_saturation_each_pixels_own() -> None:
    torch.manual_seed(0)
    images = 0.4 + 0.2 * torch.rand(64, 3, 12, 12)
    changed = Augmentation(contrast=0.5).light(images)
    means = [to_grey(each).mean(dim=(1, 2, 3)) for each in (changed, images)]
    torch.testing.assert_close(*means)
    ratios = changed.std(dim=(1, 2, 3)) / images.std(dim=(1, 2, 3))
    assert 0.5 < ratios.min() < 0.6 and 1.4 < ratios.max() < 1.5
    changed = Augmentation(saturation=1.0).light(images)
    torch.testing.assert_close(to_grey(changed), to_grey(images), atol=1e-6, rtol=0)
    spread = [(each - to_grey(each)).abs().mean(dim=(1, 2, 3)) for each in (changed, images)]
    ratios = spread[0] / spread[1]
    assert 0 < ratios.min() < 0.1 and 1.9 < ratios.max() < 2
    grey = images[:, :1]
    assert Augmentation(saturation=1.0)(grey) is grey


def test_a_mirrored_border_is_the_image_itself(images: torch.Tensor) -> None:
    torch.manual_seed(0)
    image = images[:1].expand(40, -1, -1, -1)
    padded = F.pad(image, (3,) * 4, mode="replicate")
    results = Augmentation(shift=1, border="mirrored").geometry(image)
    steps = [(down, right) for down in (2, 3, 4) for right in (2, 3, 4)]
    options = torch.stack([padded[0, :, d : d + 12, r : r + 12] for d, r in steps])
    errors = (results[:, None] - options).abs().amax(dim=(2, 3, 4)).amin(dim=1)
    assert errors.max() < 1e-5


def test_what_is_off_draws_nothing(images: torch.Tensor) -> None:
    """So that runs of earlier versions go on with the same numbers."""
    states = []
    for more in ({}, {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0}):
        torch.manual_seed(0)
        Augmentation(shift=1, **more)(images)  # type: ignore[arg-type]
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


def test_flip_mirrors_about_half_of_the_images(images: torch.Tensor) -> None:
    torch.manual_seed(0)
    result = Augmentation(flip=True).geometry(images)
    same = (result == images).flatten(1).all(1)
    mirrored = (result == images.flip(-1)).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 16 < same.sum() < 48


@pytest.mark.parametrize("side", [1, 4, 5])
def test_erasing_zeroes_one_square(side: int, images: torch.Tensor) -> None:
    torch.manual_seed(0)
    result = Augmentation(erase=side).erasing(images)
    gone = result == 0  # (B, C, H, W)
    assert torch.equal(gone[:, 0], gone[:, 1])
    assert torch.equal(result[~gone], images[~gone])
    heights, widths = gone[:, 0].any(2).sum(1), gone[:, 0].any(1).sum(1)
    assert torch.equal(gone[:, 0].sum(dim=(1, 2)), heights * widths)
    assert heights.max() == widths.max() == side
    assert heights.min() >= math.ceil(side / 2) and widths.min() >= math.ceil(side / 2) - side % 2


def test_erasing_comes_after_normalisation_and_geometry_before(images: torch.Tensor) -> None:
    result = Augmentation(shift=12, erase=3)(images, lambda pixels: pixels - 5.0)
    values = set(result.flatten().tolist())
    assert 0.0 in values and -5.0 in values
    assert all(value == 0.0 or value < -3.0 for value in values)


def test_the_seed_governs_every_draw(images: torch.Tensor) -> None:
    augmentation = Augmentation(2, rotation=15.0, scale=0.1, elastic=1.0, flip=True, erase=4)
    results = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        results.append(augmentation(images))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert not torch.equal(results[0][0], augmentation(images[:1].expand(2, -1, -1, -1))[0])


def test_description_builds_it_again() -> None:
    description = Augmentation(shift=2, rotation=15.0, flip=True).describe()
    assert description["class_path"] == "darts_lite.Augmentation"
    assert Augmentation(**description["init_args"]).describe() == description


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shift", -1),
        ("shift", 1.5),
        ("erase", -2),
        ("rotation", -1.0),
        ("rotation", 181.0),
        ("rotation", math.nan),
        ("scale", 1.0),
        ("scale", -0.1),
        ("elastic", -1.0),
        ("elastic", math.inf),
        ("brightness", 1.0),
        ("contrast", -0.1),
        ("saturation", 1.1),
        ("border", "white"),
    ],
)
def test_a_wrong_argument_is_one_line(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{name} must .*{value}$") as error:
        Augmentation(**{name: value})  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
