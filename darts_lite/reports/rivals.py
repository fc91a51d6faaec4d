"""Tells what a run was compared with: other nets trained alike, and other seeds."""

import json
from collections.abc import Iterator

from darts_lite.derivation.consensus import percentile_interval
from darts_lite.reports.page import Picture, Section, Table
from darts_lite.reports.run_files import RunFiles
from darts_lite.storage.paths import is_there
from darts_lite.storage.run_folder import SEEDS, RunFolder
from darts_lite.storage.run_record import ACCURACY, Score, read_summary

MADE = {"uniform": "nets made by hand", "random": "random nets", "best_of": "random nets"}
"""The rivals of a control, in words."""


def tell_rivals(run: RunFiles) -> Section:
    """Tells how many rivals the found net beats, and how far several searches agree."""
    section = Section("Rivals")
    _tell_nets(run, section)
    _tell_seeds(run, section)
    if (seeds := run.config.get("run", {}).get("seeds", 1)) > 1 and "seeds" not in run.summary:
        section.missing.append(f"the searches with {seeds} seeds, which are not all done.")
    elif not section.tables:
        section.missing.append(
            "rivals and other seeds, so luck is not ruled out: --run.control random trains random "
            "nets alike, and --run.seeds 3 searches with three seeds."
        )
    return section


def _tell_nets(run: RunFiles, section: Section) -> None:
    summary, score = run.summary, Score.of(run.summary)
    figures = summary.get(score.of_rivals)
    if not figures or summary.get(score.of_test) is None:
        if not summary.get("finished") and run.config.get("run", {}).get("control") is not None:
            section.missing.append("the rivals, which are trained last.")
        return
    made = MADE.get(str(summary.get("control")), "other nets")
    interval, percent = summary.get("control_interval"), summary.get("control_percentile")
    if percent is not None and interval is not None:
        section.paragraphs.append(
            f"The found net beats {percent:.0f} % of {len(figures)} {made} that were trained in "
            f"the same way (95 % interval: {interval[0]:.0f} to {interval[1]:.0f} %)."
        )
    section.tables.append(
        Table(
            [row for _, row in sorted(_list_nets(run), key=lambda one: -score.sign * one[0])],
            ("net", f"test {score.name}", "95 % interval", "parameters", "multiply-adds"),
            f"Test {score.name} of the found net and its rivals, best first",
        )
    )


def _list_nets(run: RunFiles) -> Iterator[tuple[float, tuple[str, ...]]]:
    """Yields figure and row of the found net, then of each rival."""
    summary, score = run.summary, Score.of(run.summary)
    names = ["found", *(summary.get("control_names") or [])]
    figures = [summary[score.of_test], *summary[score.of_rivals]]
    parameters = [summary.get("params"), *(summary.get("control_params") or [])]
    adds = [summary.get("macs"), *(summary.get("control_macs") or [])]
    asked = summary.get("test_images")
    for number, figure in enumerate(figures):
        interval = "-"
        if asked and score == ACCURACY:
            low, high = percentile_interval(100 * figure, int(asked))
            interval = f"{low:.2f} to {high:.2f} %"
        costs = [each[number] if number < len(each) else None for each in (parameters, adds)]
        yield (
            figure,
            (
                names[number] if number < len(names) else f"net {number}",
                score.tell(figure),
                interval,
                *("-" if cost is None else f"{cost:,}" for cost in costs),
            ),
        )


def _tell_seeds(run: RunFiles, section: Section) -> None:
    summary = run.summary
    seeds, agreement = summary.get("seeds"), summary.get("agreement")
    if not seeds:
        return
    if agreement is not None and (by_chance := summary.get("agreement_by_chance")) is not None:
        section.paragraphs.append(
            f"{100 * agreement:.0f} % of the choices are shared by the {len(seeds)} searches and "
            f"their consensus; random architectures would share {100 * by_chance:.0f} %."
        )
    rows, score = [], Score.of(summary)
    for seed in seeds:
        one = read_summary(RunFolder(run.folder.path / SEEDS / str(seed)))
        rows.append((f"seed {seed}", score.tell(one.get(f"search_validation_{score.word}"))))
        section.folded.append((f"Architecture of seed {seed}", str(one.get("architecture", "-"))))
    columns = ("search", f"validation {score.name} of the search")
    section.tables.append(Table(rows, columns, "Searches with other seeds"))
    if is_there(run.folder.agreement):
        shares = json.dumps(summary.get("edge_agreement", {}))
        alt = f"The consensus with the number of searches that have each edge; as shares: {shares}"
        section.pictures.append(Picture.of_file(run.folder.agreement, alt))
