"""Trains rivals beside what a search has found: random nets, and nets made by hand."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_warn

from darts_lite.data.split_data import SplitData
from darts_lite.derivation import consensus
from darts_lite.derivation.consensus import draw_architectures, draw_fitted, pick_different
from darts_lite.networks.kinds import build_architecture
from darts_lite.retraining.retraining import Retraining
from darts_lite.runs.callbacks.architecture_board import tensorboard
from darts_lite.runs.parts import Part
from darts_lite.runs.repeats import seed_part
from darts_lite.runs.reporting import describe_score, name_data
from darts_lite.runs.settings import RunSettings
from darts_lite.runs.stages import retrain_and_test
from darts_lite.runs.trainer_factory import TrainerFactory
from darts_lite.search.base import Search
from darts_lite.search.playoff.proposals import pick_by_hand
from darts_lite.space.protocol import AnyArchitecture
from darts_lite.space.walks import WALKS, iterate_within
from darts_lite.storage.atomic_files import write_text
from darts_lite.storage.paths import read_content
from darts_lite.storage.run_folder import CONTROLS, RunFolder
from darts_lite.storage.run_record import RunRecord, Score

RIVAL = "rival.json"
"""File in the folder of a rival's part: what is trained there."""
MakeRetraining = Callable[[str | Path | AnyArchitecture, int, int], Retraining]
"""Maps an architecture, the channels of the images and the number of classes to a retraining."""


class Rival(NamedTuple):
    """A net that is trained for comparison, with its number and what it is called."""

    number: int
    name: str
    architecture: AnyArchitecture

    def part(self, run: RunFolder) -> Part:
        """Returns the part of a run that trains it."""
        return Part(run, CONTROLS, str(self.number))

    def write(self, folder: RunFolder) -> None:
        """Writes it into the folder of its part."""
        folder.path.mkdir(parents=True, exist_ok=True)
        content = {"name": self.name, "architecture": self.architecture.to_dict()}
        write_text(folder.path / RIVAL, json.dumps(content, indent=1) + "\n")

    @classmethod
    def read(cls, folder: RunFolder, number: int) -> "Rival":
        """Reads what `write` wrote."""
        content = json.loads(read_content(folder.path / RIVAL))
        return cls(number, content["name"], build_architecture(content["architecture"]))


def list_rivals(
    run: RunSettings,
    model: Search,
    found: AnyArchitecture,
    data: SplitData,
    seed: int | bool,
    summary: Mapping[str, Any],
) -> list[Rival]:
    """Returns the rivals that a run asks for; `found` and the limits are those of its search.

    ``best_of`` has as many random ones as could have been trained in the time of the search and of
    the training of what it found.
    """
    count = run.control_nets
    if run.control == "best_of":
        count = count_affordable(summary["search_seconds"], summary["retrain_seconds"])
    if run.control == "uniform":
        rivals = make_by_hand(model, found, data, count)
    else:
        drawn = draw_rivals(model, found, data, count, seed)
        rivals = [Rival(place, f"Random net {place + 1}", each) for place, each in enumerate(drawn)]
    if len(rivals) < count:
        rank_zero_warn(
            f"only {len(rivals)} of {count} rivals are trained: no more different nets were met "
            "within the limits"
        )
    return rivals


def count_affordable(search_seconds: float, training_seconds: float) -> int:
    """Returns how many nets can be trained in the time of a search and of one training."""
    return 1 + round(search_seconds / max(0.1, training_seconds))


def make_by_hand(model: Search, found: AnyArchitecture, data: SplitData, count: int) -> list[Rival]:
    """Returns nets of families made by hand, as wide as the search's limits allow."""
    space = model.space
    rule = model.derivation.with_data(data.in_channels, data.num_classes, data.image_size)
    made = [(one, space.build(one.choices)) for one in pick_by_hand(space, rule, count + 1)]
    others = [(one, each) for one, each in made if each.genotype() != found.genotype()]
    rivals = [
        Rival(place, f"By hand, {one.family} ({one.idea})", each)
        for place, (one, each) in enumerate(others[:count])
    ]
    if not rivals:
        raise ValueError(
            "no other net made by hand is within the limits of the search's derivation; leave out "
            "run.control, or raise the limits"
        )
    return rivals


def draw_rivals(
    model: Search, found: AnyArchitecture, data: SplitData, count: int, seed: int | bool
) -> list[AnyArchitecture]:
    """Draws random architectures that the search could have found.

    They use at least 90 % of each limit, if the space has such architectures; else they are as wide
    as the limits allow. Where a cost has a lower limit as well, that takes the place of the 90 %.

    Args:
        model: The rivals keep to the limits of its derivation.
        found: The architecture that the search found, which is not drawn.
        data: Gives the sizes of the images to a derivation with a budget.
    """
    rule = model.derivation.with_data(data.in_channels, data.num_classes, data.image_size)
    random = Random(int(seed or 0))
    excess = partial(rule.excess, model.space)
    drawn = draw_architectures(model.space, count, random, found, lambda each: excess(each) == 0)
    if len(drawn) < count:
        walks = islice(iterate_within(model.space, excess, random), WALKS * count)
        drawn += pick_different(walks, count - len(drawn), (found, *drawn))
    drawn += draw_fitted(model.space, rule, count - len(drawn), random, (found, *drawn))
    if not drawn:
        raise ValueError(
            "no other architecture is within the limits of the search's derivation; leave out "
            "run.control, or raise the limits"
        )
    return drawn


class Training(NamedTuple):
    """The training of a rival, with all that it needs."""

    name: str
    trainer: Trainer
    net: Retraining
    record: RunRecord


def make_trainings(
    trainers: TrainerFactory,
    make: MakeRetraining,
    rivals: Iterable[Rival],
    data: SplitData,
    first: int | bool,
) -> Iterator[Training]:
    """Yields the training of each rival, with its own seed.

    The run's seed is `first`, or there is none if that is False.
    """
    for rival in rivals:
        seed_part(first, 1 + rival.number)
        logger = trainers.make_part_logger(CONTROLS, str(rival.number))
        net = make(rival.architecture, data.in_channels, data.num_classes)
        trainer = trainers.make_for_net(net, logger)
        record = RunRecord(RunFolder(Path(logger.log_dir)), trainer.is_global_zero)
        yield Training(rival.name, trainer, net, record)


def train_rival(one: Training, data: SplitData) -> None:
    """Trains and tests a rival, unless that is finished."""
    one.record.begin({"dataset": name_data(data), **describe_score(one.net)})
    retrain_and_test(one.trainer, one.net, data, one.record)
    one.record.finish()


def rank_among_rivals(
    control: str,
    score: Score,
    reached: float,
    trainings: Iterable[Training],
    data: SplitData,
    run_trainer: Trainer,
) -> dict[str, Any]:
    """Retrains other architectures, and ranks the found one among them.

    Args:
        control: Which rivals they are.
        score: What nets are ranked by.
        reached: That of the found architecture in the test.
        trainings: Each training is made when the one before has ended.
        run_trainer: Its TensorBoard shows the figures.

    Returns:
        The part of the summary about the comparison.
    """
    test = score.of_test
    names: list[str] = []
    parts: list[dict[str, Any]] = []
    for one in trainings:
        train_rival(one, data)
        names.append(one.name)
        parts.append(one.record.summary)
        print(f"{one.name}: {score.tell(parts[-1][test])} test", flush=True)
    figures, sign = [part[test] for part in parts], score.sign
    percentile = consensus.percentile(sign * reached, [sign * figure for figure in figures])
    low, high = consensus.percentile_interval(percentile, len(parts))
    validated = [part[f"validation_{score.word}"] for part in parts]
    ranked = [
        (sign * value, figure)
        for value, figure in zip(validated, figures, strict=True)
        if value is not None
    ]
    best = max(ranked, key=lambda one: one[0])[1] if ranked else None  # None: none was validated
    if (writer := tensorboard(run_trainer)) is not None:
        for number, value in enumerate(figures):
            writer.add_scalar(f"trust/control_{test}", value, number)
        writer.add_scalar("trust/control_percentile", percentile)
        for end, bound in (("low", low), ("high", high)):
            writer.add_scalar(f"trust/control_percentile_{end}", bound)
        if best is not None:
            writer.add_scalar(f"trust/control_best_{test}", best)
    return {
        "control": control,
        "control_names": names,
        f"control_best_{test}": best,
        "control_percentile": round(percentile, 1),
        "control_interval": [round(low, 1), round(high, 1)],
        score.of_rivals: figures,
        "control_params": [part["params"] for part in parts],
        "control_macs": [part["macs"] for part in parts],
        "control_architectures": [part["architecture"] for part in parts],
    }
