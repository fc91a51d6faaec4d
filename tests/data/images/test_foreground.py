"""Pictures of any kind: what a net sees of them."""

from pathlib import Path
from random import Random

import pytest
import torch
from pictures import ENDINGS, MODES, picture
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d

from darts_lite.data.images.foreground import measure_foreground
from darts_lite.data.images.image_data import ImageData
from darts_lite.data.images.image_files import GreyRange
from darts_lite.data.images.image_preparation import ImagePreparation


@pytest.mark.parametrize("mode", MODES)
def test_a_net_sees_nearly_the_digit_that_was_drawn(
    mode: str, digits: ImageData, tmp_path: Path
) -> None:
    digits.setup("test")
    random = Random(mode)
    for number, pixels in enumerate(digits.sample_test(12)[0]):
        path = tmp_path / f"{number}.{ENDINGS.get(mode, 'png')}"
        picture(pixels[0].mul(255).to(torch.uint8), mode, random).save(path)
        seen, doubt = digits.preparation.read(path)
        assert doubt is None
        assert seen.shape == (1, 28, 28) and 0 <= seen.min() <= seen.max() <= 1
        near = avg_pool2d(torch.stack([seen, pixels]), 3, stride=1)  # strokes may lie a pixel off
        assert torch.corrcoef(near.flatten(1))[0, 1] > 0.75


def test_an_image_of_the_right_kind_is_left_as_it_is(tmp_path: Path) -> None:
    for channels, shape in ((1, (28, 28)), (3, (28, 28, 3))):
        pixels = torch.randint(256, shape, generator=torch.manual_seed(0), dtype=torch.uint8)
        Image.fromarray(pixels.numpy()).save(tmp_path / "noise.png")
        seen, doubt = ImagePreparation(channels, 28).read(tmp_path / "noise.png")
        assert doubt is None
        planes = pixels.unsqueeze(0) if channels == 1 else pixels.permute(2, 0, 1)
        torch.testing.assert_close(seen, planes.float() / 255)


def test_digits_take_twenty_of_28_pixels(digits: ImageData) -> None:
    digits.setup("fit")
    assert digits.preparation.figure == pytest.approx(20 / 28, abs=0.04)
    assert measure_foreground(torch.full((3, 1, 8, 8), 255, dtype=torch.uint8)) is None
    assert measure_foreground(torch.zeros(3, 3, 8, 8, dtype=torch.uint8)) is None


def test_an_empty_sheet_is_black(tmp_path: Path) -> None:
    Image.new("RGB", (50, 40), (200, 180, 10)).save(tmp_path / "empty.png")
    seen, doubt = ImagePreparation(1, 28, figure=0.7).read(tmp_path / "empty.png")
    assert not seen.any() and doubt == "shows nothing"


def test_a_dark_digit_of_the_right_kind_stays_dark(tmp_path: Path) -> None:
    image = Image.new("L", (28, 28))
    image.paste(100, (10, 6, 16, 22))
    image.save(tmp_path / "dark.png")
    pixels = ImagePreparation(1, 28, figure=0.7).read(tmp_path / "dark.png").values
    assert pixels.max() == pytest.approx(100 / 255)


def test_a_huge_sheet_is_seen_whole(tmp_path: Path) -> None:
    sheet = Image.new("L", (9000, 9000), 255)
    sheet.paste(0, (3000, 2000, 5000, 7000))
    sheet.save(tmp_path / "sheet.png")
    seen, doubt = ImagePreparation(1, 28, figure=20 / 28).read(tmp_path / "sheet.png")
    rows = (seen[0] > 0.5).any(dim=1).nonzero()
    assert int(rows[-1] - rows[0]) + 1 == pytest.approx(20, abs=1) and doubt is None


def page(digit: Tensor, folder: Path, darker: float = 0.0, frame: int = 0) -> Path:
    """A digit ``(1, 28, 28)`` in ink on paper, lit from the upper left, perhaps with a frame."""
    sheet = torch.ones(120, 120)
    sheet[30:86, 40:96] -= 0.9 * digit[0].repeat_interleave(2, dim=0).repeat_interleave(2, dim=1)
    sheet *= 1 - darker * (torch.arange(120).view(-1, 1) + torch.arange(120)) / 238
    if frame:
        sheet[:frame], sheet[-frame:], sheet[:, :frame], sheet[:, -frame:] = 0.1, 0.1, 0.1, 0.1
    Image.fromarray(sheet.mul(255).to(torch.uint8).numpy()).save(folder / "page.png")
    return folder / "page.png"


@pytest.mark.parametrize("darker", [0.0, 0.2, 0.4, 0.6])
def test_a_page_may_be_lit_from_one_side(darker: float, digits: ImageData, tmp_path: Path) -> None:
    digits.setup("test")
    for pixels in digits.sample_test(12)[0]:
        path = page(pixels, tmp_path, darker)
        seen, doubt = digits.preparation.read(path)
        near = avg_pool2d(torch.stack([seen, pixels]), 3, stride=1)
        assert torch.corrcoef(near.flatten(1))[0, 1] > 0.7 and doubt is None


def test_what_may_mean_nothing_is_told(digits: ImageData, tmp_path: Path) -> None:
    digits.setup("test")
    framed = page(digits.sample_test(1)[0][0], tmp_path, frame=3)
    assert str(digits.preparation.read(framed).doubt).startswith(
        "shows more figure than background"
    )
    noise = torch.randint(256, (60, 60), generator=torch.manual_seed(0), dtype=torch.uint8)
    Image.fromarray(noise.numpy()).save(tmp_path / "noise.png")
    seen = digits.preparation.read(tmp_path / "noise.png")
    assert seen.doubt == "has no background of one colour"


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("ground", [0, 20])
def test_a_figure_and_its_negative_are_alike(
    ground: int, bits: int, digits: ImageData, tmp_path: Path
) -> None:
    digits.setup("test")
    most = 2**bits - 1
    greys = GreyRange() if bits == 8 else GreyRange(0.0, float(most))
    for number, pixels in enumerate(digits.sample_test(12)[0][:, 0]):
        lit = (pixels.clamp_min(ground / 255) * most).round().numpy()
        for name, values in (("figure", lit), ("negative", most - lit)):
            kind = "uint8" if bits == 8 else "uint16"
            Image.fromarray(values.astype(kind)).save(tmp_path / f"{name}.png")
        seen, other = (
            ImagePreparation(1, 28, greys, figure=0.7).read(tmp_path / f"{name}.png")
            for name in ("figure", "negative")
        )
        assert seen.doubt is None and other.doubt is None, number
        torch.testing.assert_close(seen.values, other.values)
