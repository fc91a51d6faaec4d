"""Image files of any kind: what a net sees of them."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from pictures import ENDINGS, MODES, picture
from PIL import Image
from runs import one_line
from torch.nn.functional import avg_pool2d

from darts_lite.data import ImageData
from darts_lite.image_files import Expected, as_expected, figure_share, files_in, pixels_of


@pytest.mark.parametrize("mode", MODES)
def test_a_net_sees_nearly_the_digit_that_was_drawn(
    mode: str, digits: ImageData, tmp_path: Path
) -> None:
    digits.setup("test")
    random = Random(mode)
    for number, pixels in enumerate(digits.test_pixels(12)):
        path = tmp_path / f"{number}.{ENDINGS.get(mode, 'png')}"
        picture(pixels[0].mul(255).to(torch.uint8), mode, random).save(path)
        seen = as_expected(path, Expected(1, 28, digits.figure))
        assert seen.shape == (1, 28, 28) and 0 <= seen.min() <= seen.max() <= 1
        near = avg_pool2d(torch.stack([seen, pixels]), 3, stride=1)  # strokes may lie a pixel off
        assert torch.corrcoef(near.flatten(1))[0, 1] > 0.75


def test_an_image_of_the_right_kind_is_left_as_it_is(tmp_path: Path) -> None:
    for channels, shape in ((1, (28, 28)), (3, (28, 28, 3))):
        pixels = torch.randint(256, shape, generator=torch.manual_seed(0), dtype=torch.uint8)
        Image.fromarray(pixels.numpy()).save(tmp_path / "noise.png")
        seen = as_expected(tmp_path / "noise.png", Expected(channels, 28, None))
        planes = pixels.unsqueeze(0) if channels == 1 else pixels.permute(2, 0, 1)
        torch.testing.assert_close(seen, planes.float() / 255)


def test_digits_take_twenty_of_28_pixels(digits: ImageData) -> None:
    digits.setup("fit")
    assert digits.figure == pytest.approx(20 / 28, abs=0.04)
    assert figure_share(torch.full((3, 1, 8, 8), 255, dtype=torch.uint8)) is None
    assert figure_share(torch.zeros(3, 3, 8, 8, dtype=torch.uint8)) is None


def test_an_empty_sheet_is_black(tmp_path: Path) -> None:
    Image.new("RGB", (50, 40), (200, 180, 10)).save(tmp_path / "empty.png")
    assert not as_expected(tmp_path / "empty.png", Expected(1, 28, 0.7)).any()


def test_a_dark_digit_of_the_right_kind_stays_dark(tmp_path: Path) -> None:
    image = Image.new("L", (28, 28))
    image.paste(100, (10, 6, 16, 22))
    image.save(tmp_path / "dark.png")
    assert as_expected(tmp_path / "dark.png", Expected(1, 28, 0.7)).max() == pytest.approx(
        100 / 255
    )


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_deep_values_count_in_the_bits_that_they_need(bits: int, tmp_path: Path) -> None:
    ramp = np.linspace(0, 2**bits - 1, 32).astype("uint16")
    Image.fromarray(np.tile(ramp, (32, 1))).save(tmp_path / "ramp.png")
    shares = torch.linspace(0, 1, 32).expand(3, 32, 32)
    torch.testing.assert_close(pixels_of(tmp_path / "ramp.png"), shares, atol=0.005, rtol=0)


def test_numbers_of_any_range_and_none(tmp_path: Path) -> None:
    values = np.array([[-3.0, 0.0], [1.0, 5.0]], dtype="float32")
    Image.fromarray(values).save(tmp_path / "range.tif")
    found = pixels_of(tmp_path / "range.tif")[0]
    torch.testing.assert_close(found, torch.tensor([[0.0, 3 / 255], [4 / 255, 8 / 255]]))
    Image.fromarray(values * np.float32("nan")).save(tmp_path / "nan.tif")
    with pytest.raises(ValueError) as caught:
        pixels_of(tmp_path / "nan.tif")
    one_line(caught, "nan.tif", "no numbers")


def test_what_is_transparent_is_white_unless_all_is_white(tmp_path: Path) -> None:
    for ink, paper in ((0, 1.0), (255, 0.0)):
        image = Image.new("LA", (8, 8), (ink, 0))
        image.paste((ink, 255), (2, 2, 6, 6))
        image.save(tmp_path / "clear.png")
        found = pixels_of(tmp_path / "clear.png")
        assert found[0, 0, 0] == paper and found[0, 4, 4] == ink / 255


def test_a_thin_strip_and_a_huge_sheet_take_little_memory(tmp_path: Path) -> None:
    Image.new("RGB", (30_000, 2), (200, 10, 10)).save(tmp_path / "strip.png")
    assert max(pixels_of(tmp_path / "strip.png").shape) <= 2048
    sheet = Image.new("L", (9000, 9000), 255)
    sheet.paste(0, (3000, 2000, 5000, 7000))
    sheet.save(tmp_path / "sheet.png")
    seen = as_expected(tmp_path / "sheet.png", Expected(1, 28, 20 / 28))
    rows = (seen[0] > 0.5).any(dim=1).nonzero()
    assert int(rows[-1] - rows[0]) + 1 == pytest.approx(20, abs=1)


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
                pixels_of(path)
            except ValueError as error:
                assert str(path) in str(error) and "\n" not in str(error)


def test_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b.png", "a.PNG", "sub/c.jpg"):
        Image.new("L", (3, 3)).save(tmp_path / name)
    for name in ("notes.txt", "notes.pdf", "._a.png"):
        (tmp_path / name).write_text("no image")
    (tmp_path / "folder.png").mkdir()
    with pytest.warns(UserWarning, match="2 of the files in .* are left out, .*notes.pdf for"):
        found = [path.name for path in files_in([tmp_path / "b.png", tmp_path])]
    assert found == ["b.png", "a.PNG", "b.png", "c.jpg"]
    (tmp_path / "sub" / "lost.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.warns(UserWarning, match="1 of the files in .* are left out, .*lost.png for"):
        assert [*files_in([tmp_path / "sub"])] == [tmp_path / "sub" / "c.jpg"]
