"""The stages of a run: search, derive, retrain, test; each returns its part of the summary.

A run may search several times and take what the searches agree on, and it may retrain random
architectures beside the found one.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from darts_lite.data.image_data import ImageData
from darts_lite.derivation import costs
from darts_lite.derivation.budget import for_data
from darts_lite.export.weight_files import TRAINING_ONLY, save_weights
from darts_lite.plots.cells import draw_architecture
from darts_lite.plots.cells import save as save_figure
from darts_lite.retraining.retraining import Retraining
from darts_lite.runs.callbacks.test_report import Quality
from darts_lite.runs.memory_advice import advising
from darts_lite.runs.resume import drop_after, newest_checkpoint, resume_point
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.exploration.exploration import Exploration
from darts_lite.space.architecture import Architecture
from darts_lite.storage.atomic_files import written_whole
from darts_lite.storage.checkpoints import describe_data, read_checkpoint
from darts_lite.storage.run_record import Record
from darts_lite.training.checkpointing import Saving, saved_state
from darts_lite.training.nonfinite import FiniteNumbers, NotFinite

Wanted = TypeVar("Wanted", bound=Callback)

Search = ArchitectureSearch | Exploration
SMALLEST_DRIFT = 0.05
"""Below this the shares have hardly left their random start, and the architecture is luck."""


def search(
    trainer: Trainer,
    model: Search,
    data: ImageData,
    directory: Path,
    resume_from: str | Path | None = None,
) -> dict[str, Any]:
    """Searches and leaves ``checkpoints/last.ckpt``, ``architecture.json`` and its drawing.

    Args:
        trainer, model, data: Of the search.
        directory: Where the files go.
        resume_from: A checkpoint of this search; where that is of its end, nothing is done again.
    """
    if resume_from is not None:
        content = read_checkpoint(resume_from)
        if results := saved_state(content).get("results"):
            model.load_state_dict(content["state_dict"])
            model.on_load_checkpoint(content)
            if isinstance(model, ArchitectureSearch):  # it does not see the data in a fit any more
                model.derivation = for_data(model.derivation, image_size=data.image_size)
            _leave(model.derive(), trainer, directory)
            last = directory / "checkpoints" / "last.ckpt"
            if trainer.is_global_zero and not last.exists():  # it may be another run's
                with written_whole(last) as file:
                    file.write(Path(resume_from).read_bytes())
            trainer.strategy.barrier()
            return dict(results)
    seconds, metrics, rollbacks = train(trainer, model, data, resume_from)
    architecture = model.derive()
    _leave(architecture, trainer, directory)
    results = {
        "algorithm": model.algorithm,
        "search_seconds": round(seconds, 1),
        "search_epochs": trainer.current_epoch,
        "search_rollbacks": rollbacks,
        "search_validation_accuracy": metrics.get("search/validation_accuracy"),
        **model.results(),
        "architecture": architecture.genotype(),
    }
    _warn(trainer, model, architecture, results)
    if (saving := callback_of(trainer, Saving)) is not None:
        saving.end(trainer, results)
    else:
        trainer.save_checkpoint(directory / "checkpoints" / "last.ckpt")
    return results


def _leave(architecture: Architecture, trainer: Trainer, directory: Path) -> None:
    """Writes an architecture and its drawing, which others wait for."""
    if trainer.is_global_zero:
        architecture.save(directory / "architecture.json")
        save_figure(draw_architecture(architecture), directory / "architecture.png")
    trainer.strategy.barrier()


def _warn(
    trainer: Trainer, model: Search, architecture: Architecture, results: Mapping[str, Any]
) -> None:
    """Says what speaks against an architecture."""
    if not architecture.sees:
        print(
            "Warning: `none` has cut all paths through a cell of this architecture, so its net "
            "sees nothing of the images; search longer, or with another algorithm."
        )
    planned = int(trainer.estimated_stepping_batches)
    if isinstance(model, ArchitectureSearch) and trainer.global_step < planned:
        print(f"The search was ended after {trainer.global_step} of {planned} steps.")
    if results.get("drift", 1.0) < SMALLEST_DRIFT:
        print(
            f"Warning: after {results['architecture_steps']} architecture steps the shares have "
            f"moved by only {results['drift']:.3f}: this architecture is close to a random one. "
            "Search longer, or raise the alphas' learning rate."
        )
    if isinstance(model, Exploration) and len(model.known) < model.evaluations:
        print(
            f"Warning: {len(model.known)} of {model.evaluations} evaluations were made; raise "
            "trainer.max_epochs for the rest."
        )


def retrain(
    trainer: Trainer,
    model: Retraining,
    data: ImageData,
    directory: Path,
    resume_from: str | Path | None = None,
) -> dict[str, Any]:
    """Trains the net and saves it as ``net.ckpt`` and, its weights alone, ``net.safetensors``."""
    _leave(model.architecture, trainer, directory)
    seconds, metrics, rollbacks = train(trainer, model, data, resume_from)
    results = {
        "retrain_seconds": round(seconds, 1),
        "retrain_epochs": trainer.current_epoch,
        "retrain_rollbacks": rollbacks,
        "validation_accuracy": metrics.get("retraining/validation_accuracy"),
        "params": sum(
            weights.numel()
            for name, weights in model.net.named_parameters()
            if not name.startswith(TRAINING_ONLY)
        ),
        "macs": multiply_adds(model, data.image_size, model.hparams["in_channels"]),
        "architecture": model.architecture.genotype(),
    }
    trainer.save_checkpoint(directory / "net.ckpt", weights_only=True)
    if trainer.is_global_zero:
        save_weights(model.net, directory / "net.safetensors", _about(model))
    return results


def _about(model: Retraining) -> dict[str, Any]:
    """What a net expects of the images it is shown."""
    names = ("in_channels", "num_classes", "test_shifts")
    return {**{name: model.hparams[name] for name in names}, **describe_data(model)}


def test(trainer: Trainer, model: Retraining, data: ImageData, directory: Path) -> dict[str, Any]:
    """Reads the test set once, with what lies in ``net.ckpt``."""
    path = directory / "net.ckpt"
    with advising(trainer, model, data):
        trainer.test(model, datamodule=data, ckpt_path=path, verbose=False, weights_only=True)
    quality = callback_of(trainer, Quality)
    if quality is not None and quality.answers and trainer.is_global_zero:
        save_figure(quality.drawn(), directory / "worst.png")
    return {
        "test_accuracy": _metric(trainer, "test/accuracy"),
        "test_loss": _metric(trainer, "test/loss"),
        **({} if quality is None else quality.results),
    }


def retrain_and_test(
    trainer: Trainer,
    model: Retraining,
    data: ImageData,
    record: Record,
    begin_at: str | None = None,
) -> None:
    """Both stages, or what is left of them.

    Args:
        trainer, model, data: Of the training.
        record: Of the run.
        begin_at: A checkpoint of another run to begin with.
    """
    directory = record.directory

    def training() -> dict[str, Any]:
        last = resume_point(directory / "checkpoints" / "retraining-last.ckpt", record)
        return retrain(trainer, model, data, directory, begin_at or last)

    record.begin({})
    record.stage("retraining", training, leaves=directory / "net.ckpt")
    record.stage("test", lambda: test(trainer, model, data, directory))


def multiply_adds(net: torch.nn.Module, image_size: int, channels: int) -> int:
    """Multiply-adds of convolutions and linear layers for one square image."""
    image = next(net.parameters()).new_zeros(1, channels, image_size, image_size)
    return int(costs.multiply_adds(net, image))


def _metric(trainer: Trainer, name: str) -> float | None:
    value = trainer.callback_metrics.get(name)
    return None if value is None else float(value)


class Trained(NamedTuple):
    """How a training went, over all its interruptions."""

    seconds: float
    metrics: Mapping[str, float]
    """Those logged last, by name."""
    rollbacks: int
    """How often it went back with lower learning rates."""


def train(
    trainer: Trainer, model: LightningModule, data: ImageData, resume_from: str | Path | None
) -> Trained:
    """Trains, and goes back where numbers cease to be numbers and the trainer has ways to.

    Args:
        trainer, model, data: Of the training.
        resume_from: A checkpoint of it, or None for its beginning.

    Raises:
        NotFinite: if going back is not wanted, or was done often enough.
        ValueError: if there is too little memory.
    """
    start = time.monotonic()
    with advising(trainer, model, data):
        while True:
            try:
                trainer.fit(model, datamodule=data, ckpt_path=resume_from, weights_only=True)
                break
            except NotFinite as error:
                resume_from = _go_back(trainer, error)
    finite, saving = callback_of(trainer, FiniteNumbers), callback_of(trainer, Saving)
    rollbacks = 0 if finite is None else finite.lowered
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    if saving is None:
        return Trained(time.monotonic() - start, metrics, rollbacks)
    return Trained(saving.seconds, saving.metrics | metrics, rollbacks)


def callback_of(trainer: Trainer, kind: type[Wanted]) -> Wanted | None:
    """The callback of this kind, where a trainer has one."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return next((one for one in callbacks if isinstance(one, kind)), None)


def _go_back(trainer: Trainer, error: NotFinite) -> Path:
    """The last good checkpoint, from which a training that went wrong is to go on more slowly.

    Raises:
        NotFinite: if that is not wanted, or was done often enough.
    """
    finite, saving = callback_of(trainer, FiniteNumbers), callback_of(trainer, Saving)
    if finite is None or saving is None or finite.lowered >= finite.rollbacks:
        used = 0 if finite is None else finite.lowered
        raise NotFinite(error.what, error.checkpoint, used) from error
    if (found := newest_checkpoint(saving.path)) is None:
        raise error
    finite.lowered += 1
    if trainer.is_global_zero:
        drop_after(found)
    trainer.strategy.barrier()
    print(
        f"Warning: {error.what}; back to {found}, with half the learning rates "
        f"({finite.lowered} of at most {finite.rollbacks} times)",
        flush=True,
    )
    return found
