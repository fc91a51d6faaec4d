"""Tells how good a run's net is, what it costs, and how long it took."""

from collections.abc import Mapping
from typing import Any

from darts_lite.data.class_balance import describe_recalls
from darts_lite.data.preparation import has_int8_files
from darts_lite.derivation.consensus import percentile_interval
from darts_lite.derivation.costs import count_pass
from darts_lite.reports.page import Section, Table
from darts_lite.reports.run_files import RunFiles
from darts_lite.runs.reporting import describe_part
from darts_lite.storage.paths import is_there
from darts_lite.storage.run_record import ACCURACY, Score


def tell_result(run: RunFiles) -> Section:
    """Tells accuracy, size and time."""
    summary, section, score = run.summary, Section("Result"), Score.of(run.summary)
    called = run.items or "items"
    rows = [
        (f"test {score.name}", _tell_test(run)),
        ("balanced accuracy", _percent(summary.get("balanced_accuracy"))),
        ("recall", _tell_recalls(summary)),
        (f"validation {score.name}", _tell(score, summary.get(f"validation_{score.word}"))),
        ("that of the search", _tell(score, summary.get(f"search_validation_{score.word}"))),
        *_list_costs(run),
        *_list_memory(run),
        ("search", _seconds(summary.get("search_seconds"))),
        ("retraining", _seconds(summary.get("retrain_seconds"))),
        ("time for one answer", _milliseconds(summary, 1)),
        (f"time for each of 256 {called} at once", _milliseconds(summary, 256)),
        ("calibration error", _percent(summary.get("calibration_error"))),
        ("algorithm", summary.get("algorithm")),
        (called, _tell_numbers(summary)),
        ("device", summary.get("device")),
    ]
    section.tables.append(Table([(name, value) for name, value in rows if value]))
    if summary.get(score.of_test) is None:
        section.missing.append(_tell_absent(run))
    return section


def _tell_absent(run: RunFiles) -> str:
    """Returns which stage a run has not ended, and how it would."""
    if run.damage:
        return f"the results: {run.damage}; restore it from a copy."
    if run.summary.get("finished"):
        return "a test: the run was to end without one, as with `retraining: null`."
    began = run.is_finished("search") or run.is_finished("retraining")
    what = "a test of a retrained net" if began else "the end of the first stage"
    if not is_there(run.folder.config):
        return f"{what}; nor is config.yaml, with which the run would go on."
    return f"{what}. The run goes on with: {run.resumption}"


def _tell_test(run: RunFiles) -> str | None:
    summary, score = run.summary, Score.of(run.summary)
    reached, asked = summary.get(score.of_test), summary.get("test_images")
    if reached is None or not asked:
        return _tell(score, reached)
    called = run.items or "items"
    part = describe_part(summary, called) or f" of {asked:,} test {called}"
    if score != ACCURACY:
        return f"{score.tell(reached)}{part}"
    low, high = percentile_interval(100 * reached, int(asked))
    return f"{score.tell(reached)}{part} (95 % interval: {low:.2f} to {high:.2f} %)"


def _tell(score: Score, value: float | None) -> str | None:
    return None if value is None else score.tell(value)


def _tell_recalls(summary: Mapping[str, Any]) -> str | None:
    recalls = summary.get("class_recalls")
    return describe_recalls(recalls) if recalls else None


def _list_costs(run: RunFiles) -> list[tuple[str, str | None]]:
    """Lists parameters, multiply-adds of one pass, and of an answer where it takes several."""
    parameters, answer = run.summary.get("params"), run.summary.get("macs")
    try:
        if run.architecture is None or run.images is None:
            raise ValueError("unknown")
        once = count_pass(run.architecture, run.images)
    except ValueError:  # an operation of a module that is not imported
        return [
            ("parameters", _count(parameters)),
            ("multiply-adds of an answer", _count(answer)),
        ]
    rows: list[tuple[str, str | None]] = [
        ("parameters", _count(parameters or once.parameters)),
        ("multiply-adds of one pass", _count(once.multiply_adds)),
    ]
    if answer is not None and answer > once.multiply_adds:
        passes = round(answer / once.multiply_adds)
        told = f"{answer:,}, of {passes} passes, each shifted"
        rows.append(("multiply-adds of an answer", told))
    return rows


def _list_memory(run: RunFiles) -> list[tuple[str, str | None]]:
    memory, flash = run.summary.get("memory"), run.summary.get("flash")
    rows: list[tuple[str, str | None]] = []
    if memory is not None and flash is not None:
        told = f"{memory:,} bytes of activations at once, {flash:,} bytes of weights"
        rows.append(("memory in int8", told))
    arena, file = run.summary.get("arena"), run.summary.get("file")
    if arena is not None and file is not None and has_int8_files(run.summary):
        told = f"{arena:,} bytes of arena, {file:,} bytes of an int8 LiteRT file"
        rows.append(("on a device", told))
    if (count := run.summary.get("params")) is not None:
        rows.append(("weights in float32", f"{4 * count:,} bytes"))
    return rows


def _milliseconds(summary: Mapping[str, Any], size: int) -> str | None:
    value = summary.get(f"milliseconds_per_image_in_batches_of_{size}")
    return None if value is None else f"{float(value):.3g} ms"


def _tell_numbers(summary: Mapping[str, Any]) -> str | None:
    names = ("train", "validation", "test")
    counts = [(name, summary.get(f"{name}_images")) for name in names]
    return ", ".join(f"{count:,} {name}" for name, count in counts if count is not None) or None


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{100 * value:.2f} %"


def _count(value: float | None) -> str | None:
    return None if value is None else f"{value:,}"


def _seconds(value: float | None) -> str | None:
    return None if value is None else f"{value:,.0f} s"
