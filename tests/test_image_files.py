"""Image files of any kind: what a net sees of them."""

from pathlib import Path
from random import Random

import pytest
import torch
from pictures import ENDINGS, MODES, picture
from PIL import Image
from torch.nn.functional import avg_pool2d

from darts_lite.data import ImageData
from darts_lite.image_files import Expected, as_expected, figure_share, files_in


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


def test_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b.png", "a.PNG", "sub/c.jpg"):
        Image.new("L", (3, 3)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    found = [path.name for path in files_in([tmp_path / "b.png", tmp_path])]
    assert found == ["b.png", "a.PNG", "b.png", "c.jpg"]
