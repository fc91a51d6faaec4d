"""Shows a search in TensorBoard."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter

from darts_lite.plots.architectures import draw_architecture
from darts_lite.plots.shares import draw_shares
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.space.cost_tables import Images


def tensorboard(trainer: Trainer) -> SummaryWriter | None:
    """Returns a trainer's TensorBoard writer; None if it has none, and on all ranks but 0."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger) and trainer.is_global_zero:
            return logger.experiment
    return None


class ArchitectureBoard(Callback):
    """Shows the shares of all candidates and the derived cells in TensorBoard, every epoch.

    The diagnostics of the alphas are logged as often as losses, beside those of validations.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows the start of a search; a resumed search has shown it before."""
        if trainer.global_step == 0:
            self._show(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any
    ) -> None:
        """Logs how decided the alphas are, and the expected costs as shares of their limits."""
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        due = every > 0 and (trainer.fit_loop.total_batch_idx + 1) % every == 0
        if due and isinstance(pl_module, ArchitectureSearch):
            pl_module.log_dict(pl_module.measure_alphas())

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._show(trainer, pl_module)

    def _show(self, trainer: Trainer, search: LightningModule) -> None:
        writer = tensorboard(trainer)
        if writer is None or not isinstance(search, ArchitectureSearch):
            return
        step = trainer.global_step
        for name, shares in search.shares().items():
            group = search.space.groups[name]
            figure = draw_shares(shares, group, f"{group.title}, step {step}")
            writer.add_figure(f"architecture/shares_{name}", figure, step)
        architecture, images = search.derive(), Images.of(getattr(trainer, "datamodule", None))
        writer.add_figure("architecture/cells", draw_architecture(architecture, images), step)
        writer.add_text("architecture/genotype", f"    {architecture.genotype()}", step)
