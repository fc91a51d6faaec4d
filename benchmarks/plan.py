"""Does `plan` tell what `fit` then takes? Both commands in turn, time and memory compared.

    python benchmarks/plan.py --results plan.jsonl --config configs/mnist.yaml

Each runs in a process of its own, whose time is taken by the wall clock and whose memory the system
knows. Results: docs/benchmarks/speed.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from measuring import check_output
from search_step import table

WATCHED = """
import json, resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print("\\n" + json.dumps({"peak": peak * (1 if sys.platform == "darwin" else 1024)}))
sys.exit(code)
"""


def timed(verb: str, settings: Sequence[str]) -> tuple[list[str], float, int]:
    """What a command printed, its seconds, and most bytes that it had."""
    command = [sys.executable, "-m", "darts_lite", verb, *settings]
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *command], check=True, stdout=subprocess.PIPE, text=True
    )
    seconds = time.monotonic() - start
    *lines, last = done.stdout.splitlines()
    return lines, seconds, json.loads(last)["peak"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Plans, runs, and prints how far they are apart."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--config", default="mnist")
    parser.add_argument("--times", type=int, default=1)
    options, others = parser.parse_known_args(arguments)
    check_output("--results", options.results)
    lines = []
    for _ in range(options.times):
        with tempfile.TemporaryDirectory() as folder:
            settings = ["--config", options.config, f"--run.folder={folder}", *others]
            told, planning, _ = timed("plan", settings)
            plan = next(json.loads(text) for text in reversed(told) if text.startswith("{"))
            _, seconds, peak = timed("fit", settings)
        line = {
            "config": options.config,
            "planning_seconds": round(planning, 1),
            "planned_seconds": plan["seconds"],
            "seconds": round(seconds, 1),
            "planned_peak": plan["peak"],
            "peak": peak,
            "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        }
        with options.results.open("a") as file:
            print(json.dumps(line), file=file, flush=True)
        lines.append(line)
    header = ("configuration", "plan takes, s", "planned, s", "taken, s", "ratio")
    rows = [
        (
            *(line["config"], line["planning_seconds"], line["planned_seconds"], line["seconds"]),
            f"{line['planned_seconds'] / line['seconds']:.2f}",
            *(f"{line[name] / 2**30:.2f}" for name in ("planned_peak", "peak")),
            f"{line['planned_peak'] / line['peak']:.2f}",
        )
        for line in lines
    ]
    print(table((*header, "planned, GiB", "taken, GiB", "ratio"), rows))


if __name__ == "__main__":
    main()
