"""Image files and folders of any kind."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image
from run_helpers import one_line

from darts_lite.data.images.image_files import (
    GreyRange,
    list_endings,
    measure_range,
    read_image,
)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_deep_values_count_in_the_bits_that_they_need(bits: int, tmp_path: Path) -> None:
    ramp = np.linspace(0, 2**bits - 1, 32).astype("uint16")
    Image.fromarray(np.tile(ramp, (32, 1))).save(tmp_path / "ramp.png")
    shares = torch.linspace(0, 1, 32).expand(3, 32, 32)
    found = read_image(tmp_path / "ramp.png", measure_range([tmp_path / "ramp.png"]))
    torch.testing.assert_close(found.pixels, shares, atol=0.005, rtol=0)


def test_numbers_of_any_range_and_none(tmp_path: Path) -> None:
    values = np.array([[-3.0, 0.0], [1.0, 5.0]], dtype="float32")
    Image.fromarray(values).save(tmp_path / "range.tif")
    path = tmp_path / "range.tif"
    assert measure_range([path]) == GreyRange(-3.0, 255.0)
    found, doubt = read_image(path, GreyRange(-3.0, 5.0))
    torch.testing.assert_close(found[0], torch.tensor([[0.0, 3 / 8], [4 / 8, 1.0]]))
    assert doubt is None and "outside" in str(read_image(path, GreyRange()).doubt)
    Image.fromarray(values * np.float32("nan")).save(tmp_path / "nan.tif")
    with pytest.raises(ValueError) as caught:
        read_image(tmp_path / "nan.tif", GreyRange())
    one_line(caught, "nan.tif", "NaN or infinite")


def test_what_is_transparent_is_white_unless_all_is_white(tmp_path: Path) -> None:
    for ink, paper in ((0, 1.0), (255, 0.0)):
        image = Image.new("LA", (8, 8), (ink, 0))
        image.paste((ink, 255), (2, 2, 6, 6))
        image.save(tmp_path / "clear.png")
        found = read_image(tmp_path / "clear.png", GreyRange()).pixels
        assert found[0, 0, 0] == paper and found[0, 4, 4] == ink / 255


def test_a_thin_strip_takes_little_memory(tmp_path: Path) -> None:
    Image.new("RGB", (30_000, 2), (200, 10, 10)).save(tmp_path / "strip.png")
    assert max(read_image(tmp_path / "strip.png", GreyRange()).pixels.shape) <= 2048


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_files_of_any_format_are_named(tmp_path: Path) -> None:
    noise = torch.randint(256, (20, 20, 3), generator=torch.manual_seed(0), dtype=torch.uint8)
    dice = Random(0)
    for ending in ("ppm", "png", "jpg", "gif", "tif", "webp", "bmp", "tga"):
        path = tmp_path / f"damaged.{ending}"
        Image.fromarray(noise.numpy()).save(path)
        whole = path.read_bytes()
        for _ in range(20):
            start = dice.randrange(min(40, len(whole)))
            path.write_bytes(
                whole[:start] + dice.randbytes(4) + whole[start + 4 : -dice.randrange(9)]
            )
            try:
                read_image(path, GreyRange())
            except ValueError as error:
                assert str(path) in str(error) and "\n" not in str(error)


def test_no_other_program_is_started(tmp_path: Path) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")
    with pytest.raises(ValueError) as caught:
        read_image(path, GreyRange())
    one_line(caught, "holiday.jpg is not a readable image")
    assert not {".eps", ".ps", ".mpg", ".wmf", ".pdf"} & list_endings()


@pytest.mark.parametrize("ending", ["tif", "gif"])
def test_further_images_of_a_file_are_told(ending: str, tmp_path: Path) -> None:
    first, second = (Image.new("L", (28, 28), shade) for shade in (40, 200))
    first.save(tmp_path / f"both.{ending}", save_all=True, append_images=[second])
    found, doubt = read_image(tmp_path / f"both.{ending}", GreyRange())
    assert doubt is not None and "only the first is seen" in doubt
    torch.testing.assert_close(found, torch.full((3, 28, 28), 40 / 255))


def test_a_photograph_with_a_preview_is_one_image(tmp_path: Path) -> None:
    large, preview = Image.new("RGB", (64, 64), (9, 90, 9)), Image.new("RGB", (16, 16))
    large.save(tmp_path / "photo.jpg", "MPO", save_all=True, append_images=[preview])
    assert read_image(tmp_path / "photo.jpg", GreyRange()).doubt is None


def test_shares_shown_to_a_net_of_large_numbers_are_told(tmp_path: Path) -> None:
    Image.fromarray(np.linspace(0, 1, 784, dtype="float32").reshape(28, 28)).save(
        tmp_path / "a.tif"
    )
    doubt = read_image(tmp_path / "a.tif", GreyRange(0.0, 80799.0)).doubt
    assert doubt is not None and "nearly black" in doubt
    assert read_image(tmp_path / "a.tif", GreyRange(0.0, 1.0)).doubt is None


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_a_turned_image_is_upright_in_every_format(ending: str, tmp_path: Path) -> None:
    values = np.arange(24, dtype="uint8").reshape(4, 6) * 10
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(values).save(tmp_path / f"a.{ending}", exif=exif)
    found = read_image(tmp_path / f"a.{ending}", GreyRange()).pixels
    turned = torch.from_numpy(np.rot90(values, -1).copy()) / 255
    torch.testing.assert_close(found[0], turned)
