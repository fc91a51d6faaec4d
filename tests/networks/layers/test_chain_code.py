"""The net of a chain as plain code."""

import runpy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from run_helpers import some_digits

from darts_lite.data.images.image_preparation import ImagePreparation
from darts_lite.export.inference import Answer
from darts_lite.export.standalone import generate_code
from darts_lite.networks.net import Net
from darts_lite.space.layers.chain import Block, Chain

CHAIN = Chain(
    *(5, 6, 2),
    (
        *(Block(3, 6, residual=True), Block(5, 8, 2, expansion=2), Block(3, 8, residual=True)),
        *(Block(3, 8, residual=True, full=True), Block(5, 6, full=True)),
    ),
    halved=True,
)


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("head", [1, 3, 9])  # of a map of side 7
def test_it_answers_as_the_net(head: int, axes: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Net(replace(CHAIN, head=head, axes=axes), 1, 10).eval()
    seen = ImagePreparation(1, 28, mean=(0.1,), std=(0.3,))
    facts = {"preparation": seen.to_dict(), "class_names": None, "test_shifts": 0}
    (tmp_path / "net.py").write_text(generate_code(net, "A chain.", facts))
    pixels = some_digits()[0][:8].unsqueeze(1) / 255
    pixels = pixels if axes == 2 else pixels[:, :, 14:15]  # the row in the middle
    with torch.no_grad():
        alone = runpy.run_path(str(tmp_path / "net.py"))["load"]()(pixels)
        expected = Answer(net, seen.mean, seen.std).eval()(pixels)
    torch.testing.assert_close(alone, expected)
