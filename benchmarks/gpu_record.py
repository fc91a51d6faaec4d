"""What `gpu.py` writes down: each step as soon as it has ended, and what all of them say.

A step that fails is recorded with its reason, and the next one begins. A step that may hang, or
leave the device unusable, runs in a process of its own; see `in_own_process`.
"""

import gc
import io
import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from measuring import reason
from systems import CONTEXT

from darts_lite.cli.front.errors import HARMLESS_WARNINGS
from darts_lite.storage.atomic_files import write_text
from darts_lite.training.signals import Stopped

Figures = Mapping[str, Any]
FASTER = 1.05
"""Ratios of seconds up to which two ways are as fast as each other."""
MOST_WARNINGS = 5
"""That are kept of a step."""


@dataclass
class Record:
    """The steps of a run, on the console and in a file.

    Args:
        path: Of the JSON.
        about: Machine and arguments.
        end: When no further step begins, on the clock `time.monotonic`.

    Attributes:
        steps: In their order. Each has ``stage``, ``name``, ``ok`` (null where it was left out),
            ``seconds``, ``figures``, ``error`` and ``warnings``.
    """

    path: Path
    about: Figures
    end: float
    steps: list[dict[str, Any]] = field(default_factory=list)

    @property
    def remaining(self) -> float:
        """Seconds until the end."""
        return max(0.0, self.end - time.monotonic())

    @property
    def failed(self) -> int:
        """How many steps have failed."""
        return sum(step["ok"] is False for step in self.steps)

    @property
    def verdicts(self) -> list[str]:
        """What the steps so far say."""
        said = verdicts(self.steps, self.about["arguments"]["device"])
        if self.about["arguments"].get("quick"):
            return [f"{line} (quick: no measurement)" for line in said]
        return said

    def step(self, stage: int, name: str, run: Callable[[], Figures]) -> Figures | None:
        """Runs a step, if there is time left, and writes down what came of it.

        Args:
            stage: To which it belongs.
            name: Of the step.
            run: Returns its figures.

        Returns:
            The figures, or None where there are none.

        Raises:
            Stopped: if a signal asks the whole run to end.
        """
        if not self.remaining:
            self.leave_out(stage, name, "the minutes were over")
            return None
        start, figures, error, stopped = time.monotonic(), None, None, None
        with warnings.catch_warnings(record=True) as told, redirect_stdout(io.StringIO()):
            warnings.simplefilter("always")
            for known in HARMLESS_WARNINGS:
                warnings.filterwarnings("ignore", known)
            try:
                figures = run()
            except Stopped as problem:
                error, stopped = "a signal has ended the run", problem
            except (Exception, SystemExit) as problem:
                error = reason(problem)
        seconds = round(time.monotonic() - start, 2)
        self._add(stage, name, figures is not None, seconds, figures, error, first_lines(told))
        gc.collect()  # what a failed step held
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        if stopped is not None:
            raise stopped
        return figures

    def leave_out(self, stage: int, name: str, why: str) -> None:
        """Writes down that a step was not run."""
        self._add(stage, name, None, 0.0, None, why, [])

    def _add(
        self,
        stage: int,
        name: str,
        ok: bool | None,
        seconds: float,
        figures: Figures | None,
        error: str | None,
        told: Sequence[str],
    ) -> None:
        made = {"stage": stage, "name": name, "ok": ok, "seconds": seconds}
        made |= {"figures": figures or {}, "error": error, "warnings": list(told)}
        self.steps.append(made)
        word = {True: "ok", False: "FAILED", None: "left out"}[ok]
        told_of = error or json.dumps(figures)
        print(f"{stage} {name}: {word}, {seconds:.1f} s; {told_of}", flush=True)
        content = {**self.about, "verdicts": self.verdicts, "steps": self.steps}
        try:
            write_text(self.path, json.dumps(content, indent=1) + "\n")
        except OSError as problem:  # as on a full disk: the console still has all of it
            print(f"Warning: {problem}", flush=True)


def first_lines(told: Sequence[warnings.WarningMessage]) -> list[str]:
    """Returns the first lines of some warnings, each once."""
    texts = [str(warning.message).strip() or "-" for warning in told]
    return list(dict.fromkeys(text.splitlines()[0] for text in texts))[:MOST_WARNINGS]


# ---------------------------------------------------------------------- a process of its own


def in_own_process(run: Callable[[], Figures], seconds: float) -> Figures:
    """Runs a step where it can be ended, and where it leaves this process' device alone.

    Args:
        run: What is to be run; it can be pickled.
        seconds: After which it is ended.

    Raises:
        RuntimeError: if it fails, or is ended.
    """
    ours, theirs = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_send, args=(theirs, run), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(seconds):
            raise RuntimeError(f"ended after {seconds:.0f} s")
        figures, error, told = ours.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"its process ended with exit status {process.exitcode}") from None
    finally:
        process.kill()
        process.join()
    for text in told:
        warnings.warn(text, stacklevel=1)
    if error is not None:
        raise RuntimeError(error)
    return figures


def _send(pipe: Connection, run: Callable[[], Figures]) -> None:
    """Runs a step in its own process, and sends figures, or the reason why there are none."""
    with warnings.catch_warnings(record=True) as told, redirect_stdout(io.StringIO()):
        warnings.simplefilter("always")
        try:
            pipe.send((run(), None, first_lines(told)))
        except (Exception, SystemExit) as problem:
            pipe.send((None, reason(problem), first_lines(told)))


# ---------------------------------------------------------------------- what it all says


def verdicts(steps: Sequence[Figures], device: str) -> list[str]:
    """Returns a line each about executors, CUDA graphs and compiling, in each precision."""
    rule = list(_verdicts(steps, "steps ", "literal", "executor rule"))
    if device == "cpu":
        return [*rule, "cuda_graphs and compiled: not seen, as there is no GPU"]
    searches = [step for step in steps if step["name"].startswith("CUDA graphs against eager")]
    return [
        *rule,
        *_verdicts(steps, "steps ", "graphed", "cuda_graphs"),
        *(f"cuda_graphs in a search: failed, {one['error']}" for one in searches if one["error"]),
        *_verdicts(steps, "compiled ", "compiled", "compiled"),
    ]


def _verdicts(steps: Sequence[Figures], start: str, system: str, title: str) -> Iterator[str]:
    """Yields what each measurement whose name has this start says about a system."""
    for step in steps:
        if not step["name"].startswith(start):
            continue
        place = f"{title}, {step['name'].removeprefix(start)}"
        others = [one for one in steps if one["name"] == f"start {system} {step['name']}"]
        problems = [one["error"] for one in [*others, step] if one["error"]]
        ratio = step["figures"].get(system, {}).get("folded_over_it")
        if ratio is None:
            problem = next(iter(problems), "there are no folded steps to compare with")
            yield f"{place}: {'not seen' if step['ok'] is None else 'failed'}, {problem}"
        else:
            yield f"{place}: {_judged(system, ratio)}"


def _judged(system: str, ratio: float) -> str:
    """Tells what the seconds of folded, eager steps over those of a system mean."""
    if system == "literal":
        winner = "literal" if ratio > FASTER else "folded" if ratio < 1 / FASTER else "neither"
        return f"{winner} is faster; literal takes {1 / ratio:.2f} times as long as folded"
    worth = "worth keeping" if ratio > FASTER else "not worth keeping"
    return f"{worth}, {ratio:.2f} times as fast as folded without"
