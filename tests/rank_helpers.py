"""Processes that have met, and what each of them has of a joint batch."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forked
import torch
from torch import Tensor, distributed

from darts_lite.distributed.ranks import own_shard

RANKS = 2


def _meet(rank: int, folder: Path, work: Callable[[], Any]) -> None:
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = socket.if_nameindex()[0][1]  # the loopback device
    store = distributed.FileStore(str(folder / "meeting"), RANKS)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=RANKS)
    torch.save(work(), folder / f"{rank}.pt")
    distributed.barrier()  # who has left can no longer be met
    distributed.destroy_process_group()


def on_all_ranks(folder: Path, work: Callable[[], Any]) -> list[Any]:
    """What a function returns in each of two processes that have met."""
    context = forked.copies()
    processes = [context.Process(target=_meet, args=(rank, folder, work)) for rank in range(RANKS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * RANKS
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(RANKS)]


def values(*shape: int) -> Tensor:
    """The same in all processes."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def own(batch: Tensor) -> Tensor:
    """A rank's part of a joint batch."""
    rank, world_size = own_shard()
    return batch[rank::world_size]
