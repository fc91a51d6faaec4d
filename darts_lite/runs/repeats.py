"""Repeats searches with several seeds, and agrees on one architecture."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any, NamedTuple

from lightning.fabric.utilities.seed import max_seed_value
from lightning.pytorch import Trainer, seed_everything

from darts_lite.data.split_data import SplitData
from darts_lite.derivation import consensus
from darts_lite.plots.architectures import draw_architecture
from darts_lite.plots.files import save as save_figure
from darts_lite.runs.callbacks.architecture_board import tensorboard
from darts_lite.runs.reporting import describe_score
from darts_lite.runs.run_data import RunData
from darts_lite.runs.settings import RunSettings
from darts_lite.runs.stages import pass_on_signals, search, write_architecture
from darts_lite.runs.trainer_factory import TrainerFactory
from darts_lite.search.base import Search
from darts_lite.space.groups import Choices
from darts_lite.space.protocol import AnyArchitecture
from darts_lite.storage.run_folder import SEEDS, RunFolder
from darts_lite.storage.run_record import RunRecord


def check_repeats(
    run: RunSettings,
    model: Any,
    settings: Mapping[str, Any],
    test_batches: float | None,
    ckpt_path: str | Path | None,
) -> None:
    """Checks that the other settings of a run allow several searches or random architectures.

    Args:
        model: The module of the first stage.
        settings: The whole configuration.
        test_batches: The setting ``trainer.limit_test_batches``.
    """
    retraining, seed = settings["retraining"], settings["seed_everything"]
    inherits = retraining is not None and retraining["init_args"].get("inherit")
    asked = {"run.seeds": run.seeds > 1, "run.control": run.control is not None}
    for name in (name for name, wanted in asked.items() if wanted):
        if not isinstance(model, Search):
            raise ValueError(f"{name} needs a search; a retraining alone has no space to draw from")
        if inherits:
            raise ValueError(
                f"{name} retrains architectures that no supernet's weights belong to; set "
                "retraining.inherit to false"
            )
    if run.seeds > 1 and (isinstance(seed, bool) or seed is None):
        raise ValueError("run.seeds needs a number to start from; set seed_everything to one")
    parts = max(run.seeds - 1, run.control_nets if run.control is not None else 0)
    if not isinstance(seed, bool) and seed is not None and seed + parts > max_seed_value:
        raise ValueError(
            f"seed_everything is {seed}, and run.seeds and run.control need {parts} seeds above "
            f"it, of which {max_seed_value} is the largest; set seed_everything to at most "
            f"{max_seed_value - parts}"
        )
    if run.seeds > 1 and ckpt_path is not None:
        raise ValueError("ckpt_path continues one search; set run.seeds to 1")
    if run.control is not None:
        if retraining is None or test_batches == 0:
            raise ValueError(
                "run.control compares test accuracies of retrained nets; retraining must not be "
                "null, nor trainer.limit_test_batches 0"
            )
        if run.control == "uniform" and not any(model.space.scale_families(lambda _: True)):
            raise ValueError(
                f"run.control uniform: the space {model.space.name} has no families made by hand, "
                "as darts_lite.LayerSpace has; take random or best_of"
            )
        others = math.prod(model.space.sizes) - 1
        if run.control != "best_of" and others < run.control_nets:
            raise ValueError(
                f"run.control_nets is {run.control_nets}, but beside the found architecture the "
                f"space has only {others}; set it to at most that"
            )


class SeededSearch(NamedTuple):
    """One of several searches, with all that it needs."""

    seed: int
    trainer: Trainer
    model: Search
    data: SplitData
    record: RunRecord


def seed_part(first: int | bool, number: int) -> None:
    """Seeds the random generators for a part of a run, unless the run's seed `first` is False."""
    if first is not False:
        seed_everything(int(first) + number, workers=True, verbose=False)


def make_searches(
    trainers: TrainerFactory,
    build: Callable[[], Any],
    first: int,
    count: int,
    known: RunData,
) -> Iterator[SeededSearch]:
    """Yields a search for each seed.

    Args:
        build: Makes model and data anew from the configuration.
        known: The run's data.

    Raises:
        ValueError: if the data have changed since the run began.
    """
    for seed in range(first, first + count):
        seed_part(first, seed - first)
        made = build()
        logger = trainers.make_part_logger(SEEDS, str(seed))
        trainer = trainers.make(made.model, logger)
        made.data.setup("fit")
        known.check(made.data)
        record = RunRecord(RunFolder(Path(logger.log_dir)), trainer.is_global_zero)
        yield SeededSearch(seed, trainer, made.model, made.data, record)


def search_once(one: SeededSearch) -> AnyArchitecture:
    """Runs one of several searches, unless it is finished; returns what it found."""
    if not one.record.summary.get("finished"):
        print(f"Search with seed {one.seed}", flush=True)
    one.record.begin({"seed": one.seed, **describe_score(one.model)})
    found, results = search(one.trainer, one.model, one.data, one.record)
    one.record.stage("search", partial(dict, results))
    one.record.finish()
    pass_on_signals(one.trainer)
    return found


def search_seeds(
    searches: Iterable[SeededSearch], run_trainer: Trainer, folder: RunFolder
) -> tuple[AnyArchitecture, dict[str, Any]]:
    """Searches several times and writes the consensus as ``architecture.json``.

    Args:
        searches: Each search is made when the one before has ended.
        run_trainer: Its TensorBoard shows the agreement.
        folder: Folder of the run; each search writes to its own.

    Returns:
        The consensus, in which the better search by validation decides ties, and this stage's part
        of the summary.
    """
    parts, shares, found = [], [], []
    for one in searches:
        found.append(search_once(one))
        parts.append(one.record.summary)
        shares.append(one.model.votes())
    model, data = one.model, one.data
    seeds = [part["seed"] for part in parts]
    found_by = {"algorithm": model.algorithm, "seeds": seeds}
    rule, validated = model.derivation, f"search_validation_{model.score.word}"
    figures = [part[validated] for part in parts]
    best_first = sorted(
        range(len(parts)),
        key=lambda place: 0.0 if None in figures else -model.score.sign * figures[place],
    )
    ordered = [shares[place] for place in best_first], [found[place] for place in best_first]
    common = consensus.consensus(model.space, *ordered, found_by, rule)
    write_architecture(common, run_trainer, folder, data)
    shared = consensus.agreement(model.space, common, found)
    mean = consensus.mean_agreement(shared)
    by_chance = consensus.agreement_by_chance(model.space, len(found), Random(seeds[0]), rule)
    notes = {  # the number of searches that agree on each edge
        name: [[f"{share * len(found):.0f}/{len(found)}" for share in node] for node in nodes]
        for name, nodes in consensus.compare_rows(_edges(common), [*map(_edges, found)]).items()
    }
    figure = draw_architecture(common, notes=notes)
    if run_trainer.is_global_zero:
        save_figure(figure, folder.agreement)
    if (writer := tensorboard(run_trainer)) is not None:
        writer.add_scalar("trust/agreement", mean)
        if by_chance is not None:
            writer.add_scalar("trust/agreement_by_chance", by_chance)
        writer.add_figure("trust/consensus", figure)
        for seed, architecture in zip(seeds, found, strict=True):
            writer.add_text("trust/architecture_of_seed", f"    {architecture.genotype()}", seed)
        writer.flush()  # the end of the stage notes what is written
    return common, {
        "algorithm": model.algorithm,
        "search_seconds": round(sum(part["search_seconds"] for part in parts), 1),
        "search_epochs": sum(part["search_epochs"] for part in parts),
        validated: None if None in figures else fmean(figures),
        "seeds": seeds,
        "agreement": round(mean, 4),
        "agreement_by_chance": None if by_chance is None else round(by_chance, 4),
        "edge_agreement": shared,
        "architecture": common.genotype(),
    }


def _edges(architecture: AnyArchitecture) -> Choices:
    return {name: diagram.edges for name, diagram in architecture.diagrams.items()}
