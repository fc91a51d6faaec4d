"""What becomes of a net that was trained on a GPU: read, exported and planned; for `gpu.py`."""

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from gpu_jobs import Job, Jobs
from gpu_record import Figures, Record

from darts_lite.cli.verbs.export import PLAIN, load_items
from darts_lite.export.facts import answer_all, describe
from darts_lite.export.formats import FORMATS, export
from darts_lite.export.inference import load_answer
from darts_lite.planning.planner import Planner

IMAGES, QUICK_IMAGES = 1000, 100
"""Of the test set, on which devices and files are compared, and in quick runs."""
TOLERANCE = 1e-2
"""Largest difference of a probability between a GPU, which may round to TF32, and the CPU."""


def use_nets(record: Record, jobs: Jobs) -> None:
    """Reads, exports and plans; with the first net there is, or one trained for this."""
    if first_net(jobs.folder) is None:
        record.step(4, "train a net", lambda: train_one(jobs))
    if (path := first_net(jobs.folder)) is None:
        record.leave_out(4, "predict and export", "there is no net")
    else:
        images = QUICK_IMAGES if jobs.quick else IMAGES
        record.step(4, "predict", lambda: predict(path, jobs.device, images))
        for name in PLAIN:
            record.step(4, f"export {name}", partial(export_one, name, path, images))
    record.step(4, "plan", lambda: plan(jobs.cells("plan", "bf16-mixed")))


def first_net(folder: Path) -> Path | None:
    """Returns the first net that runs in a folder have left."""
    nets = folder.glob("*/version_*/net.ckpt")
    return min(nets, key=lambda path: path.stat().st_mtime_ns, default=None)


def train_one(jobs: Jobs) -> Figures:
    """Trains the net of a short search."""
    job = jobs.cells("net", "32-true", {"retraining": {"init_args": {"max_epochs": 1}}})
    job.search()
    return {"test_accuracy": job.train()["test_accuracy"]}


def predict(path: Path, device: str, images: int) -> Figures:
    """Compares a net's answers on the CPU with those on the device.

    Raises:
        ValueError: if they differ.
    """
    net, about = load_answer(path)
    pixels, _ = load_items(about).sample_test(images)
    on_cpu = answer_all(net, pixels)
    on_device = answer_all(net.to(device), pixels.to(device)).cpu()
    difference = float((on_device - on_cpu).abs().max())
    others = int((on_device.argmax(dim=1) != on_cpu.argmax(dim=1)).sum())
    if others or not difference < TOLERANCE:
        raise ValueError(f"{others} other classes, probabilities up to {difference:.1e} away")
    return {"images": len(pixels), "largest_difference": difference, "other_classes": others}


def export_one(name: str, path: Path, images: int) -> Figures:
    """Writes a net as a file of another kind, and compares what the file answers."""
    net, about = load_answer(path)
    exported = path.with_suffix(FORMATS[name].ending)
    exported.unlink(missing_ok=True)  # that of the weights is the training's own
    pixels, _ = load_items(about).sample_test(images)
    written = export(name, net, describe(net, about), pixels, answer_all(net, pixels), exported)
    return {"largest_difference": written.difference, "bytes": written.size}


def plan(job: Job) -> Figures:
    """Measures what the stages of a job would take on this device, without the start."""
    with tempfile.TemporaryDirectory() as folder:
        trainers = replace(job, folder=Path(folder)).trainers
        settings: Any = job.trainer_settings
        planner = Planner(job.data, trainers, settings, trainers.run, job.retraining)
        told = planner(job.model())
    stages = {
        stage.name: {
            "seconds": round(stage.seconds, 1),
            "step_ms": round(1000 * stage.step, 2),
            "largest_batch": stage.largest_batch,
        }
        for stage in told.stages
    }
    return {**stages, "device": told.device, "peak_mib": round(told.peak / 2**20)}
