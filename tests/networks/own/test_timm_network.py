"""A model of timm, whose blocks were swapped for choices, from search to export."""

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from darts_lite import Choice, Net
from darts_lite.cli.main import main as verbs

BLOCKS = ("layer2", "layer3", "layer4")


class Thin(nn.Module):
    """What may stand in the place of a residual block: one convolution."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(x)))


def thin(block: Any) -> Thin:
    return Thin(block.conv1.in_channels, block.conv1.out_channels, stride=2)


class TimmNet(nn.Module):
    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.body: Any = timm.create_model(
            "resnet10t", in_chans=in_channels, num_classes=num_classes
        )
        for name in BLOCKS:
            layer = getattr(self.body, name)
            layer[0] = Choice({"block": layer[0], "thin": thin(layer[0])})

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.body(x)
        return logits


@pytest.mark.slow
def test_it_is_searched_derived_retrained_and_exported(digits_root: str, tmp_path: Path) -> None:
    few = ["--data.search_batches_per_epoch=6", "--data.train_images=600"]
    few += ["--trainer.max_epochs=2", "--retraining.max_epochs=1", "--data.batch_size=60"]
    places = ["--run.folder", str(tmp_path), "--data.root", digits_root]
    own = ["--model.space", f"{__name__}.TimmNet", "--budget.parameters", "3000000"]
    verbs(["fit", "--config", "own_network_darts", *own, *places, *few])
    run = tmp_path / "own_network_darts" / "version_0"
    chosen = json.loads((run / "architecture.json").read_text())["choices"]
    assert [*chosen] == [f"body.{name}.0" for name in BLOCKS]
    assert "thin" in chosen.values()  # all blocks have 4.9 million parameters
    by_hand: Any = timm.create_model("resnet10t", in_chans=1, num_classes=10)
    for name in BLOCKS:
        if chosen[f"body.{name}.0"] == "thin":
            layer = getattr(by_hand, name)
            layer[0] = thin(layer[0])
    net = Net.from_run(run)
    by_hand.load_state_dict(net.skeleton.network.body.state_dict())
    images = torch.randn(2, 1, 28, 28)
    assert torch.allclose(net(images), by_hand.eval()(images), atol=1e-5)
    verbs(["export", str(run / "net.ckpt"), "--to", "onnx", "safetensors", "--images", "50"])
    assert (run / "net.onnx").stat().st_size > 1_000_000
