"""Writes a trained net as one file of plain torch code, which does not need this package.

The file holds the calls that build the net's modules, cell by cell, then the weights as text. Nets
with custom operations are refused, as their code is not known here.
"""

import base64
import io
from collections.abc import Sequence
from pprint import pformat

import torch

from darts_lite.data.preparation import Preparation
from darts_lite.networks.kinds import find_kind
from darts_lite.networks.net import Net
from darts_lite.space.operation_code import HELPERS, LINE

SIGNATURE = "Made by darts_lite, and needs nothing but torch."  # in every such file's docstring


def generate_code(
    net: Net,
    about: str,
    preparation: Preparation,
    test_shifts: int = 0,
    class_names: Sequence[str] | None = None,
) -> str:
    """Returns the text of a Python file that holds a net, its weights and its normalisation.

    The file's ``load()`` returns a module that maps pixels in 0..1, ``(B, C, H, W)``, to
    probabilities ``(B, classes)``.

    Args:
        about: First line of the file's docstring.
        preparation: How images were prepared, which the file tells as ``PREPARATION``.
        test_shifts: Largest shift in pixels; see `darts_lite.Retraining`.
        class_names: Names in the order of the probabilities; the file's ``CLASSES``.

    Raises:
        ValueError: if an operation is neither this package's nor torch's.
    """
    renamed: dict[str, str] = {}
    classes = list(find_kind(net.architecture).write_code(net.skeleton, renamed))
    used = {type(module) for module in net.modules()}
    helpers = [text for kind, text in HELPERS.items() if kind in used]
    answer = _write_answer(preparation.mean, preparation.std, test_shifts)
    channels, side = f"{preparation.channels:d}", f"{preparation.size:d}"
    # Part of a docstring: no data set's name may end it and become code.
    about = "".join(x if x.isprintable() and x not in '"\\' else "_" for x in about)
    names = None if class_names is None else list(class_names)
    head = f'''"""{about}

    net = load()
    probabilities = net(images)  # pixels of 0 to 1, (B, {channels}, {side}, {side})

{SIGNATURE} PREPARATION tells how image files
become such pixels, and CLASSES the names of the classes, if they have names.
"""

import base64
import io

import torch
from torch import nn
from torch.nn import functional as F

PREPARATION = {pformat(preparation.to_dict(), width=LINE)}
CLASSES = {pformat(names, width=LINE)}
'''
    parts = [head, *helpers, *classes, answer, _write_weights(net, renamed)]
    return "\n\n".join(part.strip("\n") + "\n" for part in parts)


def _write_answer(mean: Sequence[float], std: Sequence[float], shifts: int) -> str:
    mean_of_shifts = f"""
        padded = F.pad(images, ({shifts},) * 4, mode="replicate")
        height, width = images.shape[2:]
        offsets = (0, {shifts}, {2 * shifts})
        views = [padded[:, :, y : y + height, x : x + width] for y in offsets for x in offsets]
        return torch.stack([self.net(view).softmax(dim=1) for view in views]).mean(dim=0)"""
    alone = "\n        return self.net(images).softmax(dim=1)"
    title = "the mean over nine shifts of the images" if shifts else "of the network"
    return f'''
class Answer(nn.Module):
    """Pixels from 0 to 1 -> probabilities, {title}."""

    def __init__(self):
        super().__init__()
        self.net = Net()
        mean, std = {list(map(float, mean))}, {list(map(float, std))}
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, pixels):
        images = (pixels - self.mean) / self.std{mean_of_shifts if shifts else alone}


def load():
    """The trained network, ready to answer."""
    answer = Answer()
    content = io.BytesIO(base64.b64decode(WEIGHTS))
    answer.net.load_state_dict(torch.load(content, weights_only=True))
    return answer.eval()
'''


def _write_weights(net: Net, renamed: dict[str, str]) -> str:
    """Returns the weights as base64 text, under their names in the file."""
    state = {}
    for name, value in net.state_dict().items():
        for old, new in renamed.items():
            if name.startswith(f"{old}."):
                plain = value.detach().cpu().clone(memory_format=torch.contiguous_format)
                state[new + name.removeprefix(old)] = plain
    content = io.BytesIO()
    torch.save(state, content)
    whole = base64.b64encode(content.getvalue()).decode()
    text = "\n".join(whole[start : start + LINE] for start in range(0, len(whole), LINE))
    return f'WEIGHTS = """\n{text}\n"""\n'
