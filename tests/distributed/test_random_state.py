"""The states of all random generators."""

import random

import numpy as np
import torch

from darts_lite.distributed.random_state import read_random_states, restore_random_states


def test_random_numbers_go_on() -> None:
    states = read_random_states()
    first = (random.random(), float(np.random.rand()), torch.rand(3).tolist())  # noqa: NPY002
    restore_random_states(states)
    second = (random.random(), float(np.random.rand()), torch.rand(3).tolist())  # noqa: NPY002
    assert first == second
