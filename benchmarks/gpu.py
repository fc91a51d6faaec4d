"""Everything that only a GPU can tell, in one command of at most nine minutes.

    python benchmarks/gpu.py --data data --peer darts/cnn --out gpu.json

runs from a checkout, installed or not, without a network; what to bring and how to read the result
is in gpu.md. Stages, the most telling first:

1. the main job and the preset of cells in bf16-mixed, and a part of the latter in 32-true and
   16-mixed;
2. a search step of the published space: folded, literal, with CUDA graphs, and the published code;
3. exactness: executors, CUDA graphs, a resumed search, second order, every algorithm;
4. the trained net: its answers, its exports, and a plan;

and with the time that is left compiled search steps, of stage 2 as well. Each step's result is
printed and written as soon as there is one. The exit status is 1 if a step has failed.

    python benchmarks/gpu.py --device cpu --quick

runs a little of each on a CPU, as a test.
"""

import argparse
import datetime
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpu_record import Record

CHECKOUT = Path(__file__).resolve().parents[1]
if find_spec("darts_lite") is None:  # it is not installed
    sys.path.insert(0, str(CHECKOUT))
# Each process that is started imports this module anew, so what takes seconds waits until it is
# needed.


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Returns the options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="a little of everything, as a test")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), help="the result")
    parser.add_argument("--data", help="folder with MNIST/raw; see ImageData's root")
    parser.add_argument("--peer", default="", help="folder cnn of a checkout of quark0/darts")
    parser.add_argument("--minutes", type=float, default=9.0, help="no step begins later")
    return parser.parse_args(arguments)


def check(options: argparse.Namespace) -> None:
    """Ends with one line if something is missing, and makes all paths absolute."""
    import torch
    from measuring import check_output, refuse

    from darts_lite.data.images.datasets import find_root

    if options.device == "cuda" and not torch.cuda.is_available():
        refuse("--device cuda needs a GPU, and torch finds none here")
    if options.peer and not (Path(options.peer) / "model_search.py").is_file():
        refuse(f"--peer must name the folder cnn of quark0/darts; {options.peer} is not it")
    root = find_root(options.data).resolve()
    os.environ["DARTS_LITE_DATA"] = str(root)  # of this process and those that it starts
    options.peer = options.peer and str(Path(options.peer).resolve())
    options.out = options.out.resolve()
    if not options.minutes > 0:
        refuse(f"--minutes must be above 0, got {options.minutes}")
    check_output("--out", options.out)


def describe(options: argparse.Namespace) -> dict[str, Any]:
    """Returns machine, versions, date and arguments."""
    import lightning
    import torch
    from search_step import cpu_name

    machine: dict[str, Any] = {"cpu": cpu_name(), "cores": os.cpu_count(), "gpu": None}
    if options.device == "cuda":
        about = torch.cuda.get_device_properties(0)
        gibibytes = round(about.total_memory / 2**30, 1)
        machine |= {"gpu": about.name, "gpu_gib": gibibytes}
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "lightning": lightning.__version__,
    }
    names = ("device", "quick", "minutes")
    given = {name: getattr(options, name) for name in names} | {"peer": bool(options.peer)}
    date = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    return {"date": date, "machine": machine, "versions": versions, "arguments": given}


def run(options: argparse.Namespace, end: float) -> "Record":
    """Runs all stages.

    Args:
        options: See `parse`.
        end: When no further step begins.

    Returns:
        What came of them.
    """
    from gpu_exact import check_exactness
    from gpu_jobs import Jobs, quiet, run_overlays, run_presets
    from gpu_nets import use_nets
    from gpu_record import Record
    from gpu_steps import measure_compiled, measure_steps, settings_for

    from darts_lite.training.signals import stoppable

    quiet()
    record = Record(options.out, describe(options), end)
    print(*(f"{name}: {value}" for name, value in record.about.items()), sep="\n", flush=True)
    steps = settings_for(options.device, options.quick, options.peer)
    rounds = 2 if options.quick else 5
    with tempfile.TemporaryDirectory() as folder, stoppable():
        jobs = Jobs(options.device, options.quick, Path(folder))
        run_presets(record, jobs)
        measure_steps(record, steps, rounds, jobs)
        check_exactness(record, jobs)
        run_overlays(record, jobs)
        use_nets(record, jobs)
        measure_compiled(record, steps, rounds)
    return record


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs all stages, and ends with what they say."""
    start, options = time.monotonic(), parse(arguments)
    # What is deterministic on a GPU needs this before the GPU is used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if options.quick and options.device == "cpu":  # a second thread only waits for small tensors
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    check(options)
    record = run(options, start + 60 * options.minutes)
    print("\n".join(record.verdicts))
    seconds = time.monotonic() - start
    print(f"{len(record.steps)} steps, {record.failed} failed, {seconds:.0f} s: {options.out}")
    raise SystemExit(1 if record.failed else 0)


if __name__ == "__main__":
    main()
