"""Image files of any kind: what a net sees of them, and what it says."""

import json
from itertools import cycle
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image
from runs import Finished
from torch import Tensor
from torch.nn.functional import avg_pool2d

from darts_lite.commands import main
from darts_lite.data import ImageData
from darts_lite.image_files import Expected, as_expected, figure_share, files_in

MODES = ("L", "1", "LA", "P", "RGB", "RGBA", "I;16", "CMYK")
ENDINGS = {"CMYK": "tif"}


def colours(random: Random) -> tuple[list[int], list[int]]:
    """Ink and paper that can be told from each other."""
    while True:
        ink, paper = ([random.randrange(256) for _ in range(3)] for _ in range(2))
        if sum((a - b) ** 2 for a, b in zip(ink, paper, strict=True)) > 120**2:
            return ink, paper


def picture(pixels: Tensor, mode: str, random: Random) -> Image.Image:
    """A digit ``(28, 28)`` of 0 to 255 in a mode, with a size and colours that are drawn."""
    side = random.randrange(20, 300)
    digit = Image.fromarray(pixels.numpy()).resize((side, side), Image.Resampling.BICUBIC)
    light = random.random() < 0.5
    if mode in ("L", "1", "LA"):
        return digit.point(lambda value: value if light else 255 - value).convert(mode)
    if mode == "I;16":
        return Image.fromarray(np.asarray(digit).astype("uint16") * 257)
    ink, paper = colours(random)
    wide, high = side + random.randrange(side // 4), side + random.randrange(side // 4)
    sheet = Image.new("RGB", (wide, high), tuple(paper))
    sheet.paste(tuple(ink), ((wide - side) // 2, (high - side) // 2), digit)
    if mode == "RGBA":
        clear = Image.new("RGBA", digit.size, (*ink, 0))
        clear.putalpha(digit)
        return clear if sum(ink) < 500 else sheet.convert("RGBA")
    return sheet.quantize() if mode == "P" else sheet.convert(mode)


def write_pictures(data: ImageData, folder: Path, count: int) -> list[int]:
    """Test images of a data set as files of all modes; returns their labels."""
    random, labels = Random(0), []
    data.setup("test")
    pixels = data.test_pixels(count).mul(255).round().to(torch.uint8)[:, 0]
    folder.mkdir()
    for number, (image, mode) in enumerate(zip(pixels, cycle(MODES), strict=False)):
        name = f"{number:03}-{mode.replace(';', '')}.{ENDINGS.get(mode, 'png')}"
        picture(image, mode, random).save(folder / name)
    for _, batch in data.test_dataloader():
        labels += batch.tolist()
    return labels[:count]


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


def test_the_command_prints_lines_or_json(
    finished: Finished, digits: ImageData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(digits, tmp_path / "digits", 10)
    words = ["predict", f"--ckpt_path={finished.directory / 'net.ckpt'}"]
    main([*words, "--images", str(tmp_path / "digits")])
    header, *lines = capsys.readouterr().out.splitlines()
    assert header == "image,class,probability" and len(lines) == 10
    main([*words, "--json", "--images", str(tmp_path / "digits")])
    answers = json.loads(capsys.readouterr().out)
    for line, answer in zip(lines, answers, strict=True):
        shares = answer["probabilities"]
        assert line == f"{answer['image']},{answer['class']},{answer['probability']:.6f}"
        assert len(shares) == 10 and sum(shares) == pytest.approx(1, abs=1e-4)
        assert answer["class"] == shares.index(max(shares))


def test_names_of_classes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(40):
        place = tmp_path / "shapes" / ("left, dark" if number % 2 else "right")
        place.mkdir(parents=True, exist_ok=True)
        image = Image.new("L", (8, 8))
        image.paste(255, (0, 0, 4, 8) if number % 2 else (4, 0, 8, 8))
        image.save(place / f"{number}.png")
    configuration = ["--config", "retrain", "--model.architecture", "DARTS_V2"]
    small = ["--model.channels=2", "--model.cells=3", "--trainer.max_epochs=1"]
    data = [f"--data.dataset={tmp_path / 'shapes'}", "--data.batch_size=8"]
    main(["fit", *configuration, *small, *data, f"--run.folder={tmp_path}", "--run.name=run"])
    capsys.readouterr()
    words = ["predict", f"--ckpt_path={tmp_path / 'run' / 'version_0' / 'net.ckpt'}"]
    main([*words, "--images", str(tmp_path / "shapes" / "right" / "0.png"), "--json"])
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["class"] in ("left, dark", "right")
    main(words)
    assert set(capsys.readouterr().out.splitlines()[-1].split(",")) & {"right", '"left'}


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no image at"), (b"", "no image that can be read"), (b"damaged", "is damaged")],
)
def test_bad_files_get_one_line(
    content: bytes | None,
    message: str,
    finished: Finished,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "digit.png"
    if content == b"damaged":
        Image.effect_noise((64, 64), 50).save(path)
        content = path.read_bytes()[:1000]
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SystemExit):
        main(["predict", f"--ckpt_path={finished.directory}/net.ckpt", "--images", str(path)])
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


@pytest.mark.slow
def test_two_hundred_pictures_of_digits(
    digits: ImageData, digits_root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = write_pictures(digits, tmp_path / "digits", 200)
    main(["fit", "--config", "mnist", f"--data.root={digits_root}", f"--run.folder={tmp_path}"])
    capsys.readouterr()
    net = tmp_path / "mnist" / "version_0" / "net.ckpt"
    main(["predict", f"--ckpt_path={net}", "--json", "--images", str(tmp_path / "digits")])
    answers = json.loads(capsys.readouterr().out)
    right = [answer["class"] == label for answer, label in zip(answers, labels, strict=True)]
    assert sum(right) / len(right) >= 0.97
