"""Seconds, memory, and reasons in one line: what benchmarks measure and tell."""

import resource
import sys
import time
import traceback
from pathlib import Path
from typing import NoReturn

import torch

STATUS = Path("/proc/self/status")


def now(device: str) -> float:
    """Seconds, once all work on the device is done."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def memory(device: str) -> tuple[int, int, int]:
    """Bytes that the process holds, held at most, and reserved at most.

    On the CPU this is resident memory. `getrusage` is asked only where there is no ``/proc``: on
    Linux, its peak of a new process begins with that of the process which started it.
    """
    if device == "cuda":
        peaks = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
        return torch.cuda.memory_allocated(), *peaks
    if not STATUS.exists():
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak, peak, peak
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    held, peak = (1024 * int(lines[name].split()[0]) for name in ("VmRSS", "VmHWM"))
    return held, peak, peak


def reason(error: BaseException) -> str:
    """Returns an error in one line, with the place outside of other packages where it arose."""
    lines = str(error).strip().splitlines() or [""]
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    place = f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {lines[0]}{place}"


def check_output(option: str, path: Path) -> None:
    """Ends with one line if a file cannot be written, better now than after hours."""
    new = not path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
    except OSError as error:
        refuse(f"{option}: cannot write {path}: {error.strerror}")
    if new:
        path.unlink()


def refuse(problem: str, status: int = 2) -> NoReturn:
    """Ends with one line on standard error."""
    print(problem, file=sys.stderr)
    raise SystemExit(status)
