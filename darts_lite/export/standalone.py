"""Writes a trained net as one file of plain torch code, which does not need this package.

The file holds what is known of the net, the calls that build its modules, cell by cell, then the
weights as text. Nets with custom operations are refused, as their code is not known here.
"""

import base64
import inspect
import io
from collections.abc import Mapping
from pprint import pformat
from typing import Any

import torch

from darts_lite.data.preparation import Preparation, build_preparation
from darts_lite.networks.kinds import find_kind
from darts_lite.networks.net import Net
from darts_lite.retraining.recipe import count_shifts
from darts_lite.space.operation_code import HELPERS, LINE, is_plain
from darts_lite.storage.components import class_path

SIGNATURE = "Made by darts_lite, and needs nothing but torch."  # in every such file's docstring


def generate_code(net: Net, title: str, facts: Mapping[str, Any]) -> str:
    """Returns the text of a Python file that holds a net, its weights and its normalisation.

    The file's ``load()`` returns a module that maps pixels in 0..1, ``(B, C, H, W)``, to
    probabilities ``(B, classes)``.

    Args:
        net: A net of `darts_lite.export.folding.fold_norms`.
        title: First line of the file's docstring.
        facts: What the file tells as ``ABOUT``, as plain values: ``preparation``, ``test_shifts``,
            ``class_names`` and others; see `darts_lite.export.facts.describe`.

    Raises:
        ValueError: if an operation is neither this package's nor torch's.
    """
    renamed: dict[str, str] = {}
    classes = list(find_kind(net.architecture).write_code(net.skeleton, renamed))
    used = {type(module) for module in net.modules()}
    helpers = [text for kind, text in HELPERS.items() if kind in used]
    seen = build_preparation(facts["preparation"])
    front = type(seen.front())
    if class_path(front).startswith("darts_lite."):
        helpers.append(inspect.getsource(front))
    answer = _write_answer(seen, facts["test_shifts"])
    # Part of a docstring: no data set's name may end it and become code.
    title = "".join(x if x.isprintable() and x not in '"\\' else "_" for x in title)
    size = ", ".join(map(str, seen.shape))
    head = f'''"""{title}

    net = load()
    probabilities = net({seen.kind.words})  # {seen.values} of {seen.scale}, (B, {size})

{SIGNATURE} ABOUT tells what is known of the
network; PREPARATION is how files become such {seen.values}, CLASSES the names of the classes.
"""

import base64
import io

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ABOUT = {pformat(dict(facts), width=LINE, sort_dicts=False)}
CLASSES, PREPARATION = ABOUT["class_names"], ABOUT["preparation"]
'''
    parts = [head, *helpers, *classes, answer, _write_weights(net, renamed)]
    return "\n\n".join(part.strip("\n") + "\n" for part in parts)


def can_write(net: Net) -> bool:
    """Returns whether the code of a net is known: of its operations, or of its exported graph."""
    return find_kind(net.architecture).writes_own or is_plain(net)


def _write_answer(seen: Preparation, shifts: int) -> str:
    columns = (0, shifts, 2 * shifts)
    rows, down = ((0,), 0) if seen.axes == 1 else (columns, shifts)
    mean_of_shifts = f"""
        padded = F.pad(images, ({shifts}, {shifts}, {down}, {down}), mode="replicate")
        height, width = images.shape[2:]
        places = [(y, x) for y in {rows} for x in {columns}]
        views = [padded[:, :, y : y + height, x : x + width] for y, x in places]
        shares = self.net(torch.cat(views)).softmax(dim=1)
        return shares.unflatten(0, (len(views), -1)).mean(dim=0)"""
    alone = "\n        return self.net(images).softmax(dim=1)"
    title = f"the mean over {count_shifts(seen.axes)} shifts" if shifts else "of the network"
    answered = mean_of_shifts if shifts else alone
    mean, std = list(map(float, seen.mean)), list(map(float, seen.std))
    return f'''
class Answer(nn.Module):
    """{seen.values.capitalize()} from {seen.scale} -> probabilities, {title}."""

    def __init__(self):
        super().__init__()
        self.front, self.net = {seen.front_code()}, Net()
        mean, std = {mean}, {std}
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, {seen.values}):
        images = (self.front({seen.values}) - self.mean) / self.std{answered}


def load():
    """The trained network, ready to answer."""
    answer = Answer()
    content = io.BytesIO(base64.b85decode(WEIGHTS.replace("\\n", "")))
    answer.net.load_state_dict(torch.load(content, weights_only=True))
    return answer.eval()
'''


def _write_weights(net: Net, renamed: dict[str, str]) -> str:
    """Returns the weights as text in base 85, under their names in the file."""
    kept = {
        new + name.removeprefix(old): value.detach().cpu()
        for name, value in net.state_dict().items()
        for old, new in renamed.items()
        if name.startswith(f"{old}.")
    }
    # All in one piece of memory, as each piece takes some hundred bytes more.
    whole = torch.cat([value.flatten().to(torch.float32) for value in kept.values()])
    pieces = whole.split([value.numel() for value in kept.values()])
    views = zip(kept, pieces, kept.values(), strict=True)
    content = io.BytesIO()
    torch.save({name: piece.view(value.shape) for name, piece, value in views}, content)
    text = base64.b85encode(content.getvalue()).decode()
    lines = "\n".join(text[start : start + LINE] for start in range(0, len(text), LINE))
    return f'WEIGHTS = """\n{lines}\n"""\n'
