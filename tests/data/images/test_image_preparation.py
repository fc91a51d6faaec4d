"""One way for an image to become what a net sees, in training and afterwards."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from run_helpers import one_line, quiet_trainer, some_slow

from darts_lite.cli.main import main
from darts_lite.data.images.image_data import ImageData
from darts_lite.data.images.image_files import GreyRange
from darts_lite.data.images.image_preparation import ImagePreparation
from darts_lite.data.preparation import read_preparation
from darts_lite.export.facts import describe
from darts_lite.export.folding import fold_norms
from darts_lite.export.inference import load_answer
from darts_lite.export.standalone import generate_code
from darts_lite.retraining.retraining import Retraining
from darts_lite.space.cells.architecture import Architecture
from darts_lite.storage.checkpoints import Checkpoint

Draw = Callable[[np.random.Generator], np.ndarray]


def disc(dice: np.random.Generator, x: int, radius: int, ink: int, paper: int) -> np.ndarray:
    """A disc on paper, 40 x 40 pixels, nearly in the middle but for its `x`."""
    rows, columns = np.mgrid[:40, :40]
    place = columns - x - dice.integers(-2, 3), rows - 20 - dice.integers(-2, 3)
    inside = place[0] ** 2 + place[1] ** 2 <= radius**2
    return np.where(inside, ink, paper) + dice.normal(0, 3, (40, 40))


TASKS: dict[str, dict[str, Draw]] = {
    "place": {
        "left": partial(disc, x=10, radius=6, ink=230, paper=0),
        "right": partial(disc, x=30, radius=6, ink=230, paper=0),
    },
    "size": {
        "large": partial(disc, x=20, radius=12, ink=230, paper=0),
        "small": partial(disc, x=20, radius=5, ink=230, paper=0),
    },
    "polarity": {
        "dark": partial(disc, x=20, radius=8, ink=20, paper=230),
        "light": partial(disc, x=20, radius=8, ink=230, paper=20),
    },
}


def write_task(folder: Path, classes: dict[str, Draw], bits: int = 8, count: int = 40) -> Path:
    """Images in a folder per class, of 8 or 16 bits: `count` of each for training, 10 for test."""
    dice = np.random.default_rng(0)
    for part, number in (("train", count), ("test", 10)):
        for name, draw in classes.items():
            (folder / part / name).mkdir(parents=True)
            for index in range(number):
                values = np.clip(draw(dice), 0, 255)
                kind = np.uint8 if bits == 8 else np.uint16
                image = Image.fromarray((values * (1 if bits == 8 else 16)).astype(kind))
                image.save(folder / part / name / f"{index}.png")
    return folder


def train(data: ImageData, path: Path) -> None:
    architecture = Architecture.of("DARTS_V1").with_skeleton(channels=4, cells=2)
    torch.manual_seed(0)
    run = quiet_trainer(max_epochs=12)
    run.fit(Retraining(architecture, data.in_channels, data.num_classes), datamodule=data)
    run.save_checkpoint(path, weights_only=True)


STANDALONE = """
import json, runpy, sys, torch
told = runpy.run_path(sys.argv[1])
pixels = torch.load(sys.argv[2], weights_only=True)
with torch.no_grad():
    print(json.dumps([told["PREPARATION"], told["CLASSES"], told["load"]()(pixels).tolist()]))
"""


SHOWN = [(task, bits) for task in TASKS for bits in (8, 16)]


@pytest.mark.parametrize("shown", some_slow(SHOWN[-1:], SHOWN[:-1]), ids=str)
def test_training_test_predict_and_exports_see_the_same(
    shown: tuple[str, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task, bits = shown
    folder = write_task(tmp_path / task, TASKS[task], bits)
    net = tmp_path / "net.ckpt"
    data = ImageData(dataset=str(folder), batch_size=16, image_size=20)
    train(data, net)
    capsys.readouterr()

    # What reaches the net in the test, and its answers there.
    answer, about = load_answer(net)
    data = ImageData(dataset=str(folder))
    data.prepare_as(about["preparation"])
    data.setup("test")
    (inputs, labels), *others = data.test_dataloader()
    assert not others
    files = sorted_tests(folder)
    seen = torch.stack([about["preparation"].read(file).values for file in files])
    assert torch.equal(data.normalize(seen), inputs)
    with torch.no_grad():
        expected = answer.net(inputs).softmax(dim=1)
    assert (expected.argmax(dim=1) == labels).float().mean() > 0.9

    # The verbs and files, image by image.
    main(["test", f"--ckpt_path={net}", f"--data.dataset={folder}"])
    measured = json.loads(capsys.readouterr().out.splitlines()[-1])["test/accuracy"]
    assert measured == pytest.approx(float((expected.argmax(dim=1) == labels).float().mean()))
    main(["predict", f"--ckpt_path={net}", "--json", "--images", *map(str, files)])
    told = json.loads(capsys.readouterr().out)
    predicted = torch.tensor([[*each["probabilities"].values()] for each in told])
    torch.testing.assert_close(predicted, expected, atol=2e-6, rtol=0)
    code = generate_code(fold_norms(answer.net), "x", describe(answer, about))
    (tmp_path / "net.py").write_text(code)
    torch.save(seen, tmp_path / "seen.pt")
    words = [str(tmp_path / name) for name in ("net.py", "seen.pt")]
    out = subprocess.check_output([sys.executable, "-I", "-c", STANDALONE, *words], text=True)
    preparation, names, alone = json.loads(out)
    torch.testing.assert_close(torch.tensor(alone), expected, atol=1e-6, rtol=0)
    assert ImagePreparation.from_dict(preparation) == about["preparation"]
    assert names == [*TASKS[task]]
    if bits == 8:
        check_onnx(net, folder, seen, expected)


def check_onnx(net: Path, folder: Path, seen: torch.Tensor, expected: torch.Tensor) -> None:
    """Checks answers and metadata of the ONNX file."""
    runtime = pytest.importorskip("onnxruntime")
    main(["export", str(net), "--to", "onnx", f"--data.dataset={folder}"])
    session = runtime.InferenceSession(net.with_suffix(".onnx"))
    (found,) = session.run(None, {"pixels": seen.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), expected, atol=1e-5, rtol=0)
    facts = session.get_modelmeta().custom_metadata_map
    preparation = ImagePreparation.from_dict(json.loads(facts["preparation"]))
    again = torch.stack([preparation.read(file).values for file in sorted_tests(folder)])
    assert torch.equal(again, seen)


def sorted_tests(folder: Path) -> list[Path]:
    return sorted((folder / "test").rglob("*.png"))


@pytest.mark.filterwarnings("ignore:.* are among the training ones")
def test_one_raw_value_has_one_brightness(tmp_path: Path) -> None:
    for name, value in (("a", 250), ("b", 260), ("c", 1000), ("d", 1030)):
        for number in range(6):
            path = tmp_path / "images" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8), value, np.uint16)).save(path)
    data = ImageData(dataset=str(tmp_path / "images"), validation_fraction=0.2)
    data.setup("fit")
    assert data.preparation.greys == GreyRange(0.0, 4095.0)
    brightness = {
        name: float(data.preparation.read(tmp_path / "images" / name / "0.png").values.mean())
        for name in "abcd"
    }
    assert [round(4095 * brightness[name]) for name in "abcd"] == [250, 260, 1000, 1030]


def test_values_outside_of_the_range_are_told(tmp_path: Path) -> None:
    seen = ImagePreparation(1, 4, GreyRange(0.0, 1023.0))
    Image.fromarray(np.full((4, 4), 3000, np.uint16)).save(tmp_path / "bright.png")
    pixels, doubt = seen.read(tmp_path / "bright.png")
    assert float(pixels.max()) == 1.0 and "outside of those of the net's images" in str(doubt)


def test_a_net_brings_its_own_mean_and_deviation(tmp_path: Path) -> None:
    folder = write_task(tmp_path / "place", TASKS["place"], count=12)
    own = ImageData(dataset=str(folder))
    own.setup("fit")
    brighter: dict[str, Draw] = {
        name: partial(disc, x=x, radius=6, ink=230, paper=100)
        for name, x in (("left", 10), ("right", 30))
    }
    other = ImageData(dataset=str(write_task(tmp_path / "other", brighter, count=12)))
    other.prepare_as(own.preparation)
    other.setup("test")
    assert other.preparation == own.preparation
    pixels = torch.rand(2, 1, 40, 40)
    assert torch.equal(other.normalize(pixels), own.normalize(pixels))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size": 30}, "data.image_size is 30, and the net was trained on images with 40"),
        ({"cut_out": True}, "data.cut_out is True"),
        ({"dataset": "MNIST"}, "images of 40 pixels a side, and those of MNIST have 28"),
    ],
)
def test_what_the_net_has_not_seen_is_refused(
    settings: dict[str, object], message: str, tmp_path: Path
) -> None:
    folder = write_task(tmp_path / "place", TASKS["place"], count=12)
    given = {"dataset": str(folder), **settings}
    with pytest.raises(ValueError) as caught:
        ImageData(**given).prepare_as(ImagePreparation(1, 40, mean=(0.1,), std=(0.2,)))  # type: ignore[arg-type]
    one_line(caught, message)


def test_figures_are_cut_out_on_demand_in_training_and_afterwards(tmp_path: Path) -> None:
    folder = write_task(tmp_path / "polarity", TASKS["polarity"], count=12)
    data = ImageData(dataset=str(folder), cut_out=True, image_size=28)
    data.setup("fit")
    assert data.preparation.figure == 20 / 28
    dark, light = (
        data.preparation.read(folder / "test" / name / "0.png").values for name in ("dark", "light")
    )
    assert dark[0, 14, 14] > 0.8 and light[0, 14, 14] > 0.8  # light on black, both
    assert dark[0, 0, 0] < 0.1 and light[0, 0, 0] < 0.1
    assert torch.equal(data.sample_test(1000)[0][0], dark)


def test_what_earlier_versions_kept_is_read() -> None:
    old = {"image_size": 28, "mean": [0.1], "std": [0.3], "figure": 0.7}
    digits = {"data": {"init_args": {"dataset": "MNIST"}}}
    photos = {"data": {"init_args": {"dataset": "/photos"}}}
    expected = ImagePreparation(1, 28, figure=0.7, mean=(0.1,), std=(0.3,))
    path = Path("net.ckpt")
    assert read_preparation(Checkpoint(path, old | digits)) == expected
    found = read_preparation(Checkpoint(path, old | photos))
    assert isinstance(found, ImagePreparation)
    assert found.figure is None  # its training cut nothing out
    assert read_preparation(Checkpoint(path, {})) is None


@pytest.mark.filterwarnings("ignore:.* are among the training ones")
def test_a_range_is_told_of_the_files_that_have_it_only(tmp_path: Path) -> None:
    for number in range(24):
        path = tmp_path / f"class {number % 2}" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (8, 8), 128).save(path)
    values = np.full((8, 8), 257 * 128, dtype="uint16")
    values[0, 0] = 65535
    for deep in tmp_path.glob("class 0/*.png"):
        Image.fromarray(values).save(deep)
    data = ImageData(dataset=str(tmp_path))
    with pytest.warns(UserWarning, match="training images have more than eight bits"):
        data.setup("fit")
    preparation = data.preparation
    assert preparation.describe() == (
        "8 x 8 pixels, grey, grey values of more than 8 bits from 0 to 65535, all others from 0 to "
        "255"
    )
    plain = preparation.to_dict()
    assert plain["range_of"] == "grey values of more than 8 bits" and plain["white"] == 65535
    assert ImagePreparation.from_dict(plain) == preparation
    shown = preparation.read(tmp_path / "class 1" / "1.png").values  # of 8 bits
    assert shown.unique().tolist() == pytest.approx([128 / 255])
    assert ImagePreparation(1, 8).to_dict()["range_of"] is None


def test_what_is_cut_out_is_told() -> None:
    photo = ImagePreparation(1, 8, mean=(0.5,), std=(0.5,))
    digit = replace(photo, figure=0.7)
    assert (photo.to_dict()["crop"], digit.to_dict()["crop"]) == ("middle", "figure")
    assert photo.describe_crop() == "the middle is cut out of those that are not square"
    assert digit.describe_crop().endswith("and show no figure")
    for one in (photo, digit):
        assert ImagePreparation.from_dict(one.to_dict()) == one
    before = digit.to_dict() | {"crop": "middle"}  # as earlier versions wrote it
    assert ImagePreparation.from_dict(before) == digit
