"""Stages of a run: search and derive, retrain, test; each returns its part of the summary."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningModule, Trainer

from darts_lite.data.class_balance import name_classes
from darts_lite.data.split_data import SplitData
from darts_lite.derivation import costs
from darts_lite.networks.net import save_weights
from darts_lite.plots.architectures import draw_architecture
from darts_lite.plots.files import save as save_figure
from darts_lite.plots.labels import tell_score
from darts_lite.retraining.retraining import Retraining
from darts_lite.runs.callbacks.failure_point import FailurePoint
from darts_lite.runs.callbacks.test_report import TestReport
from darts_lite.runs.memory_advice import advise_on_memory
from darts_lite.runs.resume import drop_after, find_resume_point, read_newest_checkpoint
from darts_lite.search.base import Search
from darts_lite.space.cost_tables import Images
from darts_lite.space.protocol import AnyArchitecture
from darts_lite.storage.atomic_files import write_whole
from darts_lite.storage.checkpoints import LOADING_ERRORS, Checkpoint, describe_data, explain_misfit
from darts_lite.storage.run_folder import RunFolder
from darts_lite.storage.run_record import RunRecord
from darts_lite.training.callbacks import find_callback
from darts_lite.training.checkpointing import StageCheckpoint, read_saved_state
from darts_lite.training.class_loss import ClassLoss
from darts_lite.training.memory import is_about_memory
from darts_lite.training.nonfinite import NonFiniteGuard, NotFinite


def search(
    trainer: Trainer,
    model: Search,
    data: SplitData,
    record: RunRecord,
    begin_at: Path | None = None,
) -> tuple[AnyArchitecture, dict[str, Any]]:
    """Searches and writes ``checkpoints/last.ckpt``, ``architecture.json`` and its drawing.

    An interrupted search resumes from its newest checkpoint; a finished one only derives.

    Args:
        record: Its folder takes the files.
        begin_at: Checkpoint of another run to continue from, or None.

    Returns:
        The architecture, and this stage's part of the summary.
    """
    folder = record.folder
    found = Checkpoint.read(begin_at) if begin_at else find_resume_point("search", record)
    if found is not None and (results := read_saved_state(found.content).get("results")):
        if begin_at is not None:
            print(
                f"Warning: the search of {begin_at} has ended; what it found is taken, and settings"
                " of the search, its seed and its length change nothing"
            )
        return _derive_again(found, trainer, model, data, folder), dict(results)
    start = _path_of(found)
    del found  # frees its tensors before training
    seconds, metrics, rollbacks = train(trainer, model, data, start)
    check_chosen(trainer, model, folder)
    architecture, word = model.derive(), model.score.word
    write_architecture(architecture, trainer, folder, data)
    results = {
        "algorithm": model.algorithm,
        "search_seconds": round(seconds, 1),
        "search_epochs": trainer.current_epoch,
        "search_rollbacks": rollbacks,
        f"search_validation_{word}": metrics.get(f"search/validation_{word}"),
        **model.results(),
        "architecture": architecture.genotype(),
    }
    if not architecture.sees:
        print(
            "Warning: `none` has cut all paths through a cell of this architecture, so its net "
            "sees nothing of its input; search longer, or with another algorithm."
        )
    for doubt in model.doubts():
        print(doubt)
    if (saving := find_callback(trainer, StageCheckpoint)) is not None:
        saving.end(trainer, results)
    else:
        trainer.save_checkpoint(folder.checkpoint("search"))
    return architecture, results


def _derive_again(
    found: Checkpoint, trainer: Trainer, model: Search, data: SplitData, folder: RunFolder
) -> AnyArchitecture:
    """Derives the architecture of a search that has ended, and keeps its checkpoint."""
    found.restore(model)
    model.know_images(data)  # otherwise done by fit, which does not run
    architecture, last = model.derive(), folder.checkpoint("search")
    write_architecture(architecture, trainer, folder, data)
    if trainer.is_global_zero and not last.exists():
        with write_whole(last) as file:
            file.write(found.path.read_bytes())
    trainer.strategy.barrier()
    return architecture


def pass_on_signals(trainer: Trainer) -> None:
    """Ends the run if a signal came after the last step of a stage, whose results are kept now."""
    if (saving := find_callback(trainer, StageCheckpoint)) is not None:
        saving.pass_on()


def check_chosen(trainer: Trainer, model: Search, folder: RunFolder) -> None:
    """Raises a ValueError for a search that ended too early to choose; what it trained is kept."""
    if model.has_chosen:
        return
    kept = ""
    if (saving := find_callback(trainer, StageCheckpoint)) is not None:
        saving.save(trainer)
        kept = f"; what was trained is kept: {folder.checkpoint('search')}"
    raise ValueError(
        f"the search ended after {trainer.global_step} steps of weights and before anything told "
        "architectures apart, so a random one would be retrained; for a new run raise "
        f"run.max_minutes or the trainer's limits, or lower the warm-up{kept}"
    )


def _path_of(checkpoint: Checkpoint | None) -> Path | None:
    return None if checkpoint is None else checkpoint.path


def write_architecture(
    architecture: AnyArchitecture, trainer: Trainer, folder: RunFolder, data: Any
) -> None:
    """Writes an architecture and its drawing on the first rank; the other ranks wait."""
    if trainer.is_global_zero:
        architecture.save(folder.architecture)
        figure = draw_architecture(architecture, Images.of(data), [folder.title])
        save_figure(figure, folder.drawing)
    trainer.strategy.barrier()


def retrain(
    trainer: Trainer,
    model: Retraining,
    data: SplitData,
    folder: RunFolder,
    resume_from: Path | None = None,
) -> dict[str, Any]:
    """Trains the net and saves it as ``net.ckpt``, and its weights as ``net.safetensors``."""
    write_architecture(model.architecture, trainer, folder, data)
    seconds, metrics, rollbacks = train(trainer, model, data, resume_from)
    word = model.score.word
    images = Images(model.hparams["in_channels"], data.num_classes, data.image_size)
    results: dict[str, Any] = {
        "retrain_seconds": round(seconds, 1),
        "retrain_epochs": trainer.current_epoch,
        "retrain_rollbacks": rollbacks,
        f"validation_{word}": metrics.get(f"retraining/validation_{word}"),
        "params": model.net.count_parameters(),
        "macs": multiply_adds(model, images.shape(model.architecture.axes)),
        **model.architecture.count_bytes(images),
        "architecture": model.architecture.genotype(),
    }
    weights = model.loss.weights if isinstance(model.loss, ClassLoss) else None
    if weights is not None:
        names = name_classes(data.class_names, data.num_classes)
        shares = [round(weight, 4) for weight in weights.tolist()]
        results["class_weights"] = dict(zip(names, shares, strict=True))
    trainer.save_checkpoint(folder.net, weights_only=True)
    if trainer.is_global_zero:
        facts = {"test_shifts": model.recipe.test_shifts, **describe_data(model)}
        save_weights(model.net, folder.weights, facts)
    return results


def test(trainer: Trainer, model: Retraining, data: SplitData, folder: RunFolder) -> dict[str, Any]:
    """Evaluates ``net.ckpt`` once on the test set, and draws the architecture with its accuracy."""
    with advise_on_memory(trainer, model, data):
        trainer.test(model, datamodule=data, ckpt_path=folder.net, verbose=False, weights_only=True)
    report = find_callback(trainer, TestReport)
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    score = model.score
    if report is not None and report.results and trainer.is_global_zero:
        if model.task is None:
            save_figure(report.draw(), folder.worst)
        captions = [folder.title, tell_score(score, metrics[f"test/{score.word}"])]
        figure = draw_architecture(model.architecture, Images.of(data), captions)
        save_figure(figure, folder.drawing)
    return {
        "test_images": 0,  # unless any were tested
        "test_images_in_all": data.split_sizes["test"],
        score.of_test: metrics.get(f"test/{score.word}"),
        "test_loss": metrics.get("test/loss"),
        **({} if report is None else report.results),
    }


def retrain_and_test(
    trainer: Trainer,
    model: Retraining,
    data: SplitData,
    record: RunRecord,
    begin_at: Path | None = None,
) -> None:
    """Runs the stages ``retraining`` and ``test``, as far as they are not finished.

    A training begins at a checkpoint of another run if one is given.
    """
    folder = record.folder

    def training() -> dict[str, Any]:
        last = begin_at or _path_of(find_resume_point("retraining", record))
        return retrain(trainer, model, data, folder, last)

    record.begin({})
    record.stage("retraining", training, leaves=(folder.net,))
    pass_on_signals(trainer)
    record.stage("test", lambda: test(trainer, model, data, folder))


def multiply_adds(net: torch.nn.Module, shape: tuple[int, ...]) -> int:
    """Counts the multiply-adds of convolutions and linear layers for one input ``(C, H, W)``."""
    image = next(net.parameters()).new_zeros(1, *shape)
    return int(costs.multiply_adds(net, image))


class TrainingOutcome(NamedTuple):
    """Outcome of a training, counted over all interruptions."""

    seconds: float
    metrics: Mapping[str, float]
    """Last logged values, by name."""
    rollbacks: int
    """Number of times that the training went back with lower learning rates."""


def train(
    trainer: Trainer, model: LightningModule, data: SplitData, resume_from: Path | None
) -> TrainingOutcome:
    """Trains, and rolls back on NaN or infinity if the trainer's callbacks allow it.

    Signals wait then until the caller has written the results; see `pass_on_signals`.

    Raises:
        NotFinite: if rollbacks are not allowed, or all are used.
        ValueError: if there is too little memory, or the checkpoint does not fit.
    """
    start = time.monotonic()
    with advise_on_memory(trainer, model, data):
        while True:
            try:
                trainer.fit(model, datamodule=data, ckpt_path=resume_from, weights_only=True)
                break
            except NotFinite as error:
                resume_from = _roll_back(trainer, error)
            except LOADING_ERRORS as error:
                began = FailurePoint.of(trainer).has_trained
                if resume_from is None or began or is_about_memory(error):
                    raise
                raise ValueError(explain_misfit(resume_from, error)) from error
    finite, saving = find_callback(trainer, NonFiniteGuard), find_callback(trainer, StageCheckpoint)
    rollbacks = 0 if finite is None else finite.lowered
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    if saving is None:
        return TrainingOutcome(time.monotonic() - start, metrics, rollbacks)
    saving.hold()
    return TrainingOutcome(saving.seconds, saving.metrics | metrics, rollbacks)


def _roll_back(trainer: Trainer, error: NotFinite) -> Path:
    """Returns the last good checkpoint, and halves the learning rates from there on."""
    finite, saving = find_callback(trainer, NonFiniteGuard), find_callback(trainer, StageCheckpoint)
    if finite is None or saving is None or finite.lowered >= finite.rollbacks:
        used = 0 if finite is None else finite.lowered
        raise NotFinite(error.what, error.checkpoint, used) from error
    if (found := read_newest_checkpoint(saving.path)) is None:
        raise error
    finite.lowered += 1
    if trainer.is_global_zero:
        drop_after(found)
    trainer.strategy.barrier()
    print(
        f"Warning: {error.what}; back to {found.path}, with half the learning rates "
        f"({finite.lowered} of at most {finite.rollbacks} times)",
        flush=True,
    )
    return found.path
