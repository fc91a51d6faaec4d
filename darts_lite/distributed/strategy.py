"""How several processes train one model: each on its part of every batch, as one would on all.

Modules average what they compute over the ranks themselves (`darts_lite.distributed.ranks`), so
nothing wraps them: a search's weights are read by cells and by gradients of gradients, and not all
of them take part in every step, which torch's DistributedDataParallel does not allow.
"""

import os
import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from typing import Any, cast

from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.overrides.distributed import _sync_module_states
from lightning.pytorch.plugins.environments import TorchElasticEnvironment
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from darts_lite.distributed.batch_norm import JointBatchNorm2d
from darts_lite.distributed.random_state import random_states, restore_random_states

GRACE = 3.0
"""Seconds that other processes keep quiet about an error: if all have it, the first one tells."""
NAMES = ("auto", "ddp", "ddp_find_unused_parameters_false", "ddp_find_unused_parameters_true")
"""Strategies of Lightning that stand for `JointBatch`, which minds no unused parameters."""


class JointBatch(DDPStrategy):
    """Processes that start as Lightning's `DDPStrategy` starts them, and train one joint batch.

    With one seed, and batches of b / n images on each of n processes, they do what one process does
    with batches of b.

    Args:
        process_group_backend: How they talk: ``nccl`` for GPUs and ``gloo`` else when not given.
    """

    def __init__(self, process_group_backend: str | None = None, **settings: Any) -> None:
        super().__init__(process_group_backend=process_group_backend, **settings)

    def setup_environment(self) -> None:
        """Meets the other processes; random numbers go on as they would in one process."""
        states = random_states()
        super().setup_environment()
        restore_random_states(states)

    def configure_ddp(self) -> None:
        """Lets all ranks start with the model of the first one."""
        model = cast(LightningModule, self.model)
        join_norms(model)
        _sync_module_states(model)

    def teardown(self) -> None:
        """Leaves the model as it was."""
        if self.model is not None:
            part_norms(self.model)
        super().teardown()


def join_norms(model: nn.Module) -> None:
    """Lets the batch norms of a model see the batches of all ranks.

    Raises:
        ValueError: if a norm cannot do that.
    """
    for name, module in model.named_modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = JointBatchNorm2d  # in place: cells and optimizers hold the module
        elif isinstance(module, _BatchNorm) and not isinstance(module, JointBatchNorm2d):
            raise ValueError(
                f"{name} is a {type(module).__name__}, whose statistics several processes cannot "
                "share; use nn.BatchNorm2d, or set trainer.devices and trainer.num_nodes to 1"
            )


def part_norms(model: nn.Module) -> None:
    """Undoes `join_norms`."""
    for module in model.modules():
        if isinstance(module, JointBatchNorm2d):
            module.__class__ = nn.BatchNorm2d  # type: ignore[assignment]


def check_strategy(trainer: Trainer, asked: Any) -> None:
    """Turns away strategies that a search or a retraining cannot follow.

    Args:
        trainer: Whose strategy it is.
        asked: Its name, or what else was given.

    Raises:
        ValueError: if it is neither one device nor `JointBatch`, or other processes were started
            than the trainer expects.
    """
    if not isinstance(trainer.strategy, SingleDeviceStrategy | JointBatch):
        name = asked if isinstance(asked, str) else type(asked).__name__
        raise ValueError(
            f"trainer.strategy {name} is not followed here: every process needs whole weights, and "
            "is started as a program of its own; choose ddp"
        )
    if TorchElasticEnvironment.detect():
        started = TorchElasticEnvironment().world_size()
        if started != trainer.world_size:
            raise ValueError(
                f"torchrun has started {started} processes, but trainer.devices times "
                f"trainer.num_nodes is {trainer.world_size}; make both the same"
            )


@contextmanager
def together(trainer: Trainer) -> Iterator[None]:
    """Starts the other processes of a trainer, if any, and meets them.

    They run the program from its beginning and come here as well. Only the first one prints, and
    when it fails the others end.

    Raises:
        ConnectionError: if another process ended before its time.
    """
    if not isinstance(trainer.strategy, JointBatch):
        yield
        return
    launcher = trainer.strategy.launcher
    assert isinstance(launcher, _SubprocessScriptLauncher)
    launcher.launch(trainer.strategy.setup_environment, trainer=trainer)
    try:
        with ExitStack() as quiet:
            if not trainer.is_global_zero:
                quiet.enter_context(warnings.catch_warnings(action="ignore"))
                quiet.enter_context(redirect_stdout(quiet.enter_context(open(os.devnull, "w"))))
            yield
        distributed.destroy_process_group()  # gloo's threads must not outlive the interpreter
    except Exception as error:
        if not trainer.is_global_zero:
            time.sleep(GRACE)
        launcher.kill(signal.SIGKILL)  # they may wait for this one and not listen to less
        if is_broken_link(error):
            raise ConnectionError(
                "another process of this run has ended, and says why itself unless it was killed; "
                "with run.resume: auto the same command goes on from the last checkpoint"
            ) from error
        raise


def is_broken_link(error: Exception) -> bool:
    """Whether an error tells that another process does not answer any more."""
    if not (distributed.is_available() and isinstance(error, RuntimeError)):
        return False
    return isinstance(error, distributed.DistError) or "gloo" in str(error)


def prepare(trainer: Trainer, data: LightningDataModule, stage: str) -> None:
    """Downloads once per machine, then sets the data up in every process, as Lightning does."""
    if trainer.local_rank == 0:
        data.prepare_data()
    trainer.strategy.barrier()
    data.setup(stage)
