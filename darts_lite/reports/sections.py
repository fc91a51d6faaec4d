"""Makes the sections of a run's page from its files."""

from collections.abc import Callable, Mapping, Sequence

import torch

from darts_lite.plots.architectures import draw_architecture
from darts_lite.plots.labels import tell_score
from darts_lite.plots.predictions import MOST_COUNTED, draw_confusion
from darts_lite.plots.run_history import WRONG
from darts_lite.plots.runs import draw_curves
from darts_lite.plots.shares import draw_film
from darts_lite.reports.changed_settings import list_changed
from darts_lite.reports.page import Picture, Section, Table
from darts_lite.reports.results import tell_result
from darts_lite.reports.rivals import tell_rivals
from darts_lite.reports.run_files import RunFiles
from darts_lite.storage.paths import is_there
from darts_lite.storage.run_folder import SEEDS
from darts_lite.storage.run_record import ACCURACY, Score

MANY = 20
"""Number of classes above which a confusion matrix is not made smaller."""
FILES = {
    "architecture.json": "the found architecture",
    "architecture.png": "its drawing",
    "net.ckpt": "the retrained net, which tests itself without anything else",
    "net.safetensors": "its weights for other programs, with architecture and normalisation",
    "worst.png": "the wrong answers with the largest losses",
    "summary.json": "all results as numbers",
    "config.yaml": "the whole configuration",
    "checkpoints/last.ckpt": "the full state of the search",
    "history/search.json": "figures of every epoch of the search, and the shares of all candidates",
    "history/retraining.json": "figures of every epoch of the retraining",
}


def make_sections(run: RunFiles) -> list[Section]:
    """Returns all sections; one whose file is damaged says so, and the others stay."""
    parts: Mapping[str, Callable[[RunFiles], Section]] = {
        "Result": tell_result,
        "Rivals": tell_rivals,
        "Architecture": show_architecture,
        "Course": show_course,
        "Mistakes": show_mistakes,
        "Settings": tell_settings,
        "How to go on": tell_files,
    }
    sections = []
    for title, make in parts.items():
        try:
            sections.append(make(run))
        except (OSError, *WRONG) as error:
            sections.append(Section(title, missing=[f"{error}"]))
    return sections


def tell_state(run: RunFiles) -> str:
    """Returns in words which data a run is on, and whether it has ended."""
    if run.damage:
        return f"{run.damage}: its results are not known."
    summary = run.summary
    data = f"{summary.get('dataset', 'unknown data')}"
    if source := summary.get("data_source"):
        data += f", {source}"
    return f"{data}. {'Finished.' if summary.get('finished') else 'Not finished.'}"


def show_architecture(run: RunFiles) -> Section:
    """Draws what was found."""
    section, found = Section("Architecture"), run.architecture
    if found is None and (chosen := run.summary.get("architecture")) is not None:
        section.missing.append(f"its drawing: {run.folder.architecture} is missing.")
        section.folded.append(("The architecture as text", chosen))
        return section
    if found is None:
        section.missing.append("an architecture: the search has not chosen one yet.")
        return section
    score = Score.of(run.summary)
    reached = run.summary.get(score.of_test)
    captions = [run.folder.title] + ([] if reached is None else [tell_score(score, reached)])
    figure = draw_architecture(found, run.images, captions)
    alt = f"Drawing of the architecture {found.genotype()}"
    section.pictures.append(Picture.of_figure(figure, alt))
    texts = dict.fromkeys([str(found), found.genotype()])
    section.folded.append(("The architecture as text", "\n\n".join(texts)))
    return section


def show_course(run: RunFiles) -> Section:
    """Draws the curves of search and retraining, and the shares of a search by gradients."""
    section, stages = Section("Course"), run.stages
    moments = {name: stage.moments for name, stage in stages.items()}
    drawn = [name for name, each in moments.items() if len(each) > 1]
    if drawn:
        figure = draw_curves(moments, run.summary.get("test_accuracy"))
        word = "Errors in per cent" if Score.of(run.summary) == ACCURACY else "Scores"
        alt = f"{word} and losses by step of the {' and the '.join(drawn)}"
        section.pictures.append(Picture.of_figure(figure, alt))
    absent = [name for name in moments if name not in drawn]
    if "search" in absent and (seeds := run.summary.get("seeds")):
        absent.remove("search")
        one = run.quote(f"{SEEDS}/{seeds[0]}")
        told = f"python -m darts_lite report {one}"
        section.paragraphs.append(f"Each of the searches can have a page of its own: {told}")
    if absent:
        section.missing.append(f"an epoch of the {' and of the '.join(absent)} to draw.")
    if stages["search"].with_shares:
        alt = "Shares of all candidates at several steps of the search, in per cent"
        section.pictures.append(Picture.of_figure(draw_film(stages["search"]), alt))
    elif "search" in drawn:
        section.paragraphs.append("This search chooses without shares of candidates.")
    return section


def show_mistakes(run: RunFiles) -> Section:
    """Draws which classes are confused, and the worst answers."""
    section, summary = Section("Mistakes"), run.summary
    if summary.get(Score.of(summary).of_test) is None:
        section.missing.append("answers of a test.")
        return section
    if Score.of(summary) != ACCURACY:
        section.paragraphs.append("The net has a task of its own, and no classes to confuse.")
        return section
    confusion, names = summary.get("confusion"), run.class_names
    if confusion:
        counts = torch.tensor(confusion, dtype=torch.long)  # (classes, predictions)
        if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or len(counts) > MOST_COUNTED:
            raise ValueError("the confusions in summary.json have been changed")
        if names is not None and len(names) != len(counts):
            raise ValueError("summary.json has other class_names than confusions")
        alt = f"Confusion matrix of {len(counts)} classes: {_tell_confusions(counts, names)}"
        figure = draw_confusion(counts, names)
        section.pictures.append(Picture.of_figure(figure, alt, shrinks=len(counts) <= MANY))
    else:
        section.missing.append(f"confusions: they are kept for at most {MOST_COUNTED} classes.")
    if is_there(run.folder.worst):
        alt = "Wrong answers of the test, each with its class and what it was taken for"
        section.pictures.append(Picture.of_file(run.folder.worst, alt))
    else:
        section.missing.append("the picture of the worst answers, worst.png.")
    return section


def _tell_confusions(counts: torch.Tensor, names: Sequence[str] | None) -> str:
    """Returns the most frequent confusions in words."""
    wrong = counts.clone().fill_diagonal_(0)
    most = wrong.flatten().topk(min(3, wrong.numel()))
    told = []
    for count, place in zip(most.values.tolist(), most.indices.tolist(), strict=True):
        pair = divmod(place, len(counts))
        true, taken = (names[n] if names else str(n) for n in pair)
        if count:
            told.append(f"{true} is taken for {taken} {count} times")
    return ", ".join(told) or "there are no errors"


def tell_settings(run: RunFiles) -> Section:
    """Tells the settings that differ from the defaults, and folds the whole configuration."""
    section = Section("Settings")
    if not run.config_text:
        section.missing.append("config.yaml, the configuration.")
        return section
    section.folded.append(("The whole configuration, config.yaml", run.config_text))
    try:
        rows = list(list_changed(run.config))
    except ValueError as error:
        section.missing.append(str(error))
        return section
    section.tables.append(Table(rows, caption="What differs from the defaults"))
    seed, versions = run.summary.get("seed"), run.summary.get("versions")
    if isinstance(versions, dict):
        told = ", ".join(f"{name} {version}" for name, version in versions.items())
        section.paragraphs.append(f"Seed {seed}; {told}; precision {run.summary.get('precision')}.")
    return section


def tell_files(run: RunFiles) -> Section:
    """Tells what files there are, and the commands that use them."""
    section, folder = Section("How to go on"), run.folder
    there = [name for name in FILES if is_there(folder.path / name)]
    rows = [(name, FILES[name]) for name in there]
    section.tables.append(Table(rows, caption=f"Files in {folder}"))
    verb = "python -m darts_lite"
    place = run.quote()
    if "net.ckpt" in there:
        net = run.quote("net.ckpt")
        test = f"{verb} test --ckpt_path {net}{run.imports}"
        section.commands.append(("Test the net again", test))
        if run.items is not None:
            asked = f"--{run.items} {run.place_of_items}"
            section.commands += [
                (
                    f"Ask it about {run.items} of your own",
                    f"{verb} predict --ckpt_path {net} {asked}{run.imports}",
                ),
                ("Hand it to other programs", f"{verb} export {net}{run.imports}"),
            ]
    if "checkpoints/last.ckpt" in there and run.stages["search"].with_shares:
        last = run.quote("checkpoints/last.ckpt")
        derive = f"{verb} derive {last} --parameters 20000 --output smaller.json{run.imports}"
        section.commands.append(("Derive a smaller architecture from the search", derive))
    section.commands.append(("Draw all pictures as files", f"{verb} plot {place}"))
    section.commands.append(("Look at every epoch", f"tensorboard --logdir {place}"))
    if "config.yaml" in there:
        ended = run.damage or run.summary.get("finished")
        again = f"{verb} fit --config {run.quote('config.yaml')}"
        section.commands.append(
            ("Repeat the run in a new folder", again) if ended else ("Go on", run.resumption)
        )
    return section
