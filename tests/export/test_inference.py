"""A retrained net as others use it."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from run_helpers import Finished, one_line, quiet_trainer, some_slow

from darts_lite.data.images.image_data import ImageData
from darts_lite.export.inference import Answer, load_answer
from darts_lite.networks.net import Net
from darts_lite.retraining.recipe import average_over_shifts
from darts_lite.retraining.retraining import Retraining
from darts_lite.space.cells.architecture import Architecture


def test_it_answers_pixels_as_the_net_answers_normalised_images(
    finished: Finished, digits: ImageData
) -> None:
    path = finished.directory / "net.ckpt"
    answer, about = load_answer(path)
    seen = about["preparation"]
    assert (seen.size, seen.mean, seen.std) == (28, (0.1307,), (0.3081,))
    digits.setup("test")
    pixels = digits.sample_test(50)[0]
    net = Retraining.load_from_checkpoint(path, weights_only=True).eval().net
    normal = digits.normalize(pixels)
    with torch.no_grad():
        torch.testing.assert_close(answer(pixels), net(normal).softmax(dim=1))
        shifted = Answer(net, seen.mean, seen.std, test_shifts=1).eval()
        torch.testing.assert_close(shifted(pixels), average_over_shifts(net, normal, 1).exp())


def test_it_needs_a_retrained_net_that_tells_its_normalisation(
    finished: Finished, tmp_path: Path
) -> None:
    with pytest.raises(ValueError) as caught:
        load_answer(finished.directory / "checkpoints" / "last.ckpt")
    one_line(caught, "checkpoint of a search", "net.ckpt")
    content = torch.load(finished.directory / "net.ckpt", weights_only=True)
    del content["preparation"]
    torch.save(content, tmp_path / "old.ckpt")
    with pytest.raises(ValueError) as caught:
        load_answer(tmp_path / "old.ckpt")
    one_line(caught, "old.ckpt", "normalisation")


@pytest.mark.parametrize("named", ["DARTS_V2", "/dev/zero", 3])
def test_a_nets_architecture_is_never_looked_up(
    named: object, finished: Finished, tmp_path: Path
) -> None:
    content = torch.load(finished.directory / "net.ckpt", weights_only=True)
    content["model"]["init_args"]["architecture"] = named
    torch.save(content, tmp_path / "net.ckpt")
    with pytest.raises(ValueError) as caught:
        Net.from_run(tmp_path)
    one_line(caught, "architecture is", "may not name what is to be opened")


def test_a_net_comes_back_from_its_run(finished: Finished, digits: ImageData) -> None:
    directory = finished.directory
    kept = Retraining.load_from_checkpoint(directory / "net.ckpt", weights_only=True).eval().net
    digits.setup("test")
    normal = digits.normalize(digits.sample_test(20)[0])
    for path in (directory, str(directory / "net.ckpt")):
        net = Net.from_run(path)
        assert not net.training and net.architecture == kept.architecture
        with torch.no_grad():
            assert torch.equal(net(normal), kept(normal))


@pytest.mark.slow
@pytest.mark.parametrize("reader", some_slow(["load_answer"], ["Net.from_run"]))
def test_a_fresh_interpreter_needs_no_other_import(reader: str, finished: Finished) -> None:
    path = finished.directory / "net.ckpt"
    lines = f"import darts_lite; darts_lite.{reader}({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_net_that_was_trained_with_a_second_head_comes_back_without(
    digits: ImageData, tmp_path: Path
) -> None:
    run = quiet_trainer(max_steps=1, limit_val_batches=0)
    architecture = Architecture.of("DARTS_V1").with_skeleton(channels=2, cells=3)
    run.fit(Retraining(architecture, auxiliary_weight=0.4), datamodule=digits)
    run.save_checkpoint(tmp_path / "net.ckpt", weights_only=True)
    assert Net.from_run(tmp_path).skeleton.auxiliary_head is None
    answer, _ = load_answer(tmp_path / "net.ckpt")
    kept = sum(weight.numel() for weight in Net.from_run(tmp_path).parameters())
    assert sum(weight.numel() for weight in answer.parameters()) == kept


def test_what_no_net_comes_back_from(finished: Finished, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        Net.from_run(tmp_path)
    with pytest.raises(ValueError) as caught:
        Net.from_run(finished.directory / "checkpoints" / "last.ckpt")
    one_line(caught, "checkpoint of a search", "net.ckpt")
    content = torch.load(finished.directory / "net.ckpt", weights_only=True)
    content["model"]["init_args"]["num_classes"] = 3
    torch.save(content, tmp_path / "net.ckpt")
    with pytest.raises(ValueError) as caught:
        Net.from_run(tmp_path)
    one_line(caught, "does not fit", "intact")
    content = torch.load(finished.directory / "net.ckpt", weights_only=True)
    next(iter(content["state_dict"].values())).view(-1)[0] = float("nan")
    torch.save(content, tmp_path / "net.ckpt")
    with pytest.raises(ValueError) as caught:
        Net.from_run(tmp_path)
    one_line(caught, "net.ckpt: state_dict: ", "holds NaN or infinite values")
    content = torch.load(finished.directory / "net.ckpt", weights_only=True)
    next(v for n, v in content["state_dict"].items() if n.endswith("running_var"))[0] = -1
    torch.save(content, tmp_path / "net.ckpt")
    with pytest.raises(ValueError) as caught:
        Net.from_run(tmp_path)
    one_line(caught, "net.ckpt: state_dict: ", "holds negative variances")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("class_names", "0123456789"),
        ("class_names", ["left", "right"]),
        ("class_names", ["\x1b[31mred", "b\nc,d", *"01234567"]),
        ("class_names", ["0", *"012345678"]),
        ("preparation", 28),
        ("data_source", 1),
        ("data", {"class_path": "darts_lite.ImageData"}),
    ],
)
def test_what_a_checkpoint_tells_of_its_data_is_checked(
    name: str, value: object, finished: Finished, tmp_path: Path
) -> None:
    content = torch.load(finished.directory / "net.ckpt", weights_only=True)
    assert name in content
    torch.save(content | {name: value}, tmp_path / "changed.ckpt")
    with pytest.raises(ValueError) as caught:
        load_answer(tmp_path / "changed.ckpt")
    one_line(caught, f"changed.ckpt: {name} ", "intact .ckpt")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", '"""\nimport pathlib\n"""'),
        ("size", 0),
        ("size", 28.0),
        ("mean", ["0.1"]),
        ("mean", 0.1),
        ("mean", [0.1, 0.2]),
        ("std", [0.0]),
        ("std", [float("nan")]),
        ("figure", "large"),
        ("white", -1.0),
        ("mean", [1e30]),
        ("black", 1e300),
        ("crop", "left"),
        ("channels", True),
    ],
)
def test_a_preparation_is_checked(
    name: str, value: object, finished: Finished, tmp_path: Path
) -> None:
    content = torch.load(finished.directory / "net.ckpt", weights_only=True)
    assert name in content["preparation"]
    content["preparation"][name] = value
    torch.save(content, tmp_path / "changed.ckpt")
    with pytest.raises(ValueError) as caught:
        load_answer(tmp_path / "changed.ckpt")
    one_line(caught, "changed.ckpt: ", name, "of its images", "intact .ckpt")
