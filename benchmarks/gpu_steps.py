"""Search steps for `gpu.py`: each system in a process of its own, in turn, medians and memory.

The settings and systems are those of systems.py. All processes of a precision start at once, are
warmed up one after the other, and one that fails leaves the others alone.
"""

import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from gpu_jobs import Jobs
from gpu_record import Figures, Record
from systems import OWN, Batches, Settings, Step, Worker, digits

from darts_lite.space.cells.search_space import darts_space

STAGE = 2
PRECISIONS = ("bf16", "32")
TOLERANCES = {"bf16": 2e-2, "32": 1e-4}
"""Largest relative difference of the first losses of one supernet, run in different ways."""
MIB = 2**20


def settings_for(device: str, quick: bool, peer: str) -> Settings:
    """Returns what is searched: the published space on images of 32 x 32 x 3, or little of it."""
    sizes = {"channels": 4, "cells": 2, "nodes": 2} if quick else {"channels": 16, "cells": 8}
    batch, size = (8, 16) if quick else (64, 32)
    return Settings(
        darts_space(**sizes), batch, size, image_channels=3, device=device, peer=peer, warmup=3
    )


def measure_steps(record: Record, settings: Settings, rounds: int, jobs: Jobs) -> None:
    """Measures folded, literal, graphed and, where it is there, published steps."""
    systems = ["folded", "literal", "graphed", *(["peer"] if settings.peer else [])]
    if not settings.peer:
        record.leave_out(STAGE, "published code", "--peer names no folder")
    batches, _ = digits(settings.batch, settings.size)
    for precision in jobs.some(PRECISIONS):
        case = replace(settings, precision=precision)
        alternate(record, f"steps {precision}", systems, case, batches, rounds)


def measure_compiled(record: Record, settings: Settings, rounds: int) -> None:
    """Measures compiled steps as far as the time goes: of a small supernet first."""
    small = replace(settings, space=replace(settings.space, cells=2, nodes=2))
    cases = {
        f"compiled {precision}{name}": replace(case, precision=precision)
        for precision in PRECISIONS
        for name, case in ((", two cells", small), ("", settings))
    }
    batches = None
    for name, case in sorted(cases.items(), key=lambda item: ", " not in item[0]):
        if settings.device == "cpu":
            record.leave_out(STAGE, name, "compiling takes many minutes on a CPU")
            continue
        batches = batches or digits(settings.batch, settings.size)[0]
        alternate(record, name, ["folded", "compiled"], case, batches, rounds, record.remaining)


def alternate(
    record: Record,
    name: str,
    systems: Sequence[str],
    settings: Settings,
    batches: Batches,
    rounds: int,
    patience: float | None = None,
) -> None:
    """Lets systems make steps in turn.

    Args:
        record: Gets a step for the start of each system, and one of this name with the figures.
        name: Of the figures.
        systems: Of systems.py; the first is what the others are compared with.
        settings, batches: Of all.
        rounds: Steps of each.
        patience: Seconds that any step may take.
    """
    if not record.remaining:
        record.leave_out(STAGE, name, "the minutes were over")
        return
    with ExitStack() as stack:
        workers = [Worker(system, settings, batches, patience) for system in systems]
        for worker in workers:
            stack.push(worker)

        def started(worker: Worker) -> bool:
            start = f"start {worker.system} {name}"
            return record.step(STAGE, start, lambda: first_step(worker)) is not None

        ready = [worker for worker in workers if started(worker)]
        record.step(STAGE, name, lambda: figures_of(ready, rounds))
        record.step(STAGE, f"first losses {name}", lambda: agreement(ready, settings.precision))


def first_step(worker: Worker) -> Figures:
    """Warms a system up, and returns what its first step took."""
    first = worker.warm_up()
    return {"first_step": round(first.seconds, 3), "first_loss": first.loss}


def figures_of(workers: Sequence[Worker], rounds: int) -> Figures:
    """Returns the figures of each system after so many rounds.

    Raises:
        ValueError: if no system is there.
    """
    if not workers:
        raise ValueError("none of the systems has started")
    made = [[worker.step() for worker in workers] for _ in range(rounds)]
    columns = {w.system: [row[place] for row in made] for place, w in enumerate(workers)}
    return {name: figures(steps, columns.get("folded")) for name, steps in columns.items()}


def agreement(workers: Sequence[Worker], precision: str) -> Figures:
    """Returns how far the first losses of one supernet are apart, run in different ways.

    Raises:
        ValueError: if they are too far apart, or there are not two to compare.
    """
    losses = {worker.system: worker.first.loss for worker in workers if worker.system in OWN}
    if len(losses) < 2:
        raise ValueError(f"there are no two systems to compare, only {list(losses) or 'none'}")
    apart = max(losses.values()) / min(losses.values()) - 1
    if not apart <= TOLERANCES[precision]:
        raise ValueError(f"the first losses are {apart:.1e} apart: {losses}")
    return {"apart": apart}


def figures(steps: Sequence[Step], reference: Sequence[Step] | None) -> dict[str, Any]:
    """Returns medians in milliseconds, memory in MiB, and how it compares with folded steps."""
    halves = {name: [getattr(step, name) for step in steps] for name in ("architecture", "weights")}
    seconds = [step.seconds for step in steps]
    ratios = [a.seconds / b.seconds for a, b in zip(reference or (), steps, strict=False)]
    return {
        "ms": round(1000 * statistics.median(seconds), 2),
        "least_ms": round(1000 * min(seconds), 2),
        **{f"{name}_ms": round(1000 * statistics.median(v), 2) for name, v in halves.items()},
        "folded_over_it": round(statistics.median(ratios), 3) if ratios else None,
        "allocated_mib": round(steps[-1].peak / MIB),
        "reserved_mib": round(steps[-1].reserved / MIB),
        "last_loss": round(steps[-1].loss, 5),
    }
