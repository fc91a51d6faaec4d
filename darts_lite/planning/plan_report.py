"""A plan of a run, and its report: a table, a line of advice, and the same as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Stage:
    """The expected time, in seconds, and memory of a search or a retraining.

    Args:
        batch_size: Number of images in one step, of each split.
        images: Largest number of images that a step could have.
        largest_batch: Number of images that would fit in memory at once.
        steps: Number of steps in an epoch.
        step: Seconds of a step.
        warmup_step: Seconds of a step of the warm-up.
        validation: Seconds of a validation.
        last_validation: Seconds of the last one.
        warmup_epochs: Number of epochs, or part of one, whose steps are those of the warm-up.
        between: Seconds of the rest of an epoch: checkpoint, drawings.
        once: Seconds of what happens once: first steps, architecture, test.
        times: Number of times that the stage runs.
        validations: Number of validations in an epoch.
        most: Limit of the seconds of each time, if there is one.
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
        """Seconds of an epoch after the warm-up."""
        return self.steps * self.step + self.validations * self.validation + self.between

    @property
    def seconds(self) -> float:
        """Seconds of the whole stage, all times that it runs."""
        warmup = self.warmup_epochs * self.steps * (self.warmup_step - self.step)
        last = self.last_validation - self.validation
        seconds = self.epochs * self.epoch + warmup + last + self.once
        return self.times * (seconds if self.most is None else min(seconds, self.most))


@dataclass(frozen=True)
class Executors:
    """Seconds of a search step on this machine by name of the executor, and the one in use."""

    taken: str
    seconds: Mapping[str, float]

    def describe(self) -> str:
        """Returns the search's executor, and how much faster or slower the other one is."""
        best, *_, worst = sorted(self.seconds, key=lambda name: self.seconds[name])
        if self.taken not in self.seconds:
            return f"{self.taken}, which was asked for; the fastest built-in one here is {best}"
        ratio = self.seconds[self.taken] / self.seconds[best]
        if ratio > 1.05:
            faster = f"{best} is {ratio:.2f} times as fast here"
            return f"{self.taken}, but {faster}: --model.executor {best}"
        other = worst if self.taken == best else best
        times = self.seconds[other] / self.seconds[self.taken]
        if times < 1.05:
            return f"{self.taken}; the other one is as fast here"
        return f"{self.taken}; the other one takes {times:.2f} times as long here"


@dataclass(frozen=True)
class Plan:
    """The expected time and memory of a run.

    Args:
        start: Seconds until the first stage: imports, reading the data.
        peak: Largest number of bytes of memory at once.
        available: Number of free bytes.
        executors: None if there is no choice.
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
        """Seconds of the whole run."""
        return self.start + sum(stage.seconds for stage in self.stages)


def advise(plan: Plan) -> str:
    """Returns which setting to change first, if any."""
    slowest = max(plan.stages, key=lambda stage: stage.seconds)
    setting = "data.search_batch_size" if slowest.name == "search" else "data.batch_size"
    if plan.peak > 0.7 * plan.available:
        return (
            f"little memory is left: halve {setting}, or, where operations are mixed, set "
            "model.partial_channels to 4"
        )
    if plan.device.startswith("cuda") and plan.precision == "32-true":
        return "this device computes faster in --trainer.precision bf16-mixed"
    if plan.device.startswith("cuda") and slowest.largest_batch >= 4 * slowest.batch_size:
        return f"{setting} {slowest.largest_batch // 2} would fit and keep the device busier"
    if plan.seconds <= 3600:
        return "nothing to change"
    if slowest.name == "search":
        return (
            "the search takes longest: fewer trainer.max_epochs, or, where operations are mixed, "
            "model.partial_channels 4"
        )
    return (
        "the retraining takes longest: fewer retraining.max_epochs, or the preset mnist for a start"
    )


def report(plan: Plan) -> None:
    """Prints a plan as a table, a line of advice, and JSON."""
    table = Table(title=Text(f"Plan for {plan.device}, measured by running a little of it"))
    for column in ("", *(stage.name for stage in plan.stages)):
        table.add_column(column, justify="left" if column == "" else "right")
    rows = {
        "parameters": lambda stage: f"{stage.parameters:,}",
        "batch size": lambda stage: f"{stage.batch_size:,}",
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
        "an epoch": lambda stage: _format_duration(stage.epoch),
        "in all": lambda stage: _format_duration(stage.seconds),
    }
    for name, write in rows.items():
        table.add_row(name, *(write(stage) for stage in plan.stages))
    Console(force_jupyter=False).print(table)
    print(
        f"Total:  {_format_duration(plan.seconds)}, start included; at most "
        f"{plan.peak / 2**30:.2f} GiB of memory, of {plan.available / 2**30:.1f} free"
    )
    if any(stage.times > 1 for stage in plan.stages):
        print("Searches and rivals are counted one after the other; as jobs they take less time.")
    if plan.executors is not None:
        print(f"Executor: {plan.executors.describe()}")
    print(f"Advice: {advise(plan)}")
    stages = [asdict(stage) | {"seconds": round(stage.seconds, 1)} for stage in plan.stages]
    content = asdict(plan) | {"stages": stages, "seconds": round(plan.seconds, 1)}
    print(json.dumps(content))


def _format_duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
