"""The stages of a run: search, derive, retrain, test; each returns its part of the summary.

A run may search several times and take what the searches agree on, and it may retrain random
architectures beside the found one.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from darts_lite import costs, trust
from darts_lite.architecture import Architecture
from darts_lite.callbacks import tensorboard
from darts_lite.checkpoints import describe_data, read_checkpoint
from darts_lite.data import ImageData
from darts_lite.derivation import for_data
from darts_lite.encoding import one_path
from darts_lite.explore import Exploration
from darts_lite.files import written_whole
from darts_lite.memory import advising
from darts_lite.plotting import draw_architecture
from darts_lite.plotting import save as save_figure
from darts_lite.quality import Quality
from darts_lite.records import Record
from darts_lite.resuming import resume_point
from darts_lite.retraining import Retraining
from darts_lite.saving import Saving, saved_state
from darts_lite.search import ArchitectureSearch
from darts_lite.training import callback_of, train
from darts_lite.weights import TRAINING_ONLY, save_weights

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


class Attempt(NamedTuple):
    """One of several searches."""

    seed: int
    trainer: Trainer
    model: Search
    data: ImageData
    record: Record


def search_seeds(
    attempts: Iterable[Attempt], run_trainer: Trainer, directory: Path
) -> dict[str, Any]:
    """Searches several times and leaves the consensus as ``architecture.json``.

    Args:
        attempts: Made one after the other, each when the one before has ended.
        run_trainer: Whose TensorBoard shows what they agree on.
        directory: Of the run; each search writes to its own.
    """
    parts, shares, found = [], [], []
    for attempt in attempts:
        seed, trainer, model, data, record = attempt
        print(f"Search with seed {seed}", flush=True)
        record.begin({"seed": seed})
        last = resume_point(record.directory / "checkpoints" / "last.ckpt", record)
        part = search(trainer, model, data, record.directory, last)
        record.stage("search", partial(dict, part))
        record.finish()
        parts.append(record.summary)
        shares.append(_votes(model))
        found.append(model.derive())
    seeds = [part["seed"] for part in parts]
    found_by = {"algorithm": model.algorithm, "seeds": seeds}
    rule = model.derivation if isinstance(model, ArchitectureSearch) else None
    common = trust.consensus(model.space, shares, found_by, rule)
    _leave(common, run_trainer, directory)
    shared = trust.agreement(common, found)
    mean = trust.mean_agreement(shared)
    by_chance = trust.agreement_by_chance(model.space, len(found), Random(seeds[0]), rule)
    notes = {
        kind: [[f"{share * len(found):.0f}/{len(found)}" for share in node] for node in nodes]
        for kind, nodes in shared.items()
    }
    figure = draw_architecture(common, notes)
    if run_trainer.is_global_zero:
        save_figure(figure, directory / "agreement.png")
    if (writer := tensorboard(run_trainer)) is not None:
        writer.add_scalar("trust/agreement", mean)
        writer.add_scalar("trust/agreement_by_chance", by_chance)
        writer.add_figure("trust/consensus", figure)
        for seed, architecture in zip(seeds, found, strict=True):
            writer.add_text("trust/architecture_of_seed", f"    {architecture.genotype()}", seed)
    accuracies = [part["search_validation_accuracy"] for part in parts]
    return {
        "algorithm": model.algorithm,
        "search_seconds": round(sum(part["search_seconds"] for part in parts), 1),
        "search_epochs": sum(part["search_epochs"] for part in parts),
        "search_validation_accuracy": None if None in accuracies else fmean(accuracies),
        "seeds": seeds,
        "agreement": round(mean, 4),
        "agreement_by_chance": round(by_chance, 4),
        "edge_agreement": shared,
        "architecture": common.genotype(),
    }


def _votes(model: Search) -> dict[str, Tensor]:
    """Shares; or, where something else decides, the architecture alone."""
    if isinstance(model, ArchitectureSearch) and model.selected is None:
        return model.shares()
    return one_path(model.space, model.derive())


def control(
    accuracy: float,
    trainings: Iterable[tuple[Trainer, Retraining, Record]],
    data: ImageData,
    run_trainer: Trainer,
) -> dict[str, Any]:
    """Retrains other architectures, and tells how the found one ranks among them.

    Args:
        accuracy: What the found one reached on the test set.
        trainings: Made one after the other, each when the one before has ended.
        data: As for the found one.
        run_trainer: Whose TensorBoard shows them.
    """
    parts: list[dict[str, Any]] = []
    for trainer, model, record in trainings:
        retrain_and_test(trainer, model, data, record)
        record.finish()
        parts.append(record.summary)
        reached = record.summary["test_accuracy"]
        print(f"Random net {len(parts)}: {100 * reached:.2f} % test", flush=True)
    accuracies = [part["test_accuracy"] for part in parts]
    percentile = trust.percentile(accuracy, accuracies)
    low, high = trust.percentile_interval(percentile, len(parts))
    if (writer := tensorboard(run_trainer)) is not None:
        for number, value in enumerate(accuracies):
            writer.add_scalar("trust/control_test_accuracy", value, number)
        writer.add_scalar("trust/control_percentile", percentile)
    return {
        "control_percentile": round(percentile, 1),
        "control_interval": [round(low, 1), round(high, 1)],
        "control_test_accuracies": accuracies,
        "control_params": [part["params"] for part in parts],
        "control_macs": [part["macs"] for part in parts],
        "control_architectures": [part["architecture"] for part in parts],
    }


def multiply_adds(net: torch.nn.Module, image_size: int, channels: int) -> int:
    """Multiply-adds of convolutions and linear layers for one square image."""
    image = next(net.parameters()).new_zeros(1, channels, image_size, image_size)
    return int(costs.multiply_adds(net, image))


def _metric(trainer: Trainer, name: str) -> float | None:
    value = trainer.callback_metrics.get(name)
    return None if value is None else float(value)
