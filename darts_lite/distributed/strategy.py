"""Trains one model with several processes, each on its shard of every batch.

Modules average over the ranks themselves (`darts_lite.distributed.ranks`), so nothing wraps them:
cells and second-order gradients read a search's weights, and not all weights take part in every
step, which torch's DistributedDataParallel does not allow.
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
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from darts_lite.distributed.batch_norm import JointBatchNorm2d
from darts_lite.distributed.random_state import read_random_states, restore_random_states

GRACE = 3.0
"""Seconds for which other processes delay an error, so that the first one reports a common one."""
NAMES = ("auto", "ddp", "ddp_find_unused_parameters_false", "ddp_find_unused_parameters_true")
"""Names of Lightning's strategies that select `JointBatch`, which allows unused parameters."""


class JointBatch(DDPStrategy):
    """Strategy whose processes start as with Lightning's `DDPStrategy` and train one joint batch.

    With one seed, n processes with batches of b / n images do what one process does with batches of
    b images.

    Args:
        process_group_backend: Means of communication; by default ``nccl`` on GPUs, else ``gloo``.
    """

    def __init__(self, process_group_backend: str | None = None, **settings: Any) -> None:
        super().__init__(process_group_backend=process_group_backend, **settings)

    def setup_environment(self) -> None:
        """Connects the processes; random numbers go on as they would in one process."""
        states = read_random_states()
        super().setup_environment()
        restore_random_states(states)

    def configure_ddp(self) -> None:
        """Copies the first rank's model to all ranks."""
        model = cast(LightningModule, self.model)
        join_norms(model)
        _sync_module_states(model)

    def teardown(self) -> None:
        """Restores the model's own norms."""
        if self.model is not None:
            separate_norms(self.model)
        super().teardown()


def join_norms(model: nn.Module) -> None:
    """Makes batch norms use the batches of all ranks; ValueError if one is of another kind."""
    for name, module in model.named_modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = JointBatchNorm2d  # in place: cells and optimizers hold the module
        elif isinstance(module, _BatchNorm) and not isinstance(module, JointBatchNorm2d):
            raise ValueError(
                f"{name} is a {type(module).__name__}, whose statistics several processes cannot "
                "share; use nn.BatchNorm2d, or set trainer.devices and trainer.num_nodes to 1"
            )


def join_new_norms(trainer: Trainer, added: nn.Module) -> None:
    """Joins the norms of a module that a trainer's model gets during training."""
    if isinstance(trainer.strategy, JointBatch):
        join_norms(added)


def separate_norms(model: nn.Module) -> None:
    """Undoes `join_norms`."""
    for module in model.modules():
        if isinstance(module, JointBatchNorm2d):
            module.__class__ = nn.BatchNorm2d  # type: ignore[assignment]


def check_strategy(trainer: Trainer, asked: Any) -> None:
    """Checks the trainer's strategy, `asked` for by name or as an object.

    Raises:
        ValueError: if the strategy is neither one device nor `JointBatch`, or other processes were
            started than the trainer expects.
    """
    if not isinstance(trainer.strategy, SingleDeviceStrategy | JointBatch):
        name = asked if isinstance(asked, str) else type(asked).__name__
        raise ValueError(
            f"trainer.strategy {name} is not supported: every process needs all weights and starts "
            "as a separate program; choose ddp"
        )
    if TorchElasticEnvironment.detect():
        started = TorchElasticEnvironment().world_size()
        if started != trainer.world_size:
            raise ValueError(
                f"torchrun has started {started} processes, but trainer.devices times "
                f"trainer.num_nodes is {trainer.world_size}; make both the same"
            )
    rank = getattr(rank_zero_only, "rank", 0)
    if trainer.world_size == 1 and rank:  # Lightning would keep no record
        raise ValueError(
            f"the environment calls this process number {rank} of several (RANK, LOCAL_RANK or "
            "SLURM_PROCID), but trainer.devices times trainer.num_nodes is 1; unset these "
            "variables, or set trainer.devices"
        )


@contextmanager
def connect_processes(trainer: Trainer) -> Iterator[None]:
    """Starts the other processes of a trainer, if any, and connects them.

    They run the program from its beginning and arrive here as well. Only the first process prints,
    and when it fails the others end.

    Raises:
        ConnectionError: if another process ended early.
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
        launcher.kill(signal.SIGKILL)  # they may wait for this one and ignore milder signals
        if is_broken_link(error):
            raise ConnectionError(
                "another process of this run has ended; unless it was killed, it printed why; "
                "with run.resume: auto the same command goes on from the last checkpoint"
            ) from error
        raise


def is_broken_link(error: Exception) -> bool:
    """Returns whether an error means that another process no longer answers."""
    if not (distributed.is_available() and isinstance(error, RuntimeError)):
        return False
    return isinstance(error, distributed.DistError) or "gloo" in str(error)


def prepare(trainer: Trainer, data: LightningDataModule, stage: str) -> None:
    """Downloads the data once per machine, then sets it up in every process, as Lightning does."""
    if trainer.local_rank == 0:
        data.prepare_data()
    trainer.strategy.barrier()
    data.setup(stage)
