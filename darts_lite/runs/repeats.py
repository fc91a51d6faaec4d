"""Several searches and random nets beside the found one: what a result is worth."""

import math
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any, NamedTuple

from lightning.pytorch import Trainer
from torch import Tensor

from darts_lite.data.image_data import ImageData
from darts_lite.derivation import consensus
from darts_lite.plots.cells import draw_architecture
from darts_lite.plots.cells import save as save_figure
from darts_lite.retraining.retraining import Retraining
from darts_lite.runs.callbacks.architecture_board import tensorboard
from darts_lite.runs.resume import resume_point
from darts_lite.runs.settings import RunSettings
from darts_lite.runs.stages import (
    Search,
    _leave,
    retrain_and_test,
    search,
)
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.exploration.exploration import Exploration
from darts_lite.space.encoding import Encoding, one_path
from darts_lite.storage.run_record import Record


def check_trust(
    run: RunSettings,
    model: Any,
    settings: Mapping[str, Any],
    test_batches: float | None,
    ckpt_path: str | None,
) -> None:
    """Checks that several searches and random architectures go with the rest of a run.

    Args:
        run: What is asked for.
        model: Whose run it is.
        settings: The whole configuration.
        test_batches: Limit of the test's batches.
        ckpt_path: Where the run begins.

    Raises:
        ValueError: if they do not.
    """
    retraining, seed = settings["retraining"], settings["seed_everything"]
    searches = isinstance(model, ArchitectureSearch | Exploration)
    inherits = retraining is not None and retraining["init_args"].get("inherit")
    asked = {"run.seeds": run.seeds > 1, "run.control": run.control is not None}
    for name in (name for name, wanted in asked.items() if wanted):
        if not searches:
            raise ValueError(f"{name} needs a search; a retraining alone has no space to draw from")
        if inherits:
            raise ValueError(
                f"{name} retrains architectures that no supernet's weights belong to; set "
                "retraining.inherit to false"
            )
    if run.seeds > 1 and (isinstance(seed, bool) or seed is None):
        raise ValueError("run.seeds needs a number to start from; set seed_everything to one")
    if run.seeds > 1 and ckpt_path is not None:
        raise ValueError("ckpt_path goes on with one search; set run.seeds to 1")
    if run.control is not None:
        if retraining is None or test_batches == 0:
            raise ValueError(
                "run.control compares test accuracies of retrained nets; retraining must not be "
                "null, nor trainer.limit_test_batches 0"
            )
        if (others := math.prod(Encoding(model.space).sizes) - 1) < run.control_nets:
            raise ValueError(
                f"run.control_nets is {run.control_nets}, but beside the found architecture the "
                f"space has only {others}"
            )


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
    common = consensus.consensus(model.space, shares, found_by, rule)
    _leave(common, run_trainer, directory)
    shared = consensus.agreement(common, found)
    mean = consensus.mean_agreement(shared)
    by_chance = consensus.agreement_by_chance(model.space, len(found), Random(seeds[0]), rule)
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
    percentile = consensus.percentile(accuracy, accuracies)
    low, high = consensus.percentile_interval(percentile, len(parts))
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
