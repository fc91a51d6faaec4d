"""What a plan says: a table, a line of advice, and the same as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

LONG = 3600.0
"""Seconds above which a shorter way is worth a word."""
ALIKE = 1.05
"""Executors whose times differ by less are as good as each other."""
CROWDED = 0.7
"""Part of the free memory above which less is worth a word."""


@dataclass(frozen=True)
class Stage:
    """What a search or a retraining takes.

    Args:
        name: Of the stage.
        parameters: Of the supernet or the net.
        batch_size: Images in one step, of each split.
        images: There are at most for a step.
        largest_batch: How many of them would fit at once.
        steps: In an epoch.
        epochs: How many.
        step: Seconds of a step.
        warmup_epochs: Epochs, or parts of one, whose steps are other ones.
        warmup_step: Seconds of such a step.
        validation: Seconds of a validation between epochs.
        last_validation: Seconds of the last one.
        between: Seconds of what else an epoch has: checkpoint, drawings.
        once: Seconds of what happens once: first steps, architecture, test.
        times: How often the stage runs.
        validations: In an epoch.
        most: Seconds after which each of these times is ended, if there is such a limit.
    """

    name: str
    parameters: int
    batch_size: int
    images: int
    largest_batch: int
    steps: int
    epochs: int
    step: float
    warmup_epochs: float
    warmup_step: float
    validation: float
    last_validation: float
    between: float
    once: float
    times: int
    validations: float = 1.0
    most: float | None = None

    @property
    def epoch(self) -> float:
        """Seconds of an epoch behind the warm-up."""
        return self.steps * self.step + self.validations * self.validation + self.between

    @property
    def seconds(self) -> float:
        """Of the whole stage, as often as it runs."""
        warmup = self.warmup_epochs * self.steps * (self.warmup_step - self.step)
        last = self.last_validation - self.validation
        seconds = self.epochs * self.epoch + warmup + last + self.once
        return self.times * (seconds if self.most is None else min(seconds, self.most))


@dataclass(frozen=True)
class Executors:
    """What a search step takes on this machine.

    Args:
        taken: Executor that the search has.
        seconds: Of a step, by executor.
    """

    taken: str
    seconds: Mapping[str, float]

    def told(self) -> str:
        """Returns what was taken, and how much faster or slower the other one is."""
        best, *_, worst = sorted(self.seconds, key=lambda name: self.seconds[name])
        if self.taken not in self.seconds:
            return (
                f"{self.taken}, which was asked for; of the package's, {best} is the fastest here"
            )
        ratio = self.seconds[self.taken] / self.seconds[best]
        if ratio > ALIKE:
            faster = f"{best} is {ratio:.2f} times as fast here"
            return f"{self.taken}, but {faster}: --model.executor {best}"
        other = worst if self.taken == best else best
        times = self.seconds[other] / self.seconds[self.taken]
        return f"{self.taken}; the other one takes {times:.2f} times as long here"


@dataclass(frozen=True)
class Plan:
    """What a run takes.

    Args:
        device: In words.
        start: Seconds until the first stage: imports, reading the data.
        stages: In order.
        peak: Most bytes of memory at once.
        available: Bytes that are free.
        precision: Of the trainer.
        executors: Of the search, where there is a choice.
    """

    device: str
    start: float
    stages: tuple[Stage, ...]
    peak: int
    available: int
    precision: str
    executors: Executors | None = None

    @property
    def seconds(self) -> float:
        """Of all."""
        return self.start + sum(stage.seconds for stage in self.stages)


def advice(plan: Plan) -> str:
    """What to change first, if anything."""
    search = next((stage for stage in plan.stages if stage.name == "search"), None)
    if search is not None and search.warmup_epochs >= search.epochs:
        return "the alphas never move: lower model.warmup_epochs, or raise trainer.max_epochs"
    slowest = max(plan.stages, key=lambda stage: stage.seconds)
    setting = "data.search_batch_size" if slowest.name == "search" else "data.batch_size"
    if plan.peak > CROWDED * plan.available:
        return f"little memory is left: halve {setting}, or set model.partial_channels to 4"
    if plan.device.startswith("cuda") and plan.precision == "32-true":
        return "this device computes faster in --trainer.precision bf16-mixed"
    if plan.device.startswith("cuda") and slowest.largest_batch >= 4 * slowest.batch_size:
        return f"{setting} {slowest.largest_batch // 2} would fit and keep the device busier"
    if plan.seconds <= LONG:
        return "nothing to change"
    if slowest.name == "search":
        return (
            "the search takes longest: set model.partial_channels to 4, or fewer trainer.max_epochs"
        )
    return (
        "the retraining takes longest: fewer retraining.max_epochs, or the preset mnist for a start"
    )


def report(plan: Plan) -> None:
    """Prints a plan."""
    table = Table(title=f"Plan for {plan.device}, measured by running a little of it")
    for column in ("", *(stage.name for stage in plan.stages)):
        table.add_column(column, justify="left" if column == "" else "right")
    rows = {
        "parameters": lambda stage: f"{stage.parameters:,}",
        "images in a step": lambda stage: f"{stage.batch_size:,}",
        "would fit": lambda stage: (
            f"all {stage.images:,}"
            if stage.largest_batch >= stage.images
            else f"{stage.largest_batch:,}"
        ),
        "steps an epoch": lambda stage: f"{stage.steps:,}",
        "epochs": lambda stage: f"{stage.epochs:,}",
        "before the alphas move": lambda stage: (
            f"{stage.warmup_epochs:g} epochs of {1000 * stage.warmup_step:.0f} ms a step"
            if stage.warmup_epochs
            else "-"
        ),
        "a step": lambda stage: f"{1000 * stage.step:.0f} ms",
        "an epoch": lambda stage: _duration(stage.epoch),
        "in all": lambda stage: _duration(stage.seconds),
    }
    for name, told in rows.items():
        table.add_row(name, *(told(stage) for stage in plan.stages))
    Console().print(table)
    gibibyte = 2**30
    print(
        f"Total:  {_duration(plan.seconds)}, start included; at most "
        f"{plan.peak / gibibyte:.2f} GiB of memory, of {plan.available / gibibyte:.1f} free"
    )
    if plan.executors is not None:
        print(f"Executor: {plan.executors.told()}")
    print(f"Advice: {advice(plan)}")
    stages = [asdict(stage) | {"seconds": round(stage.seconds, 1)} for stage in plan.stages]
    content = asdict(plan) | {"stages": stages, "seconds": round(plan.seconds, 1)}
    print(json.dumps(content))


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
