"""The costs of nets: parameters, multiply-adds, latency; and files that keep what was measured."""

import json
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from filelock import FileLock
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from darts_lite.networks.kinds import find_kind
from darts_lite.networks.net import Net
from darts_lite.space.cost_tables import Costs, Images
from darts_lite.space.protocol import AnyArchitecture, Space
from darts_lite.storage.atomic_files import make_folder, write_text
from darts_lite.storage.paths import read_content, reading

FORMAT = "darts_lite/costs"

Cost = Callable[[nn.Module, Tensor], float]
"""Returns the cost of a module that reads a map ``(1, C, H, W)``."""
LATENCY_CALLS = 15
"""Number of timed calls of a module; the first third is a warm-up."""


def parameters(module: nn.Module, x: Tensor) -> float:
    """Returns the number of parameters."""
    return float(sum(parameter.numel() for parameter in module.parameters()))


def multiply_adds(module: nn.Module, x: Tensor) -> float:
    """Returns the number of multiply-adds of convolutions and linear layers."""
    training = module.training
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.eval()(x)
    module.train(training)
    return counter.get_total_flops() / 2


def flash(module: nn.Module, x: Tensor) -> float:
    """Returns the bytes of the weights in int8; bias and scale of a channel take four each.

    Batch norms are part of the convolutions before or behind them; other single numbers take four
    bytes.
    """
    total = 0
    for one in module.modules():
        if isinstance(one, nn.modules.batchnorm._BatchNorm):
            continue
        for name, weight in one.named_parameters(recurse=False):
            if weight.dim() > 1:
                total += weight.numel() + 8 * len(weight)
            elif name != "bias" or not isinstance(one, nn.Linear | nn.modules.conv._ConvNd):
                total += 4 * weight.numel()
    return float(total)


def latency(module: nn.Module, x: Tensor) -> float:
    """Returns the median time of one map on the device of `x`, in milliseconds.

    Raises ValueError if that is ``meta``, on which nothing is computed.
    """
    if x.device.type == "meta":
        raise ValueError("latency needs a device that computes, such as 'cpu'")
    module.eval()
    taken = []
    with torch.inference_mode():
        for _ in range(LATENCY_CALLS):
            start = time.perf_counter()
            module(x)
            if x.device.type == "cuda":
                torch.cuda.synchronize(x.device)
            taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken[LATENCY_CALLS // 3 :])


class PassCosts(NamedTuple):
    """Costs of a net that is asked once about one image."""

    parameters: int
    multiply_adds: int


def count_pass(architecture: AnyArchitecture, images: Images) -> PassCosts:
    """Counts the parameters and multiply-adds of an architecture's net, without computing.

    Raises ValueError if an operation is unknown.
    """
    with torch.random.fork_rng([]), torch.device("meta"):
        net = Net(architecture, images.channels, images.classes)
        image = torch.zeros(1, *images.shape(architecture.axes))
    return PassCosts(int(parameters(net, image)), int(multiply_adds(net, image)))


COSTS: Mapping[str, Cost] = {
    "parameters": parameters,
    "multiply_adds": multiply_adds,
    "flash": flash,
    "latency": latency,
}
"""Name -> cost. Latency is measured, all others are counted without computing."""


def measure_costs(
    space: Space, cost: str, images: Images, device: torch.device | str = "meta"
) -> Costs:
    """Measures a cost of all architectures; ``meta`` counts without computing.

    It is one of the `COSTS`, or one that a kind of space counts itself, as memory.
    """
    return find_kind(space).measure(space, cost, COSTS.get(cost), images, device)


def load_or_measure_costs(
    table: str | Path | Mapping[str, Any],
    space: Space,
    cost: str,
    images: Images,
    device: torch.device | str = "cpu",
) -> Costs:
    """Reads a table of one of the `COSTS` from a JSON file, or measures and writes it if absent.

    The content of such a file is taken as well, see `load_table`.

    Raises:
        ValueError: if it is not a table, or is for another space, cost or kind of images.
    """
    about = _describe(space, cost, images)
    if isinstance(table, Mapping):
        return _read_costs(table, "the table of costs", space, about)
    if not (path := Path(table)).exists():
        make_folder(path.parent, "latency_table")  # a lock elsewhere would be waited for
        with FileLock(path.with_name(f".{path.name}.lock")):  # of jobs that begin together, one
            if not path.exists():
                costs = measure_costs(space, cost, images, device)
                save_table(path, costs, space, cost, images, str(device))
                return costs
    return _read_costs(load_table(path), str(path), space, about)


def save_table(
    path: str | Path, costs: Costs, space: Space, cost: str, images: Images, device: str
) -> None:
    """Writes costs as `load_or_measure_costs` reads them; `device` names what they are of."""
    about = {"format": FORMAT, **_describe(space, cost, images), "device": device}
    write_text(Path(path), json.dumps({**about, **costs.to_dict()}, indent=1) + "\n")


def _describe(space: Space, cost: str, images: Images) -> dict[str, Any]:
    """Returns what a table is for."""
    return {
        "cost": cost,
        "space": json.loads(json.dumps(space.to_dict())),
        "images": [*images.shape(space.axes)],
        "classes": images.classes,
    }


def load_table(path: str | Path) -> dict[str, Any]:
    """Returns the content of a file of costs; raises ValueError if it is another file."""
    try:
        with reading(Path(path)):
            content = json.loads(read_content(Path(path)))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} is not a table of costs; delete it to measure a new one")
    return content


def _read_costs(
    content: Mapping[str, Any], path: str, space: Space, about: Mapping[str, Any]
) -> Costs:
    for name, wanted in about.items():
        if content.get(name) != wanted:
            raise ValueError(
                f"{path} is a table for another {name}; delete it to measure a new one, or name "
                "another file"
            )
    try:
        return space.read_costs(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; delete it to measure a new one") from error
