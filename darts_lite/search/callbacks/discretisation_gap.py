"""Measures what discretising costs: the derived net against the supernet, on validation images."""

from itertools import islice
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch.optim.swa_utils import update_bn
from torchmetrics import Metric

from darts_lite.networks.net import Net
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.base import list_cuda_devices
from darts_lite.training.task import update


def build_inherited_net(search: ArchitectureSearch, data: Any) -> Net:
    """Builds the derived net with the supernet's weights, on the device of the search.

    Four batches of ``data.alphas_dataloader()`` set the running statistics of its norms. The
    search's random generators stay untouched.

    Raises:
        ValueError: if the supernet searched on a part of the channels, which fit no net.
    """
    with torch.random.fork_rng(list_cuda_devices(search)):
        net = Net(search.derive(), search.hparams["in_channels"], search.hparams["num_classes"])
    net.inherit(search.supernet)
    dtype = next(search.supernet.parameters()).dtype
    net.to(search.device, dtype).to(memory_format=torch.channels_last)
    images = (batch[0].to(dtype) for batch in data.alphas_dataloader())
    update_bn(islice(images, 4), net)
    return net.eval()


class DiscretisationGap(Callback):
    """Logs the derived net's validation accuracy, or score, with inherited weights, and its gap.

    The tags are ``derived/validation_accuracy``, and ``derived/gap``: the supernet's accuracy less
    the derived net's. A search on a part of the channels has no such net, so it logs nothing.
    """

    def __init__(self) -> None:
        self._net: Net | None = None
        self._metric: Metric | None = None

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._net = self._metric = None
        if not isinstance(pl_module, ArchitectureSearch) or trainer.sanity_checking:
            return
        if pl_module.hparams["partial_channels"] > 1:
            return
        self._net = build_inherited_net(pl_module, trainer.datamodule)  # type: ignore[attr-defined]
        self._metric = pl_module.metric.clone().to(pl_module.device)
        self._metric.reset()

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        if self._net is not None and self._metric is not None:
            images, labels = batch
            with torch.no_grad():
                update(self._metric, self._net(images), labels)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._metric is None or not isinstance(pl_module, ArchitectureSearch):
            return
        derived, score = self._metric.compute(), pl_module.score
        gap = score.sign * (pl_module.metric.compute() - derived)
        pl_module.log(f"derived/validation_{score.word}", derived, sync_dist=True)
        pl_module.log("derived/gap", gap, sync_dist=True)
        self._net = self._metric = None
