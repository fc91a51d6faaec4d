"""Files for other programs, each asked in its own runtime."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from run_helpers import Exported, Finished, some_digits
from torch import Tensor

import darts_lite
from darts_lite.cli.main import main
from darts_lite.cli.verbs.export import load_items
from darts_lite.data.images.image_preparation import ImagePreparation
from darts_lite.export.facts import answer_all, describe
from darts_lite.export.formats import ABOUT, FORMATS, export
from darts_lite.export.inference import Answer, load_answer
from darts_lite.networks.net import Net, load_weights
from darts_lite.space.layers.chain import Block, Chain

OF_TORCH = ("ignore::DeprecationWarning", "ignore::FutureWarning")
MAIN_JOB = Chain(5, 16, 2, (Block(5, 24), Block(5, 32, 2), Block(5, 48)), head=3)
"""What the main job has found."""
PLACE = re.compile(r"(?<![\w./:])/(?:home|root|tmp|usr|opt|var|work|mnt|Users)/")


def of_main_job() -> tuple[Answer, dict[str, Any]]:
    torch.manual_seed(0)
    about = {
        "data": {"class_path": "darts_lite.ImageData", "init_args": {"dataset": "MNIST"}},
        "data_source": "local files",
        "class_names": None,
        "preparation": ImagePreparation(1, 28, mean=(0.1307,), std=(0.3081,)),
    }
    return Answer(Net(MAIN_JOB, 1, 10), (0.1307,), (0.3081,)).eval(), about


def pixels_of_digits() -> Tensor:
    return some_digits()[0][:20].unsqueeze(1) / 255


@pytest.mark.parametrize("name", Exported.formats)
def test_each_file_answers_as_the_net_does(name: str, exported: Exported) -> None:
    path = exported.folder / f"net{FORMATS[name].ending}"
    assert f"{path}: 1,000 images, same classes, within " in exported.said
    row = next(line for line in exported.said.splitlines() if line.startswith(f"│ {path.name} "))
    _, _, runtime, size, _, milliseconds, _ = map(str.strip, row.split("│"))
    assert runtime == FORMATS[name].runtime
    assert int(size.replace(",", "")) == path.stat().st_size and float(milliseconds) > 0


@pytest.mark.filterwarnings(*OF_TORCH)
def test_litert_answers_as_the_net_does(finished: Finished, tmp_path: Path) -> None:
    pytest.importorskip("litert_torch", reason="the extra tensorflow is not installed")
    words = ["--to", "litert", "--output", str(tmp_path)]
    main(["export", str(finished.directory / "net.ckpt"), *words])
    assert (tmp_path / "net.tflite").is_file()


def test_a_file_that_answers_otherwise_is_not_kept(finished: Finished, tmp_path: Path) -> None:
    net, about = load_answer(finished.directory / "net.ckpt")
    pixels, _ = load_items(about).sample_test(20)
    facts, expected = describe(net, about), answer_all(net, pixels)
    path = tmp_path / "net.safetensors"
    # What the file tells, and not what the net does.
    wrong = {**facts, "preparation": {**facts["preparation"], "mean": [0.5]}}
    path.write_text("the one before")
    with pytest.raises(ValueError, match=r"does not answer as the net does, and was not kept"):
        export("safetensors", net, wrong, pixels, expected, path)
    assert path.read_text() == "the one before" and [*tmp_path.iterdir()] == [path]
    assert export("safetensors", net, facts, pixels, expected, path).difference == 0.0
    assert torch.isfinite(pixels).all()


def strings_of(message: Any) -> Iterator[tuple[str, str]]:
    """All texts inside of a protobuf, with the names of their fields."""
    for field, value in message.ListFields():
        for part in value if field.is_repeated else [value]:
            if field.message_type is not None:
                yield from strings_of(part)
            elif isinstance(part, str | bytes):
                yield field.name, part.decode(errors="ignore") if isinstance(part, bytes) else part


@pytest.mark.filterwarnings(*OF_TORCH)
def test_an_onnx_file_of_the_main_job_is_little_more_than_its_weights(tmp_path: Path) -> None:
    net, about = of_main_job()
    pixels, facts = pixels_of_digits(), describe(net, about)
    assert 9_000 < facts["parameters"] < 10_000
    path = tmp_path / "net.onnx"
    written = export("onnx", net, facts, pixels, answer_all(net, pixels), path)
    assert written.size == path.stat().st_size <= 1.3 * 4 * facts["parameters"]
    model = onnx.load(path)
    texts = [text for name, text in strings_of(model) if name != "raw_data"]
    checkout = str(Path(darts_lite.__file__).parents[1])
    assert not [text for text in texts if PLACE.search(text) or checkout in text or ".py" in text]
    told = {name for name, _ in strings_of(model.graph)}
    assert "doc_string" not in told and all(not node.metadata_props for node in model.graph.node)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("Conv") == 1 + 2 * 3 and "BatchNormalization" not in kinds


@pytest.mark.filterwarnings(*OF_TORCH)
def test_the_mean_over_shifts_holds_the_net_once(tmp_path: Path) -> None:
    net, about = of_main_job()
    net.test_shifts, pixels = 1, pixels_of_digits()
    facts, expected = describe(net, about), answer_all(net, pixels)
    written = export("onnx", net, facts, pixels, expected, tmp_path / "net.onnx")
    assert facts["passes"] == 9 and written.size <= 1.4 * 4 * facts["parameters"]


def test_all_formats_tell_the_same_facts(exported: Exported) -> None:
    told = {
        p.key: json.loads(p.value) for p in onnx.load(exported.folder / "net.onnx").metadata_props
    }
    extra = {ABOUT: ""}
    torch.export.load(exported.folder / "net.pt2", extra_files=extra)
    assert json.loads(extra[ABOUT]) == told
    place: dict[str, Any] = {}
    exec(compile((exported.folder / "net.py").read_text(), "net.py", "exec"), place)
    assert place["ABOUT"] == told
    assert place["CLASSES"] == list("0123456789") and place["PREPARATION"]["size"] == 28
    about = load_weights(exported.folder / "net.safetensors")[1]
    assert {name: about[name] for name in told} == told
