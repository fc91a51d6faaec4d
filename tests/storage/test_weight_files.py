"""Nets as safetensors files."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from run_helpers import SMALL, fast_sgd, one_line, quiet_trainer, some_digits
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from darts_lite.data.images.image_data import ImageData
from darts_lite.networks.net import Net, load_weights, save_weights
from darts_lite.retraining.retraining import Retraining
from darts_lite.runs.stages import retrain
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.storage.run_folder import RunFolder
from darts_lite.training.checkpointing import AtomicCheckpointIO

ABOUT = {"in_channels": 1, "num_classes": 10}


def small_net(auxiliary: bool = False) -> Net:
    torch.manual_seed(1)
    return Net(ArchitectureSearch(SMALL).derive(), **ABOUT, auxiliary=auxiliary)


def logits(net: torch.nn.Module) -> Tensor:
    images = some_digits()[0][:50].unsqueeze(1) / 255
    with torch.no_grad():
        return net.eval()(images.to(next(net.parameters()).dtype))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_weights(small_net(), tmp_path / "net.safetensors", {"from": "tests"})
    return tmp_path / "net.safetensors"


@pytest.mark.parametrize("precision", ["32-true", "64-true"])
def test_a_retrained_net_computes_the_same_to_the_last_digit(
    precision: Any, digits_root: str, tmp_path: Path
) -> None:
    model = Retraining(small_net().architecture, optimizer=fast_sgd, ema_decay=0.9)
    data = ImageData(root=digits_root)
    run = quiet_trainer(
        max_epochs=1, limit_train_batches=5, precision=precision, plugins=[AtomicCheckpointIO()]
    )
    retrain(run, model, data, RunFolder(tmp_path))
    net, about = load_weights(tmp_path / "net.safetensors")
    assert next(net.parameters()).dtype == next(model.net.parameters()).dtype
    assert torch.equal(logits(net), logits(model.net))
    content = torch.load(tmp_path / "net.ckpt", weights_only=True)["state_dict"]
    assert {f"net.{name}" for name in net.state_dict()} == content.keys()
    for name, value in net.state_dict().items():
        assert torch.equal(value, content[f"net.{name}"]), name
    with safe_open(tmp_path / "net.safetensors", "pt") as file:
        said = {name: json.loads(value) for name, value in file.metadata().items()}
    assert said == about
    assert said["architecture"] == model.architecture.to_dict()
    assert said["preparation"] == data.preparation.to_dict()
    assert said["data"]["init_args"]["dataset"] == "MNIST"


def test_channels_last_shared_memory_and_an_auxiliary_head_make_no_difference(
    tmp_path: Path,
) -> None:
    path = tmp_path / "net.safetensors"
    net = small_net(auxiliary=True).to(memory_format=torch.channels_last)
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    one, *alike = [norm for norm in norms if norm.num_features == norms[0].num_features]
    one.running_mean = alike[0].running_mean = torch.rand(one.num_features)
    save_weights(net, path, {})
    again = load_weights(path)[0]
    assert torch.equal(logits(again), logits(net))
    assert not any("auxiliary" in name for name in load_file(path))
    assert all(parameter.requires_grad for parameter in again.parameters())


def test_a_file_that_is_none_of_ours(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        load_weights(tmp_path / "none.safetensors")
    one_line(missing, "none.safetensors", "give the path")
    whole = saved.read_bytes()
    for content in (
        b"",
        b"text",
        whole[:100],
        whole[:-1],
        b"\xff" * 100,
        whole[:9] + b"!" + whole[10:],
    ):
        saved.write_bytes(content)
        with pytest.raises(ValueError, match="damaged or not a safetensors") as damaged:
            load_weights(saved)
        one_line(damaged, saved)
    for metadata in (None, {"format": "pt"}, {"format": "["}, {"format": '"other"'}):
        save_file({"weight": torch.zeros(1)}, saved, metadata)
        with pytest.raises(ValueError, match="not written by darts_lite") as foreign:
            load_weights(saved)
        one_line(foreign, saved)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"version": 2}, "version 2"),
        ({"in_channels": 0}, "in_channels must be"),
        ({"num_classes": "10"}, "num_classes must be"),
        ({"num_classes": True}, "num_classes must be"),
        ({"num_classes": 10**12}, "do not fit its architecture"),
        ({"in_channels": 3}, "do not fit its architecture"),
        ({"architecture": None}, "no architecture"),
        ({"architecture": {}}, "do not fit its architecture"),
    ],
)
def test_metadata_that_does_not_fit_the_weights(
    changed: dict[str, Any], message: str, saved: Path
) -> None:
    with safe_open(saved, "pt") as file:
        metadata = file.metadata()
    metadata |= {name: json.dumps(value) for name, value in changed.items()}
    save_file(load_file(saved), saved, metadata)
    with pytest.raises(ValueError, match=message) as error:
        load_weights(saved)
    one_line(error, saved)


@pytest.mark.parametrize("change", ["missing", "more", "integers"])
def test_weights_that_do_not_fit_the_architecture(change: str, saved: Path) -> None:
    tensors = load_file(saved)
    name = next(name for name in sorted(tensors) if name.endswith("weight"))
    if change == "missing":
        del tensors[name]
    elif change == "more":
        tensors["more"] = torch.zeros(1)
    else:
        tensors[name] = tensors[name].long()
    with safe_open(saved, "pt") as file:
        save_file(tensors, saved, file.metadata())
    with pytest.raises(ValueError, match="do not fit its architecture") as error:
        load_weights(saved)
    one_line(error, saved)
