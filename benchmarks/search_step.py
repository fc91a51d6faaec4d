"""Seconds and memory of one search step: this package's supernet, and that of published DARTS.

What a step is and how its memory is told: systems.py. Here are the tables and the command line. The
systems:

- ``folded``: this package's supernet, run by the folded rewrite, in channels_last;
- ``compiled``: the same with each cell compiled, which takes minutes per cell, and ``graphed``: the
  same with CUDA graphs; measured only if `--systems` names them;
- ``literal``: this package's supernet, run as the formula says, in channels_last;
- ``auto``: whichever of folded and literal the rule of `darts_lite.search.executors` takes;
- ``peer``: the published code on today's torch, as published (NCHW);
- ``peer_channels_last``: the published code in channels_last.

The published code is measured where `--peer` names the folder ``cnn`` of a checkout of
https://github.com/quark0/darts. Nothing of it is copied or changed. Its stem reads three channels,
so it is given the grey one three times.

Each system is built and warmed up in a process of its own. Then they take turns, one step at a
time, so that only one works at any moment and all meet the same disturbances.

    python benchmarks/search_step.py --peer darts/cnn
    python benchmarks/search_step.py --space mnist --batch 64  # as mnist_cells.yaml searches
    python benchmarks/search_step.py --channels 8 --cells 2 --nodes 2 --systems folded compiled
    python benchmarks/search_step.py --rule  # the table of darts_lite.search.executors, made anew

Results: docs/benchmarks/speed.md.
"""

import argparse
import datetime
import itertools
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch
from systems import OWN, PEERS, PRECISIONS, Batches, Settings, Step, Worker, digits, refuse

from darts_lite.search.executors import choose_faster
from darts_lite.space.cells.search_space import (
    SearchSpace,
    darts_space,
    mnist_space,
    nasbench201_space,
)

SPACES = {"darts": darts_space(), "mnist": mnist_space(), "nasbench201": nasbench201_space()}
SIZES = ("channels", "cells", "nodes")
TOLERANCES = {"32": 1e-4, "bf16": 1e-2, "16": 1e-3}
RULE_CHANNELS = (8, 16, 36, 64, 96, 128)
NARROW = 36
"""Channels above which the rule is measured on a quarter of the images."""
ALIKE = 1.05
"""Executors whose times differ by less are as good as each other."""
MIB = 2**20


def run(
    systems: Sequence[str], settings: Settings, batches: Batches, runs: int
) -> tuple[dict[str, list[Step]], dict[str, Step]]:
    """The steps of each system, made in turn, and each system's very first step."""
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(name, settings, batches)) for name in systems]
        rounds = [[worker.step() for worker in workers] for _ in range(runs)]
        first = {worker.system: worker.first for worker in workers}
    columns = zip(*rounds, strict=True)
    return {name: list(steps) for name, steps in zip(systems, columns, strict=True)}, first


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Median, least and largest."""
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def step_table(measured: Mapping[str, Sequence[Step]], first: Mapping[str, Step]) -> str:
    """Seconds and memory of each system; compiling, where that is done, is in the first step."""
    header = (
        *("system", "step, s", "architecture, s", "weights, s"),
        *("first step, s", "peak, MiB", "added, MiB"),
    )
    rows = [
        (
            system,
            spread([step.seconds for step in steps]),
            spread([step.architecture for step in steps]),
            spread([step.weights for step in steps]),
            f"{first[system].seconds:.1f}",
            f"{steps[-1].peak / MIB:.0f}",
            f"{steps[-1].added / MIB:.0f}",
        )
        for system, steps in measured.items()
    ]
    return table(header, rows)


def ratio_table(measured: Mapping[str, Sequence[Step]]) -> str:
    """The first system, the reference, against each: what the table says, and the table."""
    (reference, ours), *_ = measured.items()
    title = (
        f"{reference} against each system. Seconds: the system's over {reference}'s, round by "
        f"round; above 1, {reference} is faster. Memory, the process' peak and what of it building "
        f"and running the supernet added: {reference}'s over the system's; below 1, {reference} "
        "needs less."
    )
    header = (
        "system",
        f"seconds, system / {reference}",
        f"peak, {reference} / system",
        f"added, {reference} / system",
    )
    rows = [
        (
            system,
            spread([b.seconds / a.seconds for a, b in zip(ours, steps, strict=True)], digits=2),
            f"{ours[-1].peak / steps[-1].peak:.2f}",
            f"{ours[-1].added / steps[-1].added:.2f}",
        )
        for system, steps in measured.items()
    ]
    return f"{title}\n\n{table(header, rows)}"


def agreement(first: Mapping[str, Step], precision: str = "32") -> str:
    """Whether this package's systems, which start with the same weights, start with one loss."""
    own = {system: step.loss for system, step in first.items() if system in OWN}
    gap = max(own.values(), default=1.0) / min(own.values(), default=1.0) - 1
    verdict = f"{'agree' if gap <= TOLERANCES[precision] else 'DISAGREE'} (apart by {gap:.1e})"
    shown = ", ".join(f"{system} {loss:.6f}" for system, loss in own.items())
    return f"Losses of the first step {verdict}: {shown or 'none to compare'}."


def measure_rule(settings: Settings, runs: int) -> None:
    """Prints literal's seconds over folded's, and whether the rule takes the faster one.

    Args:
        settings: Device, threads and warm-up; spaces, channels and precisions are gone through.
        runs: Steps of each executor.
    """
    header = ("space", "precision", "C", "batch", "folded, s", "literal, s", "literal / folded")
    print(table((*header, "the rule takes"), []), flush=True)
    wrong, cases = 0, itertools.product(("32", "bf16"), SPACES, RULE_CHANNELS)
    for precision, name, channels in cases:
        batch = settings.batch if channels <= NARROW else max(1, settings.batch // 4)
        space = replace(SPACES[name], channels=channels)
        case = replace(settings, space=space, precision=precision, batch=batch)
        measured, _ = run(("folded", "literal"), case, digits(batch, case.size)[0], runs)
        folded, literal = ([step.seconds for step in measured[s]] for s in ("folded", "literal"))
        ratios = [b / a for a, b in zip(folded, literal, strict=True)]
        taken = choose_faster(case.device, channels, mixed=precision != "32")
        ratio = statistics.median(ratios)
        loss = ratio if taken == "literal" else 1 / ratio
        wrong += loss > ALIKE
        verdict = f"{taken}, {'wrong' if loss > ALIKE else 'right' if loss < 1 else 'as good'}"
        medians = (f"{statistics.median(seconds):.3f}" for seconds in (folded, literal))
        row = (name, precision, channels, batch, *medians, spread(ratios, digits=2), verdict)
        print("| " + " | ".join(map(str, row)) + " |", flush=True)
    print(f"\nThe rule is wrong in {wrong} cases, by more than {100 * (ALIKE - 1):.0f} %.")


def describe_machine(settings: Settings) -> str:
    """Machine, versions and date."""
    machine = torch.cuda.get_device_name() if settings.device == "cuda" else cpu_name()
    threads = settings.threads or torch.get_num_threads()
    return (
        f"{machine}, {os.cpu_count()} cores, {threads} threads; "
        f"Python {platform.python_version()}, torch {torch.__version__}; {datetime.date.today()}."
    )


def describe(settings: Settings, runs: int, source: str) -> str:
    """Machine, versions, date and settings."""
    space = settings.space
    return (
        f"{describe_machine(settings)} "
        f"Space {space.name}, C={space.channels}, {space.cells} cells, {space.nodes} nodes, "
        f"{len(space.candidates)} candidates, batch {settings.batch}, "
        f"{settings.size}x{settings.size}x{settings.image_channels}, "
        f"precision {settings.precision}, {source}; "
        f"median (least-largest) of {runs} steps after {settings.warmup}."
    )


def cpu_name() -> str:
    """The processor's model."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def add_settings(parser: argparse.ArgumentParser, runs: int) -> None:
    """Adds the options that `read_settings` reads, and `--runs`."""
    defaults = Settings()
    for name in SIZES:
        parser.add_argument(f"--{name}", type=int, help="of the space; its own if not given")
    for name in ("batch", "size", "warmup"):
        parser.add_argument(f"--{name}", type=int, default=getattr(defaults, name))
    parser.add_argument("--runs", type=int, default=runs)
    parser.add_argument("--threads", type=int, help="threads of torch; its own choice if not given")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=PRECISIONS, default="32", help="of autocast")


def read_settings(options: argparse.Namespace, space: SearchSpace, peer: str = "") -> Settings:
    """The settings that were asked for; ends the program if they make no sense."""
    for name in ("batch", "size", "warmup", "runs", "threads"):
        if (value := getattr(options, name)) is not None and value < 1:
            refuse(f"--{name} must be at least 1, got {value}")
    sizes = {name: getattr(options, name, None) for name in (*SIZES, "candidates")}
    try:
        space = replace(space, **{name: size for name, size in sizes.items() if size is not None})
    except ValueError as problem:
        refuse(str(problem))
    settings = Settings(
        space,
        batch=options.batch,
        size=options.size,
        device=options.device,
        precision=options.precision,
        threads=options.threads,
        warmup=options.warmup,
        peer=peer,
    )
    if settings.device == "cuda" and not torch.cuda.is_available():
        refuse("--device cuda needs a GPU, and torch finds none here")
    if settings.peer and not (Path(settings.peer) / "model_search.py").is_file():
        refuse(f"--peer must name the folder cnn of quark0/darts; {settings.peer} is not it")
    return settings


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints machine and settings, the tables, and whether the systems compute the same."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_settings(parser, runs=7)
    parser.add_argument("--space", choices=SPACES, default="darts", help="what is searched")
    parser.add_argument("--peer", default="", help="folder cnn of a checkout of quark0/darts")
    names = [*OWN, *PEERS]
    parser.add_argument("--systems", nargs="+", choices=names, help="the first is the reference")
    parser.add_argument("--rule", action="store_true", help="measure folded against literal")
    options = parser.parse_args(arguments)
    settings = read_settings(options, SPACES[options.space], options.peer)
    if options.rule:
        chosen = ("systems", "channels", "cells", "nodes", "peer")
        if given := [name for name in chosen if getattr(options, name)]:
            refuse(f"--rule goes through spaces, channels and precisions; leave out --{given[0]}")
        print(describe_machine(settings) + "\n", flush=True)
        measure_rule(settings, options.runs)
        return
    if settings.peer and options.space != "darts":
        refuse(
            f"the published code searches its own space only: --space darts, not {options.space}"
        )
    systems = options.systems or ["folded", "literal", *(PEERS if settings.peer else ())]
    if not settings.peer and (missing := set(systems) & set(PEERS)):
        refuse(f"to measure {min(missing)}, name the published code's folder with --peer")
    batches, source = digits(settings.batch, settings.size)
    print(describe(settings, options.runs, source), flush=True)
    measured, first = run(list(dict.fromkeys(systems)), settings, batches, options.runs)
    verdict = agreement(first, settings.precision)
    print(f"\n{step_table(measured, first)}\n\n{ratio_table(measured)}\n\n{verdict}")


if __name__ == "__main__":
    main()
