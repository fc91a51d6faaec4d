"""An int8 LiteRT file, which was written from the net of a run, in its own runtimes."""

from pathlib import Path
from typing import cast

import pytest
import torch
from run_helpers import Finished, all_digits, fast_sgd, quiet_trainer
from torch import nn

from darts_lite import Block, Chain, Net
from darts_lite.cli.main import main
from darts_lite.data.images.image_data import ImageData
from darts_lite.export.folding import fold_norms
from darts_lite.export.inference import Answer
from darts_lite.export.litert_int8 import (
    NEEDS,
    ask_litert_int8,
    open_litert,
    spare_padding,
    strip,
    widen_range,
    write_litert_int8,
)
from darts_lite.retraining.retraining import Retraining
from darts_lite.retraining.whole_numbers import pass_rounded

FILE = Path(__file__).with_name("small_int8.tflite")
WHOLE = Path(__file__).with_name("own_net_whole.tflite")
"""A file of `Tokens` as the quantiser leaves it."""
NET = Net(Chain(5, 3, 1, (Block(5, 5, 2), Block(5, 12)), head=3), 1, 10)
SEES = Answer(NET, (0.1307,), (0.3081,))
"""How the net of the file sees images."""
RANGES = ((-1.0, 5.0), (-3.0, 2.0), (0.0, 1.0))


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = all_digits()
    return images[::10, None] / 255, labels[::10].long()


def test_the_file_tells_digits_from_their_pixels() -> None:
    pixels, labels = digits()
    answers = ask_litert_int8(SEES, FILE, pixels).probabilities
    torch.testing.assert_close(answers.sum(dim=1), torch.ones(len(answers)))
    assert (answers.argmax(dim=1) == labels).float().mean() > 0.96


def test_pixels_become_whole_numbers_by_one_step() -> None:
    _, scaling = open_litert(SEES, FILE)
    pixels = torch.rand(3, 1, 28, 28)
    seen = (pixels - SEES.mean) / SEES.std
    interpreter, _ = open_litert(SEES, FILE)
    scale, zero = interpreter.get_input_details()[0]["quantization"]
    wanted = (seen / scale + zero).round().clamp(-128, 127).permute(0, 2, 3, 1)
    assert (scaling.apply(pixels).float() - wanted).abs().max() <= 1  # where rounding turns
    assert scaling.apply(pixels).shape == (3, 28, 28, 1)


def test_a_stripped_file_stays_as_it_is() -> None:
    assert len(strip(FILE.read_bytes())) == len(FILE.read_bytes())


class Tokens(nn.Module):
    """Reads the places of each channel one after the other, and one layer reads three maps."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mix = nn.Conv2d(1, 4, 7, 7), nn.Linear(16, 16, bias=False)
        self.last = nn.Linear(4 * 16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.stem(x)
        mixed = self.mix(y.flatten(2)).relu().flatten(1)
        first: torch.Tensor = self.last(y.flatten(1))
        return first + self.last(y.square().flatten(1)) + self.last(mixed)


def test_what_is_stripped_changes_no_answer_of_a_net_of_ones_own(tmp_path: Path) -> None:
    (stripped := tmp_path / "net.tflite").write_bytes(strip(WHOLE.read_bytes()))
    assert 2 * stripped.stat().st_size < WHOLE.stat().st_size
    before, after = (
        ask_litert_int8(SEES, path, digits()[0]).probabilities for path in (WHOLE, stripped)
    )
    torch.testing.assert_close(after, before, atol=0.02, rtol=0)


class Reading(nn.Module):
    """Reads the weights of a convolution that it also calls."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.last = nn.Conv2d(1, 1, 3, 2, 1), nn.Linear(14 * 14, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.last((self.down(x) * self.down.weight.mean()).flatten(1))
        return y


def test_a_net_that_reads_its_weights_keeps_its_kernels() -> None:
    torch.manual_seed(0)
    net, images = Reading().eval(), digits()[0][:50]
    before = net(images)
    torch.testing.assert_close(spare_padding(net, images[:1])(images), before)
    assert net.down.kernel_size == (3, 3)


def test_the_range_of_a_map_holds_all_images() -> None:
    seen = [{"min": torch.tensor([low]), "max": torch.tensor([high])} for low, high in RANGES]
    widest = widen_range(widen_range(seen[0], seen[1]), seen[2])
    assert (float(widest["min"]), float(widest["max"])) == (-3, 5)


@pytest.mark.parametrize("halved", [False, True])
def test_kernels_grow_where_that_spares_a_copy_and_answers_stay(halved: bool) -> None:
    blocks = (Block(5, 5, 2), Block(3, 6, 2, 2), Block(3, 6, 1, full=True))
    net = Net(Chain(3, 4, 2, blocks, head=2, halved=halved), 1, 10).eval()
    images = digits()[0][:50]
    before = net(images)
    folded = spare_padding(fold_norms(net), images[:1])
    torch.testing.assert_close(folded(images), before, atol=1e-5, rtol=1e-5)
    sizes = [each.kernel_size[0] for each in folded.modules() if isinstance(each, nn.Conv2d)]
    # The strided kernels read sides of 28, 14 and 7, or of 14, 7 and 4.
    assert sizes == ([4, 5, 1, 1, 4, 1, 3] if halved else [4, 6, 1, 1, 3, 1, 3])


class Repeated(nn.Module):
    """Asks one strided convolution about three sides."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.last = nn.Conv2d(1, 1, 3, 2, 1), nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.last(self.down(self.down(self.down(x))).flatten(1))
        return y


class Attention(nn.Module):
    """Attends to places."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.last = nn.Conv2d(1, 8, 4, 4), nn.Linear(8, 10, bias=False)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.stem(x).flatten(2).transpose(1, 2)
        y = y + self.attention(y, y, y, need_weights=False)[0]
        answered: torch.Tensor = self.last(y.mean(1))
        return answered


def test_a_layer_that_is_asked_about_several_sides_keeps_its_kernel() -> None:
    net, images = Repeated().eval(), digits()[0][:50]
    before = net(images)
    torch.testing.assert_close(spare_padding(net, images[:1])(images), before)
    assert net.down.kernel_size == (3, 3)


@pytest.mark.filterwarnings("ignore")  # of the converter and of TensorFlow
@pytest.mark.parametrize("kind", [Repeated, Tokens, Attention])
def test_what_a_file_leaves_out_changes_no_answer(kind: type[nn.Module], tmp_path: Path) -> None:
    for module in NEEDS:
        pytest.importorskip(module, reason="the extra device is not installed")
    torch.manual_seed(0)
    net, pixels = kind().eval(), digits()[0]
    seen = Answer(cast(Net, net), (0.1307,), (0.3081,))
    write_litert_int8(seen, pixels[:100], path := tmp_path / "net.tflite")
    with torch.no_grad():
        floats = seen(pixels)
    file = ask_litert_int8(seen, path, pixels).probabilities
    assert torch.corrcoef(torch.stack([file.flatten(), floats.flatten()]))[0, 1] > 0.97


@pytest.mark.filterwarnings("ignore")  # of the converter and of TensorFlow
def test_a_run_becomes_a_file_and_an_array(finished: Finished, tmp_path: Path) -> None:
    for module in NEEDS:
        pytest.importorskip(module, reason="the extra device is not installed")
    words = ["--to", "litert", "c", "--int8", "--output", str(tmp_path), "--most_drop", "10"]
    main(["export", str(finished.directory / "net.ckpt"), *words])
    names = {path.name for path in tmp_path.iterdir()}
    assert {"net.tflite", "net_int8.tflite", "net_int8.h", "net_int8.cc"} <= names


@pytest.mark.filterwarnings("ignore")  # of the converter and of TensorFlow
def test_a_training_rounds_as_the_file_does(digits_root: str, tmp_path: Path) -> None:
    for module in NEEDS:
        pytest.importorskip(module, reason="the extra device is not installed")
    torch.manual_seed(0)
    blocks = (Block(3, 6, expansion=2), Block(3, 6, residual=True), Block(3, 8, 2, full=True))
    model = Retraining(Chain(3, 6, 2, blocks, head=2), optimizer=fast_sgd)
    quiet_trainer(max_epochs=2).fit(model, ImageData(root=digits_root))
    net, pixels = model.net.eval(), digits()[0]
    seen = Answer(net, (0.1307,), (0.3081,))
    write_litert_int8(seen, pixels, path := tmp_path / "net.tflite")
    with torch.no_grad():
        floats = seen(pixels)
        rounded = pass_rounded(net, (pixels - seen.mean) / seen.std)[0].softmax(dim=1)
    file = ask_litert_int8(seen, path, pixels).probabilities
    changes = torch.stack([(file - floats).flatten(), (rounded - floats).flatten()])
    assert torch.corrcoef(changes)[0, 1] > 0.5  # what is rounded up and what down hangs by a hair
