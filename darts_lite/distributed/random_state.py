"""The states of all random generators, to be kept and restored."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch


def read_random_states() -> dict[str, Any]:
    """Returns the states of the generators of Python, NumPy, torch and the GPU in use."""
    kind, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
    version, internal, next_gauss = random.getstate()
    return {
        "python": [version, list(internal), next_gauss],
        "numpy": [str(kind), [int(key) for key in keys], position, has_gauss, gauss],
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_initialized() else [],
    }


def restore_generator(generator: Any, state: Sequence[Any]) -> None:
    """Sets a `Random`, or the module `random`, to a state whose parts may have become lists."""
    version, internal, next_gauss = state
    generator.setstate((version, tuple(internal), next_gauss))


def restore_random_states(states: dict[str, Any]) -> None:
    """Sets all generators to states that `read_random_states` returned."""
    restore_generator(random, states["python"])
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(states["torch"].cpu())
    if torch.cuda.is_available():
        for state in states["cuda"]:
            torch.cuda.set_rng_state(state.cpu())
